"""The programs under test and around them, each ended by its own process id."""
import ast
import os
import pathlib
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

import redis
import websocket

from .waiting import PATIENCE, eventually, free_port, take

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
REDIS_CHANNEL = "flask-socketio"


def command(name):
    """The path of a program; its absence is a failure with a way out, never a skipped test."""
    path = shutil.which(name)
    assert path, f"{name} is not installed: run scripts/install-packages build demo test"
    return path


def redis_program():
    """Debian's redis-server, unless REDIS_SERVER names another one (see scripts/redis-server)."""
    return os.environ.get("REDIS_SERVER") or command("redis-server")


def ws_emit_program():
    """The server under test."""
    path = os.environ.get("WS_EMIT")
    assert path, "WS_EMIT is not set: it names the ws-emit program to test (make test sets it)"
    assert os.access(path, os.X_OK), f"WS_EMIT={path} is not a program: build it first"
    return path


class Running:
    """A child process whose output is kept and can be waited for line by line."""

    def __init__(self, arguments, env=None, stdin=None):
        clean = {k: v for k, v in os.environ.items()
                 if k not in ("ADDRESS", "CORS", "SECRET", "REDIS", "FLASK_SECRET")}
        self.lines = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            [str(a) for a in arguments], stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, bufsize=1, env={**clean, "PYTHONUNBUFFERED": "1", **(env or {})})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for_line(self, text, after=0):
        """The first line from number `after` on that contains `text`."""
        def found():
            return next((line for line in self.lines[after:] if text in line), None)
        with self._news:
            self._news.wait_for(lambda: found() or not self._reader.is_alive(), timeout=PATIENCE)
            line = found()
        assert line is not None, f"{text!r} was never printed; it printed:\n" + "\n".join(self.lines[-30:])
        return line

    def wait_for_exit(self):
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    @property
    def output(self):
        return "\n".join(self.lines)

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(PATIENCE)
        return self.process.returncode


class RedisServer:
    """A redis-server of our own in an empty folder, which can be killed and brought back on the same port."""

    def __init__(self, port=None, program=None):
        self.program = program or redis_program()
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.running = None
        self._folder = tempfile.mkdtemp(prefix="ws-emit-redis-")

    def start(self):
        self.running = Running([self.program, "--port", self.port, "--bind", "127.0.0.1", "--save", "",
                                "--appendonly", "no", "--dir", self._folder])
        self.client = redis.Redis(port=self.port, socket_timeout=PATIENCE)
        def answers():
            try:
                return self.client.ping()
            except redis.exceptions.ConnectionError as problem:
                raise OSError(problem) from None
        eventually(answers, "redis-server answers")
        return self

    def kill(self):
        self.running.stop(signal.SIGKILL)

    def close(self):
        self.running.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def subscribers(self, channel=REDIS_CHANNEL):
        return self.client.pubsub_numsub(channel)[0][1]


class Bridge:
    """One ws-emit, ready for clients once constructed."""

    def __init__(self, redis_server=None, *flags, origins=(), secret="123", env=None, redis_url=None, host="127.0.0.1",
                 port=None, subscribes=True, admin=False):
        self.host = host
        self.port = port or free_port(host)
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        arguments = [ws_emit_program(), "-a", self.address]
        if origins:
            arguments += ["--cors", *origins]
        if secret is not None:
            arguments += ["--secret", secret]
        url = redis_url or (redis_server.url if redis_server else None)
        if url:
            arguments += ["--redis", url]
        already = redis_server.subscribers() if redis_server and subscribes else 0
        if admin:
            from .operations import Admin
            self.admin = Admin(host, free_port(host))
            arguments += ["--admin-address", f"[{host}]:{self.admin.port}" if ":" in host else
                          f"{host}:{self.admin.port}"]
        self.running = Running(arguments + list(flags), env)
        self.running.wait_for_line("ws-emit started on")
        eventually(lambda: socket.create_connection((host, self.port), PATIENCE).close() is None, "ws-emit accepts")
        if redis_server and subscribes:
            # The original subscribes when its first client comes, so one comes.
            websocket.create_connection(self.websocket_url(), timeout=PATIENCE, suppress_origin=True).close()
            eventually(lambda: redis_server.subscribers() > already, "ws-emit subscribes")

    @property
    def url(self):
        return f"http://{self.address}"

    def websocket_url(self, query="EIO=4&transport=websocket", path="/socket.io/"):
        return f"ws://{self.address}{path}?{query}"

    def stop(self):
        return self.running.stop()

    close = stop


class Emitter:
    """A real Flask-SocketIO emitter and a real python-socketio server of one release, in a process of their own.

    `emit`, `send`, `close_room` go through `flask_socketio.SocketIO(message_queue=...)`; methods of `server_...` through a
    `socketio.Server`, the kind that receives what clients acknowledge."""

    def __init__(self, release, redis_server):
        venv = subprocess.run([ROOT / "scripts/venv", f"emitter-{release}"], capture_output=True, text=True)
        assert venv.returncode == 0, f"the Python environment of release {release} is missing: {venv.stderr}"
        self.release = release
        self.answers = queue.Queue()
        self.callbacks = queue.Queue()
        already = redis_server.subscribers()
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [venv.stdout.strip() + "/bin/python", HERE / "emitter_program.py", redis_server.url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, bufsize=1)
        threading.Thread(target=self._read, daemon=True).start()
        kind, versions = take(self.answers, f"the emitter of release {release} to start")
        assert kind == "ready", versions
        self.versions = versions
        eventually(lambda: redis_server.subscribers() > already, "the emitter's server subscribes")

    def _read(self):
        for line in self.process.stdout:
            kind, value = ast.literal_eval(line)
            (self.callbacks if kind == "callback" else self.answers).put((kind, value))
        self.errors.seek(0)
        self.answers.put(("ended", self.errors.read()[-2000:]))

    def _call(self, target, method, args, kwargs):
        self.process.stdin.write(repr((target, method, args, kwargs)) + "\n")
        kind, value = take(self.answers, f"{method} of release {self.release}")
        assert kind == "done", f"python-socketio of {self.release}: {value}"

    def emit(self, *args, **kwargs):
        self._call("flask", "emit", args, kwargs)

    def send(self, *args, **kwargs):
        self._call("flask", "send", args, kwargs)

    def close_room(self, *args, **kwargs):
        self._call("flask", "close_room", args, kwargs)

    def server(self, method, *args, **kwargs):
        """A method of `socketio.Server`; `callback=True` reports what the client acknowledges."""
        self._call("server", method, args, kwargs)

    def acknowledged(self):
        return take(self.callbacks, "the callback of the emitting server")[1]

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
