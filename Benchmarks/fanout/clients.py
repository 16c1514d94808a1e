"""Clients as far as counting messages needs them: one for each transport, on sockets that the load generator polls."""
import json
import socket
import sys

from servers import ROOM


class Client:
    """What both have: a connection, the bytes that came, whether the message that everybody waits for is among them."""

    def __init__(self, port):
        self.port = port
        self.connect()
        self.received = b""

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), 30)

    def expect(self, marker):
        """Waits for a marker, and drops what came up to it."""
        while marker not in self.received:
            part = self.socket.recv(65536)
            if not part:
                sys.exit(f"a client was disconnected before {marker!r}")
            self.received += part
        self.received = self.received[self.received.index(marker) + len(marker):]

    def settle(self):
        """Ready for messages: from now on only `readable` reads."""
        self.received = b""
        self.socket.setblocking(False)


def upgrade_request(server):
    return (b"GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" % server.upgrade_path.encode())


def masked(text):
    """A client's frame; a mask of zeros leaves the text as it is."""
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text


class WebSocketClient(Client):
    def __init__(self, port, server):
        super().__init__(port)
        self.socket.sendall(upgrade_request(server))
        if not server.opening:
            self.expect(b"\r\n\r\n")
        for text, marker in server.opening:
            if text:
                self.socket.sendall(masked(text))
            self.expect(marker)
        self.settle()

    def readable(self, marker):
        """Reads what has come.

        Returns whether the message with this marker is complete."""
        self.received += self.socket.recv(65536)
        if marker in self.received and self.received.endswith(b"]"):
            self.received = b""
            return True
        return False


class PollingClient(Client):
    """Long polling: as soon as a poll is answered the next one is sent."""

    def __init__(self, port, server):
        super().__init__(port)
        self.sid = None
        self.sid = json.loads(self.request("GET")[1:])["sid"]
        self.request("POST", b"40")
        self.request("GET")
        self.request("POST", b'420["join",{"room":"%s"}]' % ROOM.encode())
        self.request("GET")
        self.settle()
        self.ask()

    def head(self, method, body=b""):
        sid = f"&sid={self.sid}" if self.sid else ""
        length = f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n" if body else ""
        return f"{method} /socket.io/?EIO=4&transport=polling{sid} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n".encode() + body

    def request(self, method, body=b""):
        """One request and its answer, before the messages begin. Some servers end the connection after each."""
        try:
            self.socket.sendall(self.head(method, body))
            answer = self.answer()
        except ConnectionError:
            self.connect()
            self.received = b""
            self.socket.sendall(self.head(method, body))
            answer = self.answer()
        return answer

    def answer(self):
        while (content := self.complete()) is None:
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionError(self.received[:300])
            self.received += part
        return content

    def complete(self):
        """The body of the answer, once it is all there."""
        head, found, rest = self.received.partition(b"\r\n\r\n")
        if not found:
            return None
        if b"transfer-encoding: chunked" in head.lower():
            return self.complete_chunks(rest)
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")),
                      None)
        if length is None or len(rest) < length:
            return None
        self.received = rest[length:]
        return rest[:length]

    def complete_chunks(self, rest):
        content = b""
        while True:
            size, found, after = rest.partition(b"\r\n")
            if not found or len(after) < int(size, 16) + 2:
                return None
            if int(size, 16) == 0:
                self.received = after[2:]
                return content
            content += after[:int(size, 16)]
            rest = after[int(size, 16) + 2:]

    def ask(self):
        self.socket.sendall(self.head("GET"))

    def readable(self, marker):
        self.received += self.socket.recv(65536)
        content = self.complete()
        if content is None:
            return False
        self.ask()
        return marker in content
