"""The server's time in the browser, sent each second through ws-emit.

This program serves the page and publishes to Redis; it never speaks to a browser's socket. Settings come from the
environment: PORT (7788), REDIS (redis://localhost:6379/0), WS_EMIT_URL (http://localhost:8899) and SOCKET_IO_JS, a URL
or a local file of the Socket.IO client.
"""
import os
import pathlib
import threading
import time

from flask import Flask, render_template, send_file
from flask_socketio import SocketIO

PORT = int(os.environ.get("PORT", "7788"))
REDIS = os.environ.get("REDIS", "redis://localhost:6379/0")
WS_EMIT_URL = os.environ.get("WS_EMIT_URL", "http://localhost:8899")
CLIENT = os.environ.get("SOCKET_IO_JS", "https://cdn.socket.io/4.8.1/socket.io.min.js")

app = Flask(__name__, template_folder=".")
# No app is passed: this SocketIO can only emit, which is all a backend behind ws-emit needs.
socketio = SocketIO(message_queue=REDIS)


@app.route("/")
def page():
    client = CLIENT if "://" in CLIENT else "/socket.io.min.js"
    return render_template("page.html", client=client, ws_emit_url=WS_EMIT_URL)


@app.route("/socket.io.min.js")
def client_script():
    return send_file(pathlib.Path(CLIENT).resolve(), mimetype="text/javascript")


def tell_the_time(stopped):
    while not stopped.wait(1 - time.time() % 1):
        socketio.emit("update", {"time": int(time.time())}, room="time")


if __name__ == "__main__":
    threading.Thread(target=tell_the_time, args=(threading.Event(),), daemon=True).start()
    app.run(host="127.0.0.1", port=PORT)
