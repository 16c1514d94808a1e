#!/usr/bin/env python3
"""Emits one event by python-socketio's own means: emit-manager.py EVENT ROOM [JSON [KEEP [KEY]]]. An empty ROOM is everybody.

KEEP is true, false or seconds, empty for none: whether ws-emit keeps the event for clients that join later, one for
each KEY.

REDIS in the environment names the server. Needs python-socketio and redis: pip install python-socketio redis.
Releases up to 5.13 publish pickles, later ones JSON; ws-emit reads both.
"""
import json
import os
import sys

import redis
import socketio



class KeepingManager(socketio.RedisManager):
    """Its emit also takes keep and key. Every release publishes by _publish, which each of its managers has; servers ignore
    keys that they don't know. Use it from one thread at a time."""
    more = {}

    def emit(self, *arguments, keep=None, key=None, **named):
        self.more = {"keep": keep, "key": key}
        return super().emit(*arguments, **named)

    def _publish(self, message):
        return super()._publish({**message, **self.more})


if not 3 <= len(sys.argv) <= 6:
    sys.exit(sys.stderr.write("emit-manager.py: usage: emit-manager.py EVENT ROOM [JSON [KEEP [KEY]]]\n") and 64)
event, room, text, keep, key = [*sys.argv[1:], *["null", "", ""][len(sys.argv) - 3:]]
url = os.environ.get("REDIS", "redis://localhost:6379")
try:
    data, keep = json.loads(text), json.loads(keep or "null")
    # The manager only logs that Redis is away: ask first.
    redis.Redis.from_url(url, socket_timeout=5).ping()
except ValueError as problem:
    sys.exit(sys.stderr.write(f"emit-manager.py: the JSON is not valid: {problem}\n") and 65)
except redis.RedisError as problem:
    sys.exit(sys.stderr.write(f"emit-manager.py: Redis can't be reached: {problem}\n") and 69)
# Its own default channel would be "socketio".
manager = KeepingManager(url, channel="flask-socketio", write_only=True)
manager.emit(event, data, namespace="/", room=room or None, keep=keep, key=key or None)
