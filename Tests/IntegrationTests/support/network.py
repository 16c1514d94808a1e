"""A TCP proxy whose connections a test cuts, or lets fall silent."""
import contextlib
import socket
import struct
import threading

from .waiting import free_port


class Proxy:
    """Forwards connections to a server."""

    def __init__(self, host, port):
        self.host, self.port = "127.0.0.1", free_port()
        self._target = (host, port)
        self._listener = socket.create_server((self.host, self.port))
        self._pairs = []
        self._silenced = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def websocket_url(self, query="EIO=4&transport=websocket", path="/socket.io/"):
        return f"ws://{self.host}:{self.port}{path}?{query}"

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed
            with contextlib.suppress(OSError):
                far = socket.create_connection(self._target)
                self._pairs.append((near, far))
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if source not in self._silenced:
                    sink.sendall(data)
        if source not in self._silenced:
            for one in (source, sink):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """Resets all connections. What is on its way is lost."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for one in pair:
                reset(one)

    def silence(self):
        """Nothing passes any more, and neither end is told: as when a phone changes its network."""
        for pair in self._pairs:
            self._silenced.update(pair)
        self._pairs = []

    def close(self):
        self._listener.close()
        self.cut()


def reset(connection):
    """Closes a TCP connection at once, and tells the other end so."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
