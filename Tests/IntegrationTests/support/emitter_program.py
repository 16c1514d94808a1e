"""Runs in an emitter's own environment: does what it is told on its standard input, one Python literal per line."""
import ast
import os
import sys

import flask_socketio
import socketio

url = sys.argv[1]
flask = flask_socketio.SocketIO(message_queue=url)
server = socketio.Server(async_mode="threading", client_manager=socketio.RedisManager(url, channel="flask-socketio"))


def say(kind, value):
    sys.stdout.write(repr((kind, value)) + "\n")
    sys.stdout.flush()


def acknowledged(*args):
    say("callback", args)


# A server starts listening with its first browser; this one has none, and still wants its callbacks.
server.manager_initialized = True
server.manager.initialize()
try:
    from importlib.metadata import version
    say("ready", {name: version(name) for name in ("python-socketio", "Flask-SocketIO", "python-engineio")})
except ImportError:
    say("ready", {})

for line in sys.stdin:
    target, method, args, kwargs = ast.literal_eval(line)
    if kwargs.get("callback"):
        kwargs["callback"] = acknowledged
    try:
        getattr({"flask": flask, "server": server}[target], method)(*args, **kwargs)
    except Exception as problem:  # whatever it is, the test wants to read it
        say("error", repr(problem))
    else:
        say("done", None)
# The listening thread would keep the process alive.
sys.stdout.flush()
os._exit(0)
