#!/usr/bin/env python3
"""Emits one event by python-socketio's own means: emit-manager.py EVENT ROOM [JSON]. An empty ROOM is everybody.

REDIS in the environment names the server. Needs python-socketio and redis: pip install python-socketio redis.
Releases up to 5.13 publish pickles, later ones JSON; ws-emit reads both.
"""
import json
import os
import sys

import redis
import socketio

if not 3 <= len(sys.argv) <= 4:
    sys.exit(sys.stderr.write("emit-manager.py: usage: emit-manager.py EVENT ROOM [JSON]\n") and 64)
event, room, text = [*sys.argv[1:], "null"][:3]
url = os.environ.get("REDIS", "redis://localhost:6379")
try:
    data = json.loads(text)
    # The manager only logs that Redis is away: ask first.
    redis.Redis.from_url(url, socket_timeout=5).ping()
except ValueError as problem:
    sys.exit(sys.stderr.write(f"emit-manager.py: the JSON is not valid: {problem}\n") and 65)
except redis.RedisError as problem:
    sys.exit(sys.stderr.write(f"emit-manager.py: Redis can't be reached: {problem}\n") and 69)
# Its own default channel would be "socketio".
manager = socketio.RedisManager(url, channel="flask-socketio", write_only=True)
manager.emit(event, data, namespace="/", room=room or None)
