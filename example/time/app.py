"""The server's time in the browser, sent each second through ws-emit. Settings: see shared/web.py."""
import pathlib
import time

import web
from flask_socketio import SocketIO

# Without an app, this SocketIO can only emit. A backend behind ws-emit needs no more.
socketio = SocketIO(message_queue=web.REDIS)


def tell_the_time():
    while True:
        time.sleep(1 - time.time() % 1)
        socketio.emit("update", {"time": int(time.time())}, room="time")


if __name__ == "__main__":
    web.serve(web.make_app(pathlib.Path(__file__).resolve().parent), tell_the_time)
