"""Runs in an environment of python-socketio: a server for clients, fed by the channel as a Flask-SocketIO server is."""
import sys

import socketio
from werkzeug.serving import make_server

url, port = sys.argv[1:]
server = socketio.Server(async_mode="threading", client_manager=socketio.RedisManager(url, channel="flask-socketio"))


def join(namespace):
    def handler(sid, data):
        server.enter_room(sid, data["room"], namespace=namespace)
        return {"ok": True}
    server.on("join", handler, namespace=namespace)


for name in ("/", "/chat"):
    join(name)
web = make_server("127.0.0.1", int(port), socketio.WSGIApp(server), threaded=True)
print("ready", flush=True)
web.serve_forever()
