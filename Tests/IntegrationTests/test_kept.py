"""Rooms that keep the last message of each event, and give it to those who join."""
import json
import threading

import pytest

from support.clients import LibraryClient, PollingClient, RawClient, http_request
from support.waiting import eventually

pytestmark = pytest.mark.ours
RULES = ("--keep", "kept-*", "--keep", "shop-* event=price key=/sku")


@pytest.fixture(scope="module")
def keeping_bridge(redis_server, page_server):
    """A ws-emit with rules, several event loops, and rooms for the tests."""
    from support.processes import Bridge
    bridge = Bridge(redis_server, *RULES, "--threads", "3", origins=[page_server.origin])
    yield bridge
    assert bridge.stop() in (0, -15), bridge.running.output[-3000:]


@pytest.fixture
def name(room):
    return "kept-" + room


def kept(bridge, closing, room, marker):
    """The events that a new client gets from its join up to a marker, which is sent to its sid."""
    client = closing(RawClient(bridge))
    answer, = client.join(room)
    marker(client.sid)
    events = []
    while (event := client.receive_event())[0] != "marker":
        events.append(event)
    assert answer == {"ok": True, "kept": len(events)} if events else answer == {"ok": True}, (answer, events)
    return events


@pytest.fixture
def values(keeping_bridge, closing, some_emitter):
    """Reads what a room gives to a new client."""
    return lambda room: kept(keeping_bridge, closing, room, lambda sid: some_emitter.emit("marker", room=sid))


def test_a_client_that_joins_gets_the_last_message_of_each_event(emitter, values, name):
    for event, data in [("a", 1), ("b", {"x": [1]}), ("a", 2), ("pair", (1, 2))]:
        emitter.emit(event, data, room=name)
    expected = [["b", {"x": [1]}], ["a", 2], ["pair", 1, 2]]
    eventually(lambda: values(name) == expected, "the room gives its last messages")
    # In every event loop, and as often as somebody joins.
    assert all(values(name) == expected for _ in range(6))


def test_a_message_without_data_forgets(emitter, values, name):
    emitter.emit("a", 1, room=name)
    emitter.emit("b", 2, room=name)
    emitter.emit("a", room=name)
    eventually(lambda: values(name) == [["b", 2]], "the event without data is forgotten")


def test_a_room_without_a_rule_gives_nothing(some_emitter, values, room):
    some_emitter.emit("a", 1, room=room)
    assert values(room) == []


def test_the_key_of_the_rule_keeps_a_value_for_each_article(emitter, values, room):
    shop = "shop-" + room
    for sku, price in [("a", 1), ("b", 2), ("a", 3)]:
        emitter.emit("price", {"sku": sku, "price": price}, room=shop)
    eventually(lambda: values(shop) == [["price", {"sku": "b", "price": 2}], ["price", {"sku": "a", "price": 3}]],
               "each article has its price")


def publish(redis_server, room, event, data, **more):
    redis_server.client.publish("flask-socketio", json.dumps(
        {"method": "emit", "event": event, "data": [data], "binary": False, "namespace": "/", "room": room, "skip_sid": None,
         "callback": None, "host_id": "test", **more}))


def test_a_message_decides_for_itself(redis_server, values, room, name):
    publish(redis_server, room, "a", 1, keep=True)
    publish(redis_server, room, "b", 2, keep=True, key="k")
    publish(redis_server, room, "b", 3, keep=60, key="other")
    publish(redis_server, name, "a", 4)
    publish(redis_server, name, "a", 5, keep=False)
    eventually(lambda: values(room) == [["a", 1], ["b", 2], ["b", 3]], "kept by the message's word")
    eventually(lambda: values(name) == [["a", 4]], "a fleeting message leaves the value in place")


def test_a_value_is_forgotten_at_its_age(redis_server, values, room):
    publish(redis_server, room, "a", 1, keep=0.3)
    publish(redis_server, room, "b", 2, keep=60)
    eventually(lambda: values(room) == [["b", 2]], "the value is gone at its age")


def test_bytes_are_kept(emitter, keeping_bridge, name, closing):
    emitter.emit("file", {"content": b"\x00\xff"}, room=name)
    emitter.emit("text", "x", room=name)

    def received():
        client = LibraryClient(keeping_bridge)
        try:
            client.join(name)
            return [client.receive(), client.receive()]
        finally:
            client.close()
    eventually(lambda: [list(event) for event in received()] == [["file", {"content": b"\x00\xff"}], ["text", "x"]],
               "bytes arrive as bytes")


def test_a_client_that_polls_gets_them_too(some_emitter, keeping_bridge, values, name, closing):
    some_emitter.emit("a", 1, room=name)
    eventually(lambda: values(name) == [["a", 1]], "the value is kept")
    client = closing(PollingClient(keeping_bridge))
    client.join(name)
    assert client.receive() == '42["a",1]'


def test_the_stock_client_gets_the_ack_then_the_kept_events(page, some_emitter, keeping_bridge, values, name):
    some_emitter.emit("a", 1, room=name)
    eventually(lambda: values(name) == [["a", 1]], "the value is kept")
    page.open(keeping_bridge.url)
    while page.next()[1] != "connect":
        pass
    page.join(name)
    while (heard := page.next())[1] != "event":
        pass
    assert heard == [0, "event", "a", 1]


def test_a_joiner_gets_every_message_once_and_in_order_while_messages_flow(some_emitter, keeping_bridge, redis_server, name,
                                                                          closing):
    """Each client's first value is the last one of its join, and each later one follows, whichever event loop has it."""
    stop, last = threading.Event(), 2000

    def emit():
        for number in range(last + 1):
            publish(redis_server, name, "n", number)
        stop.set()
    thread = threading.Thread(target=emit)
    thread.start()
    joined = 0
    try:
        while not stop.is_set() or joined < 20:
            client = RawClient(keeping_bridge)
            client.join(name)
            joined += 1
            numbers = [client.receive_event()[1]]
            while numbers[-1] < last and len(numbers) < 50:
                numbers.append(client.receive_event()[1])
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
            client.close()
    finally:
        thread.join()
    assert joined >= 20


def test_an_emit_by_http_is_kept_and_its_report_says_so(keeping_bridge, values, room):
    def emit(keep):
        body = json.dumps({"event": "a", "data": 1, "room": room, "keep": keep, "secret": "123", "report": True})
        return json.loads(http_request(keeping_bridge, "POST", "/emit", body, {"Content-Type": "application/json"}).text)
    assert emit(True)["kept"] == 1
    assert values(room) == [["a", 1]]
    assert emit(False)["kept"] == 0


def test_what_is_kept_is_bounded(start_bridge, redis_server, some_emitter, closing, room):
    bridge = start_bridge(redis_server, "--keep", "*", "--keep-bytes", "20480", "--keep-room-bytes", "20480", admin=True)
    assert any("--keep-bytes" in line and "memory" in line for line in bridge.running.output.splitlines()), "the start warns"
    for number in range(100):
        some_emitter.emit("a", "x" * 1000, room=f"{room}-{number}")
    marker = lambda sid: some_emitter.emit("marker", room=sid)
    eventually(lambda: kept(bridge, closing, f"{room}-99", marker) == [["a", "x" * 1000]], "the newest is kept")
    assert kept(bridge, closing, f"{room}-0", marker) == []
    assert bridge.admin.metric("ws_emit_kept_bytes") <= 20480
    assert bridge.admin.metric("ws_emit_kept_dropped_total", reason="evicted") > 80
