"""Three kinds of client: bare websocket, bare HTTP long-polling, and python-socketio."""
import http.client
import itertools
import json
import queue

import socketio
import websocket

from .waiting import PATIENCE, take


class RawClient:
    """Reads and writes the frames themselves, so that a test compares what is really sent."""

    def __init__(self, bridge, namespaces=("/",), origin=None, path="/socket.io/"):
        self.bridge = bridge
        self.socket = websocket.create_connection(
            bridge.websocket_url(path=path), timeout=PATIENCE, origin=origin, suppress_origin=origin is None,
            skip_utf8_validation=True)
        opened = self.socket.recv()
        assert opened[0] == "0", opened
        self.handshake = json.loads(opened[1:])
        self.ids = itertools.count()
        self.sids = {}
        for namespace in namespaces:
            self.connect(namespace)

    @property
    def sid(self):
        return self.sids["/"]

    def connect(self, namespace="/"):
        prefix = "" if namespace == "/" else namespace + ","
        self.send("40" + prefix)
        answer = self.receive()
        assert answer.startswith("40" + prefix + "{"), answer
        self.sids[namespace] = json.loads(answer[2 + len(prefix):])["sid"]
        return self

    def send(self, frame):
        if isinstance(frame, bytes):
            self.socket.send_binary(frame)
        else:
            self.socket.send(frame)

    def receive(self):
        """The next text (str) or binary (bytes) frame; pings are answered and passed over."""
        while True:
            opcode, payload = self.socket.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                raise websocket.WebSocketConnectionClosedException(payload)
            if opcode == websocket.ABNF.OPCODE_BINARY:
                return payload
            if payload == b"2":
                self.send("3")
                continue
            return payload.decode("utf-8", "surrogatepass")

    def receive_event(self):
        """The arguments of the next plain event, its name first."""
        frame = self.receive()
        assert frame.startswith("42"), frame
        return json.loads(frame[2:])

    def wait_for_close(self):
        """Reads to the end: True when the server closed with a close frame, False when the stream just ended."""
        try:
            while True:
                self.receive()
        except websocket.WebSocketConnectionClosedException as closed:
            return bool(closed.args and isinstance(closed.args[0], bytes))
        except ConnectionError:
            return False

    def call(self, event, *args, namespace="/"):
        """Sends an event and returns the arguments of its acknowledgement."""
        prefix = "" if namespace == "/" else namespace + ","
        number = next(self.ids)
        self.send(f"42{prefix}{number}{json.dumps([event, *args])}")
        answer, expected = self.receive(), f"43{prefix}{number}["
        assert answer.startswith(expected), answer
        return json.loads(answer[len(expected) - 1:])

    def join(self, room, namespace="/", **extra):
        return self.call("join", {"room": room, **extra}, namespace=namespace)

    def leave(self, room, namespace="/"):
        return self.call("leave", {"room": room}, namespace=namespace)

    def close(self):
        self.socket.close(timeout=1)


class LibraryClient:
    """python-socketio's own client; every event is queued as (namespace, name, arguments)."""

    def __init__(self, bridge, namespaces=("/",), transports=("websocket",), answer=None):
        self.events = queue.Queue()
        self.disconnects = queue.Queue()
        # The websocket library would send the server's own address as origin, which is not an allowed one.
        self.client = socketio.Client(reconnection=False, websocket_extra_options={"suppress_origin": True})
        for namespace in namespaces:
            def heard(event, *args, namespace=namespace):
                self.events.put((namespace, event, args))
                return answer
            def gone(*reason, namespace=namespace):
                self.disconnects.put(namespace)
            self.client.on("*", heard, namespace=namespace)
            self.client.on("disconnect", gone, namespace=namespace)
        self.client.connect(bridge.url, namespaces=list(namespaces), transports=list(transports), wait_timeout=PATIENCE)

    def sid(self, namespace="/"):
        return self.client.get_sid(namespace)

    def join(self, room, namespace="/", **extra):
        return self.client.call("join", {"room": room, **extra}, namespace=namespace, timeout=PATIENCE)

    def receive(self, namespace="/"):
        """(name, argument...) of the next event, which must be in `namespace`."""
        where, event, args = take(self.events, f"an event in {namespace}")
        assert where == namespace, (where, event, args)
        return (event, *args)

    def close(self):
        self.client.disconnect()


class PollingClient:
    """HTTP long-polling, one request at a time."""

    def __init__(self, bridge, connect=True, headers=None):
        self.headers = headers or {}
        self.connection = http.client.HTTPConnection(bridge.host, bridge.port, timeout=PATIENCE)
        self.query = "EIO=4&transport=polling"
        self.waiting = []
        self.ids = itertools.count()
        answer = self.get()
        assert answer.status == 200, answer
        packet, = answer.text.split("\x1e")
        self.handshake = json.loads(packet[1:])
        self.sid = self.handshake["sid"]
        self.query += "&sid=" + self.sid
        if connect:
            self.post("40")
            self.namespace_sid = json.loads(self.receive()[2:])["sid"]

    def request(self, method, query=None, body=None, headers=None):
        self.connection.request(method, "/socket.io/?" + (query or self.query), body, {**self.headers, **(headers or {})})
        return Answer(self.connection.getresponse())

    def get(self):
        return self.request("GET")

    def post(self, *packets):
        return self.request("POST", body="\x1e".join(packets).encode(), headers={"Content-Type": "text/plain"})

    def receive(self):
        """The next packet that is not a ping."""
        while True:
            while not self.waiting:
                answer = self.get()
                assert answer.status == 200, answer
                self.waiting = [p for p in answer.text.split("\x1e") if p not in ("2", "6")]
                if "2" in answer.text.split("\x1e"):
                    self.post("3")
            return self.waiting.pop(0)

    def join(self, room):
        number = next(self.ids)
        assert self.post(f"42{number}{json.dumps(['join', {'room': room}])}").status == 200
        answer = self.receive()
        assert answer.startswith(f"43{number}["), answer
        return json.loads(answer[2 + len(str(number)):])

    def close(self):
        self.connection.close()


class Answer:
    """An HTTP answer read to its end."""

    def __init__(self, response):
        self.status = response.status
        self.reason = response.reason
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"{self.status} {self.reason} {dict(self.headers)} {self.body[:300]!r}"


def http_request(bridge, method, path, body=None, headers=None):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(bridge.host, bridge.port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()
