"""Clients that read more slowly than messages come, by each policy; and what their pages are told."""
import json
import time

import pytest
import websocket

from support.clients import PollingClient, RawClient, http_request
from support.waiting import PATIENCE, eventually
from test_browser import connect

pytestmark = pytest.mark.ours
POLICIES = ["drop-oldest", "latest"]


@pytest.fixture
def with_policy(redis_server, start_bridge, tmp_path):
    """Starts a ws-emit with one rule for all rooms."""
    def start(policy, *flags):
        rules = tmp_path / "rules"
        rules.write_text(f"* slow={policy}\n")
        return start_bridge(redis_server, "--rules", str(rules), *flags, admin=True)
    return start


def dropped(bridge, policy):
    return bridge.admin.metric("ws_emit_packets_dropped_slow_total", policy=policy)


def flood(emitter, witness, room, count, size):
    """Messages that a client which reads gets, every one, whatever the policy."""
    for number in range(count):
        emitter.emit("x", [number, "x" * size], room=room)
        assert witness.receive_event()[1][0] == number


@pytest.mark.parametrize("policy", POLICIES)
def test_a_websocket_that_does_not_read_loses_messages_and_stays(policy, with_policy, closing, some_emitter, room):
    bridge = with_policy(policy, "--max-queue", "4000000", "--stall-timeout", "100", "--ping-interval", "3600")
    deaf, witness = closing(RawClient(bridge)), closing(RawClient(bridge))
    for one in (deaf, witness):
        one.join(room)
    flood(some_emitter, witness, room, 60, 200_000)
    some_emitter.emit("end", room=room)
    got = []
    while (event := deaf.receive_event())[0] != "end":
        got.append(event[1][0])
    assert got == sorted(got) and got[-1] == 59 and got[0] == 0
    assert len(got) + dropped(bridge, policy) == 60
    if policy == "latest":
        # What was on its way, and the last.
        assert got[:-1] == list(range(len(got) - 1))
    else:
        # What was on its way, and 4 MB of the last.
        newest = [number for number in got if number > got.index(number)]
        assert 15 <= len(newest) <= 20 and newest == list(range(newest[0], 60))
    assert deaf.join(room) == [{"ok": True}]
    assert bridge.admin.metric("ws_emit_slow_clients_closed_total") == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_a_poller_that_stays_away_loses_messages_and_stays(policy, with_policy, closing, some_emitter, room):
    bridge = with_policy(policy, "--max-queue", "100000")
    poller, witness = closing(PollingClient(bridge)), closing(RawClient(bridge))
    for one in (poller, witness):
        one.join(room)
    flood(some_emitter, witness, room, 30, 9_900)
    some_emitter.emit("end", room=room)
    got = []
    while (event := json.loads(poller.receive()[2:]))[0] != "end":
        got.append(event[1][0])
    assert got == ([29] if policy == "latest" else list(range(30 - len(got), 30))) and len(got) <= 10
    assert dropped(bridge, policy) == 30 - len(got)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("polls_before", [0, 1])
def test_an_upgrade_goes_on_with_what_is_left(policy, polls_before, with_policy, closing, some_emitter, room):
    bridge = with_policy(policy, "--max-queue", "100000")
    client, witness = closing(PollingClient(bridge)), closing(RawClient(bridge))
    for one in (client, witness):
        one.join(room)
    flood(some_emitter, witness, room, 20, 9_900)
    for _ in range(polls_before):
        client.get()
    flood(some_emitter, witness, room, 20, 9_900)
    upgraded = websocket.create_connection(
        bridge.websocket_url("EIO=4&transport=websocket&sid=" + client.sid), timeout=PATIENCE, suppress_origin=True)
    upgraded.send("2probe")
    assert upgraded.recv() == "3probe"
    flood(some_emitter, witness, room, 5, 9_900)
    upgraded.send("5")
    first = json.loads(upgraded.recv()[2:])[1][0]
    assert first == (4 if policy == "latest" else 15)
    some_emitter.emit("end", room=room)
    rest = []
    while (event := json.loads(upgraded.recv()[2:]))[0] != "end":
        rest.append(event[1][0])
    assert rest == ([] if policy == "latest" else [16, 17, 18, 19, 0, 1, 2, 3, 4])
    upgraded.close()


def test_the_key_of_a_rule_tells_messages_apart(redis_server, start_bridge, closing, some_emitter, room, tmp_path):
    (tmp_path / "rules").write_text("* event=price keep key=/sku slow=latest\n")
    bridge = start_bridge(redis_server, "--rules", str(tmp_path / "rules"))
    poller, witness = closing(PollingClient(bridge)), closing(RawClient(bridge))
    for one in (poller, witness):
        one.join(room)
    for number in range(3):
        for sku in "ab":
            some_emitter.emit("price", {"sku": sku, "cents": number}, room=room)
            assert witness.receive_event()[1]["cents"] == number
    assert [json.loads(poller.receive()[2:])[1] for _ in "ab"] == [{"sku": sku, "cents": 2} for sku in "ab"]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_phone_that_sleeps_stays_beyond_the_stall_timeout(policy, with_policy, closing, some_emitter, room):
    bridge = with_policy(policy, "--stall-timeout", "0.5", "--ping-interval", "3600")
    phone, witness = closing(RawClient(bridge)), closing(RawClient(bridge))
    for one in (phone, witness):
        one.join(room)
    flood(some_emitter, witness, room, 12, 1_000_000)
    time.sleep(2)
    some_emitter.emit("end", room=room)
    got = []
    while (event := phone.receive_event())[0] != "end":
        got.append(event[1][0])
    assert got[-1] == 11 and len(got) < 12, "the newest of what waited is there"


def test_the_warning_names_the_flag_the_rule_and_how_many_once_a_minute(redis_server, start_bridge, closing, some_emitter):
    bridge = start_bridge(redis_server, "--max-queue", "1000", admin=True)
    clients = [closing(PollingClient(bridge)) for _ in range(5)]
    for client in clients:
        client.join("full")
    for _ in range(3):
        some_emitter.emit("x", "x" * 900, room="full")
    eventually(lambda: bridge.admin.metric("ws_emit_slow_clients_closed_total") == 5, "the clients are disconnected")
    lines = [line for line in bridge.running.output.splitlines() if "client too slow" in line]
    assert len(lines) == 1 and "warning" in lines[0]
    assert "--max-queue" in lines[0] and "slow=latest" in lines[0] and "once a minute" in lines[0]


def test_a_poller_that_was_disconnected_learns_why(redis_server, start_bridge, closing, some_emitter, room):
    bridge = start_bridge(redis_server, "--max-queue", "1000")
    client = closing(PollingClient(bridge))
    client.join(room)
    for _ in range(3):
        some_emitter.emit("x", "x" * 900, room=room)
    bridge.running.wait_for_line("client too slow")
    for method, body in (("GET", None), ("POST", b"3")):
        answer = http_request(bridge, method, "/socket.io/?" + client.query, body)
        assert (answer.status, answer.text) == (400, '"slow client: more waited than --max-queue allows"')


# What the stock client's page sees

DETAILS = """
sockets[0].on("disconnect", (reason, details) => hear(0, "details", reason, details.description,
    details.context.code ?? null, details.context.reason ?? null, details.context.responseText ?? null))"""
HANG = """
setTimeout(() => { const end = performance.now() + arguments[0]; while (performance.now() < end); }, 10)"""


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_page_that_hangs_learns_why_it_was_disconnected_and_comes_back(
        transport, redis_server, start_bridge, page, page_server, some_emitter, room):
    bridge = start_bridge(redis_server, "--max-queue", "200000", origins=[page_server.origin])
    connect(page, bridge, transports=[transport])
    page.join(room)
    page.run(DETAILS)
    page.run(HANG, 2500)
    deadline = time.monotonic() + PATIENCE
    while not (closed := [line for line in bridge.running.output.splitlines() if "client too slow" in line]):
        # More than all buffers on the way hold.
        some_emitter.emit("x", "x" * 100_000, room=room)
        assert time.monotonic() < deadline, "the page takes everything"
    assert "--max-queue" in closed[0]
    heard = []
    while "details" not in (event := page.next()):
        heard.append(event[1])
    text = "slow client: more waited than --max-queue allows"
    if transport == "websocket":
        assert event == [0, "details", "transport close", "websocket connection closed", 4008, text, None]
    else:
        assert event == [0, "details", "transport error", 400, None, None, f'"{text}"']
    assert set(heard) <= {"event", "disconnect"}
    while page.next()[1] != "connect":
        pass
