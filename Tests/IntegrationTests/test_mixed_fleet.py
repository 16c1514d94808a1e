"""Emitters and servers of many releases of python-socketio on one channel, with ws-emit among them."""
import json
import pickle
import threading
import urllib.request

import pytest

from support.clients import LibraryClient, RawClient, http_request
from support.processes import Bridge, Emitter, RedisServer
from support.python_server import PythonServer
from support.waiting import PATIENCE

EMITTERS = ["4.6", "5.4", "5.11", "5.13", "5.15", "newest"]
ROUNDS = 30


@pytest.fixture(scope="module")
def fleet_redis():
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def fleet(fleet_redis):
    """The emitters, by release."""
    emitters = {release: Emitter(release, fleet_redis) for release in EMITTERS}
    yield emitters
    for emitter in emitters.values():
        emitter.stop()


@pytest.fixture
def bridge(fleet_redis, start_bridge):
    return start_bridge(fleet_redis, secret="123")


def arguments(release, number):
    """What is emitted in each round, and the arguments that the clients of that very release would get."""
    # 5.15.0 writes a tuple as a list, which its own receivers take for one argument.
    spread = [[number, "b"]] if release == "5.15" else [number, "b"]
    return [({"n": number}, [{"n": number}]), ([1, number], [[1, number]]), ((number, "b"), spread), (None, []),
            ("té😀", ["té😀"])]


def test_six_releases_emit_at_once_and_each_event_arrives_once_in_order_as_it_was_meant(fleet, bridge, closing, room):
    clients = [closing(RawClient(bridge)) for _ in range(2)]
    for client in clients:
        client.join(room)
    problems = []

    def emit(release):
        try:
            for number in range(ROUNDS):
                for data, _ in arguments(release, number):
                    fleet[release].emit("from-" + release, data, room=room)
        except Exception as problem:
            problems.append((release, problem))
    threads = [threading.Thread(target=emit, args=(release,)) for release in EMITTERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    for client in clients:
        received = {}
        for _ in range(len(EMITTERS) * ROUNDS * 5):
            name, *rest = client.receive_event()
            received.setdefault(name, []).append(rest)
        for release in EMITTERS:
            expected = [meant for number in range(ROUNDS) for _, meant in arguments(release, number)]
            assert received["from-" + release] == expected, release


def test_bytes_arrive_as_attachments_whoever_emits_them(fleet, bridge, closing, room):
    client = closing(RawClient(bridge))
    client.join(room)
    for release in EMITTERS:
        fleet[release].emit("blob", {"b": b"\x00\xff"}, room=room)
        assert client.receive() == '451-["blob",{"b":{"_placeholder":true,"num":0}}]', release
        assert client.receive() == b"\x00\xff"


def test_a_sender_of_the_older_json_is_known_by_its_first_message_that_is_no_list(fleet, bridge, closing, room):
    client = closing(RawClient(bridge))
    client.join(room)
    for data, expected in (([1, 2], '42["x",1,2]'), ("text", '42["x","text"]'), ([1, 2], '42["x",[1,2]]')):
        fleet["5.15"].emit("x", data, room=room)
        assert client.receive() == expected


@pytest.mark.parametrize("dialect, expected", [("5.14", '42["x",[1,2]]'), ("5.15.1", '42["x",1,2]')])
def test_the_form_of_lists_may_be_told(fleet_redis, fleet, start_bridge, closing, room, dialect, expected):
    client = closing(RawClient(start_bridge(fleet_redis, "--dialect", dialect)))
    client.join(room)
    fleet["5.15"].emit("x", [1, 2], room=room)
    assert client.receive() == expected


def emit_over_http(bridge, room, data):
    body = {"event": "update", "room": room, "data": data, "secret": "123"}
    answer = http_request(bridge, "POST", "/emit", json.dumps(body), {"Content-Type": "application/json"})
    assert answer.status == 200, answer


DATA = [({"time": 1}, '42["update",{"time":1}]'), ("text", '42["update","text"]'), ([1, "é"], '42["update",[1,"\\u00e9"]]'),
        ([], '42["update",[]]'), (None, '42["update"]'), (1.5, '42["update",1.5]')]


def python_member(release, redis_server, closing, room):
    client = closing(RawClient(closing(PythonServer(release, redis_server))))
    client.join(room)
    return client


@pytest.mark.parametrize("release, seen", [("newest", None), ("newest", "newest"), ("5.15", "5.15"), ("5.13", "5.13"),
                                           ("5.11", "5.4")])
def test_an_http_emit_is_published_as_the_servers_seen_on_the_channel_read_it(
        release, seen, own_redis, start_bridge, closing, room):
    bridge = start_bridge(own_redis, secret="123")
    member = python_member(release, own_redis, closing, room)
    ours = closing(RawClient(bridge))
    ours.join(room)
    if seen:
        emitter = closing(Closing(Emitter(seen, own_redis)))
        emitter.emit("seen", {}, room=room)
        assert ours.receive() == member.receive() == '42["seen",{}]'
    for data, packet in DATA:
        emit_over_http(bridge, room, data)
        assert ours.receive() == packet
        assert member.receive() == packet, f"{data!r} at {release}"


@pytest.mark.parametrize("form, release", [("pickle", "5.13"), ("json", "newest")])
def test_the_form_of_what_is_published_may_be_told(form, release, own_redis, start_bridge, closing, room):
    bridge = start_bridge(own_redis, "--publish", form, secret="123")
    member = python_member(release, own_redis, closing, room)
    for data, packet in DATA:
        emit_over_http(bridge, room, data)
        assert member.receive() == packet, f"{data!r} at {release}"


def test_other_ws_emit_on_the_channel_are_no_older_servers(own_redis, start_bridge, closing, room):
    one, two = (start_bridge(own_redis, secret="123") for _ in range(2))
    member = python_member("newest", own_redis, closing, room)
    clients = [member] + [closing(RawClient(bridge)) for bridge in (one, two)]
    for client in clients[1:]:
        client.join(room)
    for data, packet in DATA:
        for bridge in (one, two):
            emit_over_http(bridge, room, data)
            assert [client.receive() for client in clients] == [packet] * 3


@pytest.mark.parametrize("form", ["auto", "json", "pickle"])
def test_an_http_emit_with_a_report_is_published_once_and_in_the_same_form(form, own_redis, start_bridge, closing, room):
    one, two = start_bridge(own_redis, "--publish", form, secret="123"), start_bridge(own_redis)
    member = python_member("5.13" if form == "pickle" else "newest", own_redis, closing, room)
    clients = [member] + [closing(RawClient(bridge)) for bridge in (one, two)]
    for client in clients[1:]:
        client.join(room)
    for data, packet in DATA:
        body = {"event": "update", "room": room, "data": data, "secret": "123", "report": True}
        answer = http_request(one, "POST", "/emit", json.dumps(body), {"Content-Type": "application/json"})
        report = json.loads(answer.body)
        # Those of one; one itself, two and the Python server subscribe.
        assert (report["matched"], report["queued"], report["redis_subscribers"]) == (1, 1, 3), report
        assert [client.receive() for client in clients] == [packet] * 3


class Closing:
    """An emitter that the fixture `closing` can end."""

    def __init__(self, emitter):
        self.emit, self.close = emitter.emit, emitter.stop


@pytest.mark.parametrize("release", ["5.13", "newest"])
def test_python_servers_and_ws_emit_deliver_each_others_emits(release, own_redis, start_bridge, closing, room):
    bridge = start_bridge(own_redis, secret="123")
    member = python_member(release, own_redis, closing, room)
    ours = closing(RawClient(bridge))
    ours.join(room)
    emitter = Emitter(release, own_redis)
    try:
        emitter.server("emit", "from-python", {"a": [1]}, room=room)
        assert [client.receive() for client in (ours, member)] == ['42["from-python",{"a":[1]}]'] * 2
        emit_over_http(bridge, room, {"b": 2})
        assert [client.receive() for client in (ours, member)] == ['42["update",{"b":2}]'] * 2
        # What a server does to rooms and clients reaches those of the other kind.
        emitter.server("enter_room", ours.sid, room + "-x")
        emitter.server("emit", "entered", room=room + "-x")
        assert ours.receive() == '42["entered"]'
        emitter.server("leave_room", ours.sid, room + "-x")
        emitter.server("emit", "left", room=room + "-x")
        emitter.server("close_room", room)
        emitter.server("emit", "closed", room=room)
        emitter.server("emit", "to you", room=ours.sid)
        assert ours.receive() == '42["to you"]'
        emitter.server("disconnect", ours.sid)
        assert ours.receive() == "41"
    finally:
        emitter.stop()


class OldClient:
    """A client of protocol 3, which polls, for servers of python-socketio 4."""

    def __init__(self, server):
        self.url = f"{server.url}/socket.io/?EIO=3&transport=polling&b64=1"
        self.packets = []
        self.url += "&sid=" + json.loads(self.receive()[1:])["sid"]
        assert self.receive() == "40"

    def receive(self):
        while not self.packets:
            with urllib.request.urlopen(self.url, timeout=PATIENCE) as response:
                rest = response.read().decode()
            while rest:
                length, _, rest = rest.partition(":")
                self.packets.append(rest[:int(length)])
                rest = rest[int(length):]
        return self.packets.pop(0)

    def join(self, room):
        packet = "420" + json.dumps(["join", {"room": room}])
        urllib.request.urlopen(self.url, f"{len(packet)}:{packet}".encode(), timeout=PATIENCE).close()
        assert self.receive() == '430[{"ok":true}]'

    def close(self):
        urllib.request.urlopen(self.url, b"1:1", timeout=PATIENCE).close()


class PollingMember:
    """A client of a library, whose events read as packets."""

    def __init__(self, server):
        self.client = LibraryClient(server, transports=["polling"])
        self.close = self.client.close

    def join(self, room):
        assert self.client.join(room)["ok"]

    def receive(self):
        return "42" + json.dumps(self.client.receive(), separators=(",", ":"))


@pytest.mark.parametrize("release", EMITTERS)
def test_python_servers_ignore_keep_and_key(release, own_redis, start_bridge, closing, room):
    server = closing(PythonServer(release, own_redis))
    member = closing(OldClient(server) if release == "4.6" else PollingMember(server))
    ours = closing(RawClient(start_bridge(own_redis)))
    for client in (member, ours):
        client.join(room)
    forms = [json.dumps] if release in ("5.15", "newest") else [json.dumps, lambda message: pickle.dumps(message, 2)]
    for number, keys in enumerate([{}, {"keep": True}, {"keep": 60, "key": "tea"}, {"keep": False}, {"key": "tea"}, {"keep": 0.5},
                                   {"keep": "wrong", "key": 5}]):
        for form in forms:
            own_redis.client.publish("flask-socketio", form(
                {"method": "emit", "event": "x", "data": {"n": number}, "namespace": "/", "room": room, "skip_sid": None,
                 "callback": None, "host_id": "h", **keys}))
            assert [client.receive() for client in (member, ours)] == [f'42["x",{{"n":{number}}}]'] * 2, (keys, form)
    # Nor does a message between ws-emit's end their subscription.
    for message in ({"method": "ws-emit-kept-request", "host_id": "a", "id": 1},
                    {"method": "ws-emit-kept-stored", "host_id": "a", "for": "b", "id": 1}):
        own_redis.client.publish("flask-socketio", json.dumps(message))
    own_redis.client.publish("flask-socketio", json.dumps(
        {"method": "emit", "event": "last", "data": None, "namespace": "/", "room": room, "host_id": "h"}))
    assert [client.receive() for client in (member, ours)] == ['42["last"]'] * 2


MISTAKES = {
    "a time as text": ({"keep": "300"}, "keep is neither"),
    "a number as key": ({"keep": True, "key": 5}, "key is no text"),
    "keep for everybody": ({"keep": True, "room": None}, "keep stands in a message for everybody"),
    "no namespace": ({"namespace": None}, "the namespace is missing"),
    "a namespace without slash": ({"namespace": "chat"}, "no slash"),
    "an empty skip_sid": ({"skip_sid": []}, "skip_sid is an empty list"),
    "true as skip_sid": ({"skip_sid": True}, "skip_sid is neither"),
    "no method": ({"method": None}, "there is no method"),
    "text beside binary": ({"binary": True, "data": "text"}, "holds no attachments"),
    "UTF-16": ({}, "UTF-16"),
    "a byte order mark": ({}, "byte order mark"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_hand_made_message_is_delivered_as_it_was_meant_and_its_sender_told_once(
        mistake, own_redis, start_bridge, closing, room):
    bridge = start_bridge(own_redis)
    client = closing(RawClient(bridge, namespaces=["/", "/chat"]))
    client.join(room)
    client.join(room, "/chat")
    changes, advice = MISTAKES[mistake]
    message = {"method": "emit", "event": "x", "data": {"v": 1}, "namespace": "/", "room": room, "skip_sid": None,
               "callback": None, "host_id": "hand-made", **changes}
    if message["method"] is None:
        del message["method"]
    text = json.dumps(message)
    payload = {"UTF-16": text.encode("utf-16"), "a byte order mark": b"\xef\xbb\xbf" + text.encode()}.get(mistake, text)
    for _ in range(3):
        own_redis.client.publish("flask-socketio", payload)
    prefix = "42/chat," if mistake == "a namespace without slash" else "42"
    data = '"text"' if "data" in changes else '{"v":1}'
    assert [client.receive() for _ in range(3)] == [f'{prefix}["x",{data}]'] * 3
    own_redis.client.publish("flask-socketio", json.dumps({**message, "method": "emit", "namespace": "/", "skip_sid": None,
                                                           "binary": False, "data": "last"}))
    assert client.receive() == '42["x","last"]'
    bridge.running.wait_for_line("fix its sender")
    lines = [line for line in bridge.running.lines if "fix its sender" in line]
    assert len(lines) == 1 and advice in lines[0], bridge.running.output
    assert "hand-made" in lines[0]


@pytest.mark.ours
@pytest.mark.parametrize("changes, words", [
    ({"room": 5}, ["a room is a number", '"5"']), ({"room": ["a", 5]}, ["a room is a number"]),
    ({"data": None, "message": 1}, ["without the key data", "message"]),
    ({"event": None, "name": "x"}, ["without the key event", "name"]), ({"room": None, "to": "a"}, ["a to", "everybody"]),
    ({"binary": True, "data": [[{"_placeholder": True, "num": n} for n in range(11)], *["eA=="] * 11]}, ["attachments", "11"]),
], ids=str)
def test_what_a_hand_made_sender_gets_wrong_is_said_once_per_sender(changes, words, own_redis, start_bridge, closing):
    bridge = start_bridge(own_redis)
    client = closing(RawClient(bridge))
    message = {"method": "emit", "event": "x", "data": 1, "namespace": "/", "room": None, **changes}
    message = {key: value for key, value in message.items() if value is not None}
    for host in ("hand-made-1", "hand-made-2"):
        for _ in range(3):
            own_redis.client.publish("flask-socketio", json.dumps({**message, "host_id": host}))
    own_redis.client.publish("flask-socketio", json.dumps({"method": "emit", "event": "marker", "data": 1, "namespace": "/"}))
    while client.receive() != '42["marker",1]':
        pass
    for host in ("hand-made-1", "hand-made-2"):
        bridge.running.wait_for_line(host)
        lines = [line for line in bridge.running.lines if "warning" in line and host in line]
        assert len(lines) == 1 and all(word in lines[0] for word in words), bridge.running.output
