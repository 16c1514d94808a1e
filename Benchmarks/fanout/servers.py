"""The servers that are compared: how each is started, what its clients say, how a message gets to it."""
import http.client
import os
import pathlib
import pickle
import shutil
import socket
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOM = "bench"


class SocketIO:
    """A Socket.IO server that reads Flask-SocketIO's channel: ws-emit, the original, python-socketio."""
    transports = ("websocket", "polling", "mixed")
    upgrade_path = "/socket.io/?EIO=4&transport=websocket"
    opening = [(None, b'"sid"'), (b"40", b"40{"), (b'420["join",{"room":"%s"}]' % ROOM.encode(), b"430[")]

    def __init__(self, command, environment=None, relative_messages=1.0):
        self.command = command
        self.environment = environment or {}
        # Slow servers need fewer messages for a steady figure.
        self.relative_messages = relative_messages

    def start(self, port, redis, folder):
        environment = {key: value.format(port=port, redis=redis.port) for key, value in self.environment.items()}
        command = [part.format(port=port, redis=redis.port) for part in self.command]
        with open(os.path.join(folder, "log"), "wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})

    def publisher(self, port, redis):
        return redis


class Nchan:
    """nginx with nchan: no Socket.IO and no pickle, websockets on channels and a publisher over HTTP."""
    transports = ("websocket",)
    upgrade_path = "/sub/" + ROOM
    opening = []
    relative_messages = 1.0
    module = "/usr/lib/nginx/modules/ngx_nchan_module.so"

    def start(self, port, redis, folder):
        path = os.path.join(folder, "nginx.conf")
        pathlib.Path(path).write_text(f"""
            load_module {self.module};
            daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
            events {{ worker_connections 10000; }}
            http {{
                access_log off;
                client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
                uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
                server {{
                    listen 127.0.0.1:{port} backlog=4096;
                    location ~ ^/sub/(.+)$ {{ nchan_subscriber websocket; nchan_channel_id $1;
                                              nchan_subscriber_first_message newest; }}
                    location ~ ^/pub/(.+)$ {{ nchan_publisher http; nchan_channel_id $1; nchan_message_timeout 3s; }}
                }}
            }}""")
        return subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", path, "-p", folder],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def publisher(self, port, redis):
        return NchanPublisher(port)


class Redis:
    """A redis-server of our own, and the connection that publishes on it."""

    def __init__(self, port, folder):
        self.port = port
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL)
        self.socket = None

    def publish(self, number):
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port))
        channel, payload = b"flask-socketio", message(number)
        self.socket.sendall(
            b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(channel), channel, len(payload), payload))
        if int(self.socket.recv(64)[1:]) != 1:
            raise SystemExit("the server has not subscribed to the channel")


class NchanPublisher:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port)

    def publish(self, number):
        self.connection.request("POST", "/pub/" + ROOM, packet(number))
        answer = self.connection.getresponse()
        answer.read()
        if answer.status not in (200, 201, 202):
            raise SystemExit(f"nchan answered {answer.status}")


def message(number):
    """The pickle that python-socketio 5.4 to 5.13 publish."""
    return pickle.dumps({
        "method": "emit", "event": "update", "data": {"number": number, "text": "x" * 100}, "namespace": "/",
        "room": ROOM, "skip_sid": None, "callback": None, "host_id": "0" * 32}, 4)


def packet(number):
    """The packet that clients get of it."""
    return b'42["update",{"number":%d,"text":"%s"}]' % (number, b"x" * 100)
