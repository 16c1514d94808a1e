"""RFC 6455 from outside: frames that no client library would send, and what the server answers to each."""
import base64
import os
import socket
import struct
import threading

import pytest

from support.clients import http_request
from support.processes import Bridge
from support.waiting import PATIENCE

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
NORMAL, PROTOCOL_ERROR, BAD_DATA, TOO_LARGE = 1000, 1002, 1007, 1009
LIMIT = 1_000_000


@pytest.fixture(scope="module")
def server():
    bridge = Bridge(None, "--ping-interval", "300", redis_url="none")
    yield bridge
    assert bridge.stop() == 0, bridge.running.output[-3000:]


def frame(opcode, payload=b"", fin=True, rsv=0, masked=True, length=None):
    """One frame; `length` says another one than the payload's."""
    payload = payload.encode() if isinstance(payload, str) else payload
    length = len(payload) if length is None else length
    first = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if length < 126:
        head = first + bytes([bit | length])
    elif length < 65536:
        head = first + bytes([bit | 126]) + struct.pack(">H", length)
    else:
        head = first + bytes([bit | 127]) + struct.pack(">Q", length)
    if not masked:
        return head + payload
    key = b"\x12\x34\x56\x78"
    repeated = (key * (len(payload) // 4 + 1))[:len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return head + key + mixed.to_bytes(len(payload), "big")


class FrameClient:
    """A websocket of which every byte is the test's own."""

    def __init__(self, server, connect=True, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((server.host, server.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")
        status, _ = self.handshake(server)
        assert status == 101
        assert self.receive()[1][:1] == b"0"
        if connect:
            self.send(frame(TEXT, "40"))
            assert self.receive()[1][:2] == b"40"

    def handshake(self, server, **changes):
        headers = {"Host": server.address, "Upgrade": "websocket", "Connection": "Upgrade",
                   "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(), "Sec-WebSocket-Version": "13"}
        lines = ["GET /socket.io/?EIO=4&transport=websocket HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        status = int(self.reader.readline().split()[1])
        fields = []
        while (line := self.reader.readline().strip()):
            fields.append(line.lower())
        return status, fields

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """Opcode and payload of the next frame; servers neither mask nor fragment."""
        first, second = self.read(2)
        assert first & 0xF0 == 0x80 and second < 128, (first, second)
        length = second
        if length == 126:
            length, = struct.unpack(">H", self.read(2))
        elif length == 127:
            length, = struct.unpack(">Q", self.read(8))
        return first & 15, self.read(length)

    def read(self, count):
        data = self.reader.read(count)
        assert len(data) == count, f"the stream ended after {data!r}"
        return data

    def echo(self, number=0):
        self.send(frame(TEXT, f'42{number}["any"]'))
        assert self.receive() == (TEXT, f"43{number}[]".encode())

    def expect_close(self, *codes):
        """The server's close frame, then, after ours, the end of the stream."""
        opcode, payload = self.receive()
        assert opcode == CLOSE, (opcode, payload)
        code = struct.unpack(">H", payload[:2])[0] if payload else None
        assert code in codes, code
        try:
            self.send(frame(CLOSE, payload))
            assert self.reader.read(1) == b""
        except ConnectionError:
            pass  # the server may reset what it has given up
        return code

    def close(self):
        self.reader.close()
        self.socket.close()


@pytest.fixture
def open_socket(server, closing):
    return lambda **kwargs: closing(FrameClient(server, **kwargs))


# Handshake

HANDSHAKE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
             "Sec-WebSocket-Version": "13"}


def test_the_accept_header_is_that_of_the_specification(server):
    answer = http_request(server, "GET", "/socket.io/?EIO=4&transport=websocket", headers=HANDSHAKE)
    assert answer.status == 101
    assert answer.headers["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer.headers["Upgrade"].lower() == "websocket"
    assert answer.headers["Connection"].lower() == "upgrade"
    assert "Sec-WebSocket-Extensions" not in answer.headers


@pytest.mark.parametrize("changes", [
    {"Sec-WebSocket-Key": None}, {"Sec-WebSocket-Version": None}, {"Sec-WebSocket-Version": "8"}, {"Upgrade": "h2c"},
    {"Connection": None}, {"Connection": "keep-alive"}],
    ids=lambda changes: f"{next(iter(changes))} {next(iter(changes.values()))}")
def test_an_incomplete_handshake_is_refused(changes, server):
    headers = {k: v for k, v in {**HANDSHAKE, **changes}.items() if v is not None}
    answer = http_request(server, "GET", "/socket.io/?EIO=4&transport=websocket", headers=headers)
    assert (answer.status, answer.text) == (400, '"Invalid websocket upgrade"')


def test_extensions_and_case_of_the_offer_do_not_matter(server):
    headers = {**HANDSHAKE, "Upgrade": "WebSocket", "Connection": "keep-alive, Upgrade",
               "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    answer = http_request(server, "GET", "/socket.io/?EIO=4&transport=websocket", headers=headers)
    assert (answer.status, answer.headers["Sec-WebSocket-Extensions"]) == (101, None)


def handshake(**changes):
    headers = {"Host": "x", **HANDSHAKE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join(["GET /socket.io/?EIO=4&transport=websocket HTTP/1.1", *lines, "", ""]).encode()


def answer_to(server, *parts):
    """What comes back for bytes that are sent in parts, up to the ack; everything if the server ends the connection."""
    with socket.create_connection((server.host, server.port), timeout=PATIENCE) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            client.sendall(part)
        received = b""
        while b"430[]" not in received and (data := client.recv(65536)):
            received += data
        return received


GREETING = [frame(TEXT, "40"), frame(TEXT, '420["any"]')]


@pytest.mark.parametrize("cut", [1, 3, 15, 60, 150, len(handshake()) - 1, len(handshake()), len(handshake()) + 1])
def test_a_handshake_and_frames_may_be_cut_anywhere(cut, server):
    everything = handshake() + b"".join(GREETING)
    for parts in ([everything], [everything[:cut], everything[cut:]]):
        answer = answer_to(server, *parts)
        assert answer.startswith(b"HTTP/1.1 101 ") and b"430[]" in answer, parts


def test_a_websocket_may_follow_other_requests_on_its_connection(server):
    first = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = answer_to(server, first + first + handshake(), *GREETING)
    assert answer.count(b"HTTP/1.1 200 ") == 2 and answer.count(b"HTTP/1.1 101 ") == 1 and b"430[]" in answer


@pytest.mark.parametrize("connection", [None, "keep-alive", "Upgrade"])
@pytest.mark.parametrize("body", ["", "Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"])
@pytest.mark.parametrize("tail", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0\1\2", b"POST /emit HTTP/1.1\r\n", frame(CLOSE)])
def test_whatever_stands_behind_a_handshake_is_no_danger(connection, body, tail, server):
    head = handshake(Connection=connection)
    if body:
        head = head[:-2] + body.encode()
    answer = answer_to(server, head + tail + frame(CLOSE))
    assert answer.startswith(b"HTTP/1.1 "), answer
    assert server.running.process.poll() is None


# Frames

@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 900_000])
def test_any_length_is_read(length, open_socket):
    client = open_socket()
    client.send(frame(TEXT, f'420["any","{"a" * length}"]'))
    assert client.receive() == (TEXT, b"430[]")


def test_a_message_of_exactly_the_limit_is_read(open_socket):
    client = open_socket()
    client.send(frame(TEXT, f'420["any","{"a" * (LIMIT - 13)}"]'[:LIMIT - 2].ljust(LIMIT - 2, "a") + '"]'))
    assert client.receive() == (TEXT, b"430[]")


def test_a_frame_over_the_limit_is_refused_by_its_header(open_socket):
    client = open_socket()
    client.send(frame(TEXT, b"", length=LIMIT + 1))
    client.expect_close(TOO_LARGE)


def test_a_length_with_the_highest_bit_is_refused(open_socket):
    client = open_socket()
    client.send(frame(BINARY, b"", length=2**64 - 1))
    client.expect_close(TOO_LARGE, PROTOCOL_ERROR)


def test_fragments_over_the_limit_together_are_refused(open_socket):
    client = open_socket()
    client.send(frame(TEXT, "4" * (LIMIT // 2), fin=False))
    client.send(frame(CONTINUATION, "4" * (LIMIT // 2), fin=False))
    client.send(frame(CONTINUATION, "4"))
    client.expect_close(TOO_LARGE)


def test_an_unmasked_frame_is_refused(open_socket):
    client = open_socket()
    client.send(frame(TEXT, '420["any"]', masked=False))
    client.expect_close(PROTOCOL_ERROR)


@pytest.mark.parametrize("rsv", [1, 2, 4])
def test_reserved_bits_are_refused(rsv, open_socket):
    client = open_socket()
    client.send(frame(TEXT, '420["any"]', rsv=rsv))
    client.expect_close(PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_reserved_opcodes_are_refused(opcode, open_socket):
    client = open_socket()
    client.send(frame(opcode, b""))
    client.expect_close(PROTOCOL_ERROR)


def test_a_message_may_come_in_fragments(open_socket):
    client = open_socket()
    client.send(frame(TEXT, "420[", fin=False) + frame(CONTINUATION, "", fin=False) + frame(CONTINUATION, '"any"]'))
    assert client.receive() == (TEXT, b"430[]")


def test_control_frames_may_come_between_fragments(open_socket):
    client = open_socket()
    client.send(frame(TEXT, '420["a', fin=False))
    client.send(frame(PING, b"now"))
    assert client.receive() == (PONG, b"now")
    client.send(frame(PONG, b"unasked") + frame(CONTINUATION, 'ny"]'))
    assert client.receive() == (TEXT, b"430[]")


def test_a_character_may_be_cut_by_fragments(open_socket):
    client = open_socket()
    text = '420["é😀"]'.encode()
    pieces = [text[i:i + 1] for i in range(len(text))]
    client.send(frame(TEXT, pieces[0], fin=False) + b"".join(frame(CONTINUATION, p, fin=False) for p in pieces[1:])
                + frame(CONTINUATION, b""))
    assert client.receive() == (TEXT, b"430[]")


def test_an_attachment_may_come_in_fragments(open_socket):
    client = open_socket()
    client.send(frame(TEXT, '451-0["any",{"_placeholder":true,"num":0}]'))
    client.send(frame(BINARY, b"\x00", fin=False) + frame(CONTINUATION, b"\xff"))
    assert client.receive() == (TEXT, b"430[]")


def test_a_continuation_of_nothing_is_refused(open_socket):
    client = open_socket()
    client.send(frame(CONTINUATION, "4"))
    client.expect_close(PROTOCOL_ERROR)


def test_a_new_message_amid_fragments_is_refused(open_socket):
    client = open_socket()
    client.send(frame(TEXT, "4", fin=False) + frame(TEXT, "4"))
    client.expect_close(PROTOCOL_ERROR)


def test_frames_may_arrive_byte_by_byte(open_socket):
    client = open_socket()
    for byte in frame(TEXT, '420["any"]') + frame(PING, b"p"):
        client.send(bytes([byte]))
    assert sorted([client.receive(), client.receive()]) == [(TEXT, b"430[]"), (PONG, b"p")]  # in either order


@pytest.mark.parametrize("text", [b"\xff", b"4\xc3", b"42[\"\xed\xa0\x80\"]", b"4\xf8\x88\x80\x80\x80", b"4\xc0\x80"])
def test_text_that_is_no_utf_8_is_refused(text, open_socket):
    client = open_socket()
    client.send(frame(TEXT, text))
    client.expect_close(BAD_DATA)


@pytest.mark.parametrize("payload", [b"", b"a", b"a" * 125])
def test_a_ping_gets_its_pong(payload, open_socket):
    client = open_socket()
    client.send(frame(PING, payload))
    assert client.receive() == (PONG, payload)
    client.echo()


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_a_control_frame_is_short_and_whole(opcode, open_socket):
    client = open_socket()
    client.send(frame(opcode, b"\x03\xe8" + b"a" * 124))
    client.expect_close(PROTOCOL_ERROR, TOO_LARGE)
    client = open_socket()
    client.send(frame(opcode, b"\x03\xe8", fin=False))
    client.expect_close(PROTOCOL_ERROR)


# Close

@pytest.mark.parametrize("payload", [b"", struct.pack(">H", NORMAL), struct.pack(">H", 4000) + b"bye"])
def test_a_close_is_answered_with_a_close(payload, open_socket):
    client = open_socket()
    client.send(frame(CLOSE, payload))
    assert client.receive() == (CLOSE, payload[:2])
    assert client.reader.read(1) == b""


@pytest.mark.parametrize("payload", [
    b"\x03", struct.pack(">H", 999), struct.pack(">H", 1005), struct.pack(">H", 1006), struct.pack(">H", 5000),
    struct.pack(">H", NORMAL) + b"\xff"], ids=lambda payload: payload.hex())
def test_a_wrong_close_is_answered_with_an_error(payload, open_socket):
    client = open_socket()
    client.send(frame(CLOSE, payload))
    opcode, answer = client.receive()
    assert (opcode, struct.unpack(">H", answer)[0]) in [(CLOSE, PROTOCOL_ERROR), (CLOSE, BAD_DATA)]
    assert client.reader.read(1) == b""


def test_nothing_is_answered_after_a_close(open_socket):
    client = open_socket()
    client.send(frame(CLOSE) + frame(TEXT, '420["any"]') + frame(PING))
    assert client.receive()[0] == CLOSE
    try:
        assert client.reader.read(1) == b""
    except ConnectionResetError:
        pass


def test_a_stream_that_ends_without_close_ends_the_session(open_socket, server):
    client, other = open_socket(), open_socket()
    client.send(frame(TEXT, '420["any"')[:9])
    client.close()
    other.echo()


# Hostile clients

def resident_kilobytes(server):
    with open(f"/proc/{server.running.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_a_client_that_pings_without_reading_is_bounded(open_socket, server):
    client, other = open_socket(receive_buffer=4096), open_socket()
    before = resident_kilobytes(server)
    burst = frame(PING, b"a" * 125) * 500
    client.socket.settimeout(2)
    sent = 0
    try:
        # Within this, a server that piles up its answers passes the bound below.
        while sent < 20_000_000:
            sent += client.socket.send(burst)
            assert resident_kilobytes(server) - before < 32_000, f"after {sent} bytes"
    except (TimeoutError, ConnectionError):
        pass  # held back, or disconnected: both are bounds
    other.echo()


def test_thousands_of_empty_fragments_cost_little(open_socket, server):
    client, other = open_socket(), open_socket()
    before = resident_kilobytes(server)
    client.send(frame(TEXT, "420[", fin=False))
    client.send(frame(CONTINUATION, "", fin=False) * 100_000)
    client.send(frame(CONTINUATION, '"any"]'))
    assert client.receive() == (TEXT, b"430[]")
    assert resident_kilobytes(server) - before < 16_000
    other.echo()


def test_random_bytes_end_their_own_connection_only(open_socket):
    other = open_socket()
    def attack(seed):
        client = open_socket(connect=False)
        try:
            client.send(random_bytes(seed) * 4)
            client.socket.shutdown(socket.SHUT_WR)
            while client.reader.read(4096):
                pass
        except ConnectionError:
            pass
    threads = [threading.Thread(target=attack, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    other.echo()


def random_bytes(seed):
    """1,000 bytes, the same for the same seed."""
    state, made = seed * 2654435761 + 1, bytearray()
    for _ in range(1000):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        made.append(state >> 56)
    return bytes(made)
