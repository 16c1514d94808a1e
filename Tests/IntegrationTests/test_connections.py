"""Accepting: what a connection becomes, how many there may be, and what happens when the process is out of descriptors."""
import itertools
import os
import resource
import socket

import pytest

from support.clients import RawClient, http_request
from support.processes import Bridge
from support.waiting import PATIENCE, eventually


@pytest.fixture
def start():
    bridges = []

    def start(*flags):
        bridges.append(Bridge(None, *flags, redis_url="none", admin=True))
        return bridges[-1]

    yield start
    for bridge in bridges:
        assert bridge.stop() == 0, bridge.running.output[-3000:]


def connection(bridge):
    return socket.create_connection((bridge.host, bridge.port), PATIENCE)


def is_closed(client):
    """Whether the server has ended the connection, which it says without a byte."""
    client.settimeout(PATIENCE)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("loops", ["1", "3"])
def test_connections_beyond_the_limit_are_refused_and_cost_the_others_nothing(start, loops):
    bridge = start("--max-connections", "6", "--threads", loops)
    # That of the fixture's own first look may still be closing.
    eventually(lambda: bridge.admin.metric("ws_emit_connections") == 0, "no connection is left")
    clients = [RawClient(bridge) for _ in range(3)]
    silent = [connection(bridge) for _ in range(3)]
    eventually(lambda: bridge.admin.metric("ws_emit_connections") == 6, "all are counted")
    for _ in range(3):
        with connection(bridge) as refused:
            assert is_closed(refused)
    bridge.running.wait_for_line("connections beyond the limit are refused")
    assert bridge.admin.metric("ws_emit_connections_refused_total") == 3
    for client in clients:
        client.send('420["any"]')
        assert client.receive() == "430[]"
    silent.pop().close()
    eventually(lambda: bridge.admin.metric("ws_emit_connections") == 5, "one has gone")
    assert http_request(bridge, "GET", "/socket.io/?EIO=4&transport=polling").status == 200


def test_who_connects_while_no_descriptor_is_left_is_served_when_there_is_one(start):
    bridge = start("--threads", "1")
    clients = [RawClient(bridge) for _ in range(4)]
    process = bridge.running.process.pid
    _, hard = resource.prlimit(process, resource.RLIMIT_NOFILE)
    # The highest number in use is no bound: at its start the server opens descriptors to count the free ones, and whatever
    # another thread opens meanwhile keeps a high number above a gap in which all who wait here find a place.
    used = {int(name) for name in os.listdir(f"/proc/{process}/fd")}
    lowest_free = next(number for number in itertools.count() if number not in used)
    resource.prlimit(process, resource.RLIMIT_NOFILE, (lowest_free, hard))
    waiting = [connection(bridge) for _ in range(20)]
    bridge.running.wait_for_line("connections wait to be accepted")
    clients[0].send('420["any"]')
    assert clients[0].receive() == "430[]", "the others are served meanwhile"
    resource.prlimit(process, resource.RLIMIT_NOFILE, (hard, hard))
    request = b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n"
    for client in waiting:
        client.sendall(request)
        client.settimeout(PATIENCE)
        assert client.recv(15) == b"HTTP/1.1 200 OK"
    assert bridge.admin.metric("ws_emit_accepts_paused_total") >= 1


@pytest.mark.parametrize("beginning", [b"", b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgra"])
def test_a_request_that_does_not_come_is_not_waited_for(start, beginning):
    bridge = start("--head-timeout", "1")
    with connection(bridge) as client:
        client.sendall(beginning)
        assert is_closed(client)
    assert bridge.admin.metric("ws_emit_requests_timed_out_total") == 1


def test_connections_are_spread_over_the_event_loops(start):
    bridge = start("--threads", "4")
    clients = [RawClient(bridge) for _ in range(8)]
    sids = [client.handshake["sid"] for client in clients]
    assert sorted(sid[:2] for sid in sids) == sorted(["AA", "AB", "AC", "AD"] * 2)


def test_all_of_many_clients_are_pinged_and_those_who_do_not_answer_are_let_go(start):
    bridge = start("--threads", "1", "--ping-interval", "1", "--ping-timeout", "1")
    clients = [RawClient(bridge) for _ in range(200)]
    for client in clients:
        assert client.socket.recv() == "2"
    clients[0].send("3")
    for client in clients[1:]:
        assert client.wait_for_close(), "with a close frame"
    assert bridge.admin.metric("ws_emit_ping_timeouts_total") >= 199
