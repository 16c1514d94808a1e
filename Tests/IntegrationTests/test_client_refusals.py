"""What a client asks for and doesn't get is in the log once a minute by cause, in the metrics, and known to explain."""
import json
import socket

import pytest

from support.clients import PollingClient, RawClient, http_request
from support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.ours
POLL = "/socket.io/?EIO=4&transport=polling"


def asks(path, method="GET", body=None, **headers):
    return lambda bridge: http_request(bridge, method, path, body, headers)


def first_frame(frame):
    return lambda bridge: RawClient(bridge, namespaces=()).send(frame)


def sends(packet):
    return lambda bridge: RawClient(bridge).send(packet)


def raw(data):
    def send(bridge):
        with socket.create_connection((bridge.host, bridge.port), PATIENCE) as connection:
            connection.sendall(data)
            connection.recv(100)
    return send


def post_of_another_parser(bridge):
    # What socket.io-msgpack-parser posts: a binary packet where the text 40 is due.
    client = PollingClient(bridge, connect=False)
    client.post("bg6R0eXBlAKNuc3Ch")


# What a client does, the cause, and words of the line.
ROWS = [
    ("msgpack over a websocket", first_frame(b"\x83\xa4type\x00"), "unsupported_parser", ["msgpack", "option parser"]),
    ("a JSON parser of its own", first_frame('4{"type":0,"nsp":"/"}'), "unsupported_parser", ["the first packet is"]),
    ("a stripped Upgrade", asks("/socket.io/?EIO=4&transport=websocket"), "websocket_without_upgrade", ["a proxy"]),
    ("release 2", asks("/socket.io/?EIO=3&transport=polling", **{"User-Agent": "old/2"}), "unsupported_version",
     ["version 3", "user_agent", "old/2"]),
    ("no version", asks("/socket.io/?transport=polling"), "unsupported_version", ["without EIO"]),
    ("another transport", asks("/socket.io/?EIO=4&transport=webtransport"), "unknown_transport", ["webtransport"]),
    ("a session of another", asks(POLL + "&sid=AAAAAAAAAAAAAAAAAAAA"), "unknown_session", ["withCredentials: true"]),
    ("no session at all", asks(POLL + "&sid=nonsense", "POST", "3"), "unknown_session", ["another ws-emit"]),
    ("another path", asks("/push/?EIO=4&transport=polling"), "unknown_path", ["/push/", "/socket.io/"]),
    ("TLS", raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "broken_request", ["TLS", "address", "127.0.0.1"]),
    ("an event to nobody", sends('42["chat\\u001b[31m\\n",1]'), "unhandled_event", ["chat", "only join and leave"]),
    ("a namespace", sends("40/admin,"), "namespace_refused", ["/admin", "--namespace /admin"]),
    ("a broken packet", sends("42[nonsense"), "invalid_packet", ["not JSON"]),
    ("a broken frame", lambda bridge: RawClient(bridge).socket.sock.sendall(b"\xf1\x80\0\0\0\0"), "invalid_packet",
     ["websocket frame"]),
    ("a large body", asks(POLL + "&sid=AAAAAAAAAAAAAAAAAAAA", "POST", "4" * 2000), "too_large", ["--max-payload"]),
    ("a locked room", sends('42["join",{"room":"dir::x"}]'), "join_refused", ["dir::x", "needs a secret"]),
]


# A server logs a cause once a minute, so rows of the same cause need servers of their own.
FIRST = {row[2]: row for row in reversed(ROWS)}
SERVERS = [list(FIRST.values()), [row for row in ROWS if row not in FIRST.values()]]


@pytest.mark.parametrize("rows", SERVERS, ids=["each cause", "other ways to the same causes"])
def test_a_refusal_is_logged_once_a_minute_and_counted(start_bridge, rows):
    bridge = start_bridge(None, "--redis", "none", "--namespace", "/", "--max-payload", "1000", "--threads", "2", admin=True)
    for name, does, cause, words in rows:
        for _ in range(5):
            does(bridge)
        line = bridge.running.wait_for_line(cause)
        assert "warning" in line and "\x1b" not in line, (name, line)
        for word in words:
            assert word in line, (name, word, line)
        eventually(lambda: bridge.admin.metric("ws_emit_client_refusals_total", cause=cause) == 5, f"{name}: all five are counted")
        assert len([line for line in bridge.running.lines if cause in line]) == 1, (name, bridge.running.output)
    told = json.loads(bridge.admin.get("/explain?room=x").body)["refusals"]
    assert {refusal["cause"]: refusal["count"] for refusal in told} == {cause: 5 for _, _, cause, _ in rows}, told
    assert len(told) == len(rows) and all(refusal["advice"] for refusal in told), told


def test_a_session_that_has_ended_is_no_warning(start_bridge):
    bridge = start_bridge(None, "--redis", "none", admin=True)
    client = PollingClient(bridge)
    client.post("1")
    assert http_request(bridge, "GET", POLL + "&sid=" + client.sid).status == 400
    assert "info" in bridge.running.wait_for_line("ended_session")
    assert bridge.admin.metric("ws_emit_client_refusals_total", cause="ended_session") == 1
