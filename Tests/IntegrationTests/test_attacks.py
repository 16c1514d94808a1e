"""Clients that are slow, greedy or hostile cost the others nothing."""
import os
import socket
import threading

import pytest

from support.clients import RawClient, http_request
from support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.ours


def connection(bridge):
    return socket.create_connection((bridge.host, bridge.port), PATIENCE)


def still_serves(raw, emitter, room):
    client = raw()
    client.join(room)
    emitter.emit("x", room=room)
    assert client.receive() == '42["x"]'


GARBAGE = [b"\x00" * 100, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 50, b"GET\r\n\r\n", b"\r\n" * 1000 + b"x\r\n\r\n",
           b"GET / HTTP/9.9\r\n\r\n", b"POST /emit HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
           b"POST /emit HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
           b"POST /emit HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
           b"POST /emit HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
           b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
           b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"]


@pytest.mark.parametrize("bytes_sent", GARBAGE, ids=lambda b: repr(b[:24]))
def test_garbage_is_answered_or_closed(bridge, raw, some_emitter, room, bytes_sent):
    with connection(bridge) as garbage:
        try:
            garbage.sendall(bytes_sent)
            garbage.shutdown(socket.SHUT_WR)
            while garbage.recv(65536):
                pass
        except OSError as gone:  # closed before we had finished: good too
            assert not isinstance(gone, TimeoutError)
    still_serves(raw, some_emitter, room)


def test_garbage_after_the_websocket_handshake(bridge, raw, some_emitter, room):
    for bytes_sent in (os.urandom(1000), b"\x81\x05hello", b"\xff" * 50, b"\x88\x01\x00", b"\x89\xff" + b"\xff" * 8,
                       b"\x81\xff\x7f" + b"\xff" * 7 + b"abcd", b"\x81\xff\xff" + b"\xff" * 7 + b"abcd"):
        client = raw()
        client.socket.sock.sendall(bytes_sent)
        client.socket.sock.shutdown(socket.SHUT_WR)
        try:
            while client.socket.sock.recv(65536):
                pass
        except OSError as gone:
            assert not isinstance(gone, TimeoutError)
    still_serves(raw, some_emitter, room)


def test_slow_heads_hold_nobody_up(bridge, raw, some_emitter, room):
    slow = [connection(bridge) for _ in range(200)]
    try:
        for one in slow:
            one.sendall(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost:")
        still_serves(raw, some_emitter, room)
    finally:
        for one in slow:
            one.close()


def test_a_head_that_never_ends_is_cut_off(bridge):
    with connection(bridge) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost:")
        slow.settimeout(PATIENCE)
        answer = b""
        while piece := slow.recv(65536):
            answer += piece
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 "), answer


def test_a_message_of_many_rooms_names(raw):
    client = raw()
    answer, = client.join("x" * 100_000)
    assert answer["ok"] is False and answer["error"]


def test_the_rooms_of_one_client_are_bounded(raw):
    client = raw()
    for number in range(1100):
        client.send(f'42["join",{{"room":"many-{number}"}}]')
    answer, = client.join("one more")
    assert answer["ok"] is False, answer


def test_the_namespaces_of_one_client_are_bounded(raw):
    client = raw()
    refused = 0
    try:
        for number in range(200):
            client.send(f"40/many-{number},")
            refused += client.receive().startswith("44")
    except Exception:
        refused += 1
    assert refused


def test_a_client_that_does_not_read_is_closed_and_the_others_get_everything(bridge, raw, some_emitter, room):
    deaf, witness = raw(), raw()
    deaf.join(room)
    witness.join(room)
    deaf.socket.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    text = "x" * 100_000
    for number in range(150):
        some_emitter.emit("x", [number, text], room=room)
        assert witness.receive_event()[1][0] == number
    bridge.running.wait_for_line(deaf.handshake["sid"])  # it says whom it gave up
    sockets = f"/proc/{bridge.running.process.pid}/net/tcp"
    port = f":{deaf.socket.sock.getsockname()[1]:04X} "
    def established():
        return [line for line in open(sockets) if line.split()[2] + " " == f"0100007F{port}" and line.split()[3] == "01"]
    eventually(lambda: not established(), "the transport is closed")


def test_a_poller_that_does_not_come_is_closed(bridge, polling, raw, some_emitter, room):
    client, witness = polling(), raw()
    client.join(room)
    witness.join(room)
    for number in range(20):
        some_emitter.emit("x", "x" * 100_000, room=room)
        witness.receive()
    eventually(lambda: http_request(bridge, "POST", "/socket.io/?" + client.query, b"3").status == 400,
               "the session is gone")


def test_many_connections_come_and_go(bridge, raw, some_emitter, room):
    def come_and_go():
        for _ in range(25):
            client = RawClient(bridge)
            client.join(room)
            client.socket.sock.close()
    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    still_serves(raw, some_emitter, room)
    files = f"/proc/{bridge.running.process.pid}/fd"
    eventually(lambda: len(os.listdir(files)) < 100, "closed connections give their descriptors back")


BINARY = b'452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
UNFINISHED = {
    "frame": b"\x81\xff" + (1_000_000).to_bytes(8, "big") + bytes(4) + b"x" * 900_000,
    "fragments": (b"\x01\xfe" + (60_000).to_bytes(2, "big") + bytes(4) + b"x" * 60_000
                  + (b"\x00\xfe" + (60_000).to_bytes(2, "big") + bytes(4) + b"x" * 60_000) * 14),
    "attachment": (bytes([0x81, 0x80 | len(BINARY)]) + bytes(4) + BINARY
                   + b"\x82\xff" + (900_000).to_bytes(8, "big") + bytes(4) + b"x" * 900_000),
    "body": b"POST /emit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
            + b" " * 900_000,
}


@pytest.mark.parametrize("kind", UNFINISHED)
def test_what_many_clients_begin_and_do_not_end_is_bounded(redis_server, start_bridge, closing, kind):
    bridge = start_bridge(redis_server, "--threads", "2", "--max-unfinished", "8000000")
    witness = closing(RawClient(bridge))
    witness.join("r")
    status = f"/proc/{bridge.running.process.pid}/status"
    def resident():
        return next(int(line.split()[1]) for line in open(status) if line.startswith("VmRSS"))
    before, held = resident(), []
    for _ in range(60):
        if kind == "body":
            held.append(closing(connection(bridge)))
            held[-1].sendall(UNFINISHED[kind])
        else:
            client = closing(RawClient(bridge))
            held.append(client.socket.sock)
            held[-1].sendall(UNFINISHED[kind])
    line = bridge.running.wait_for_line("--max-unfinished")
    assert "warning" in line
    def given_up():
        page = http_request(bridge, "GET", "/metrics").text
        return next(float(line.split()[1]) for line in page.splitlines()
                    if line.startswith("ws_emit_unfinished_given_up_total "))
    eventually(lambda: given_up() > 30, "the oldest are closed")
    assert resident() - before < 40_000
    witness.send('427["join",{"room":"' + "y" * 1000 + '"}]')
    assert witness.receive() == '437[{"ok":true}]'
    assert sum("--max-unfinished" in line for line in bridge.running.lines) == 1, "once a minute"


def test_compressed_or_reserved_frames_are_refused(raw):
    client = raw()
    client.socket.sock.sendall(b"\xc1\x81\x00\x00\x00\x00x")
    client.wait_for_close()
