#!/usr/bin/env python3
"""Emits one event on the Redis channel: emit.py EVENT ROOM [JSON [KEEP [KEY]]]. An empty ROOM is everybody.

KEEP is true, false or seconds, empty for none: whether ws-emit keeps the event for clients that join later, one for
each KEY.

REDIS in the environment names the server: redis://[[user]:password@]host[:port]. Prints how many servers got the event.
Needs nothing but Python.
"""
import json
import os
import pickle
import socket
import sys
from urllib.parse import unquote, urlsplit

CHANNEL = "flask-socketio"


def fail(code, sentence):
    sys.stderr.write(f"emit.py: {sentence}\n")
    sys.exit(code)


def command(stream, *words):
    words = [word if isinstance(word, bytes) else word.encode() for word in words]
    stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
    stream.flush()
    answer = stream.readline().decode().rstrip()
    if answer[:1] not in ("+", ":"):
        fail(69, f"Redis says: {answer or 'nothing, and closes the connection'}")
    return answer[1:]


def publish(payload):
    url = urlsplit(os.environ.get("REDIS", "redis://localhost:6379"))
    if url.scheme != "redis":
        fail(64, "REDIS is no URL such as redis://localhost:6379")
    with socket.create_connection((url.hostname or "localhost", url.port or 6379), timeout=5) as connection:
        stream = connection.makefile("rwb")
        if url.password:
            command(stream, "AUTH", *filter(None, [unquote(url.username)]), unquote(url.password))
        return command(stream, "PUBLISH", CHANNEL, payload)


if not 3 <= len(sys.argv) <= 6:
    fail(64, "usage: emit.py EVENT ROOM [JSON [KEEP [KEY]]]")
event, room, text, keep, key = [*sys.argv[1:], *["null", "", ""][len(sys.argv) - 3:]]
try:
    data, keep = json.loads(text), json.loads(keep or "null")
except ValueError as problem:
    fail(65, f"the JSON is not valid: {problem}")
try:
    print(publish(pickle.dumps({
        "method": "emit", "event": event, "data": data, "namespace": "/", "room": room or None, "keep": keep, "key": key or None,
    }, protocol=2)))
except OSError as problem:
    fail(69, f"Redis can't be reached: {problem}")
