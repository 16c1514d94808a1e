"""A public room, a locked one that the page may join, and one that it may not. Settings: see shared/web.py."""
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
    """One message a second to each room, whoever is in it: who may listen is ws-emit's business."""
    for number in itertools.count(1):
        for room in "news", "team::chat", "vault::plans":
            socketio.emit("update", {"room": room, "text": f"message {number} to {room}"}, room=room)
        time.sleep(1)


def settings():
    room_secret(database, "vault")  # made, and not handed out
    return {"team_secret": room_secret(database, "team")}


if __name__ == "__main__":
    web.serve(web.make_app(pathlib.Path(__file__).resolve().parent, settings), talk)
