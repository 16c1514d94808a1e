"""A public room, a locked room that the page can join, and a locked room that it can't. Settings: see shared/web.py."""
import itertools
import pathlib
import time

import redis
import web
from flask_socketio import SocketIO
from room_secret import room_secret

socketio = SocketIO(message_queue=web.REDIS)
database = redis.Redis.from_url(web.REDIS)


def talk():
    """Emits one message a second to each room. ws-emit decides who may listen."""
    for number in itertools.count(1):
        for room in "news", "team::chat", "vault::plans":
            socketio.emit("update", {"room": room, "text": f"message {number} to {room}"}, room=room)
        time.sleep(1)


def settings():
    room_secret(database, "vault")  # created, but not given to the page
    return {"team_secret": room_secret(database, "team")}


if __name__ == "__main__":
    web.serve(web.make_app(pathlib.Path(__file__).resolve().parent, settings), talk)
