"""Clients that lose their connection come back to what they missed: Socket.IO's connection state recovery."""
import itertools
import json
import random

import pytest
import requests
import websocket

from support.clients import LibraryClient, PollingClient, RawClient
from support.network import Proxy, reset
from support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.ours
QUICK = ("--canary-interval", "0.1", "--canary-limit", "1")
TRANSPORTS = ("websocket", "polling", "upgrade")


@pytest.fixture
def recovering(start_bridge, redis_server):
    return lambda *flags, redis=redis_server, **kwargs: start_bridge(redis, "--recovery", "60", *flags, **kwargs)


@pytest.fixture
def publish(redis_server):
    def publish(room, data, redis=redis_server, namespace="/", skip=None, event="x", **changes):
        return redis.client.publish("flask-socketio", json.dumps(
            {"method": "emit", "event": event, "data": [data], "binary": False, "namespace": namespace, "room": room,
             "skip_sid": skip, "callback": None, "host_id": "test", **changes}))
    return publish


@pytest.fixture
def command(redis_server):
    def command(method, redis=redis_server, namespace="/", **fields):
        redis.client.publish("flask-socketio", json.dumps(
            {"method": method, "namespace": namespace, "host_id": "test", **fields}))
    return command


class Visitor:
    """Does with pid and offset what the stock client does."""

    def __init__(self, bridge, transport="websocket", namespace="/"):
        self.bridge, self.transport = bridge, transport
        self.namespace = namespace
        self.prefix = "" if namespace == "/" else namespace + ","
        self.pid = self.offset = self.sid = None
        self.events = []
        self.ids = itertools.count()
        self.open()

    def open(self):
        """Connects, and asks for the last connection if there was one."""
        if self.transport == "websocket":
            self.link = RawClient(self.bridge, namespaces=())
            self.connect()
        else:
            self.link = PollingClient(self.bridge, connect=False)
            self.connect()
            if self.transport == "upgrade":
                self.upgrade()
        return self

    def connect(self):
        auth = {} if self.pid is None else {"pid": self.pid}
        if self.offset is not None:
            auth["offset"] = self.offset
        self.send("40" + self.prefix + (json.dumps(auth) if auth else ""))
        reply = self.read_until("40" + self.prefix)
        self.recovered = self.pid is not None and reply["pid"] == self.pid
        self.sid, self.pid = reply["sid"], reply["pid"]

    def upgrade(self):
        polls = self.link
        for packet in polls.waiting:
            self.keep(packet)
        self.link = RawClient.__new__(RawClient)
        self.link.ids = itertools.count()
        self.link.socket = websocket.create_connection(
            self.bridge.websocket_url("EIO=4&transport=websocket&sid=" + polls.sid), timeout=PATIENCE, suppress_origin=True)
        self.link.send("2probe")
        assert self.link.receive() == "3probe"
        self.link.send("5")
        polls.close()

    def send(self, packet):
        if isinstance(self.link, PollingClient):
            assert self.link.post(packet).status == 200
        else:
            self.link.send(packet)

    def read_until(self, prefix):
        """Reads packets up to one with this prefix, keeps the events before it, and returns its JSON."""
        while True:
            packet = self.link.receive()
            if packet.startswith(prefix):
                return json.loads(packet[len(prefix):])
            self.keep(packet)

    def keep(self, packet):
        assert packet.startswith("42" + self.prefix), packet
        *event, offset = json.loads(packet[2 + len(self.prefix):])
        assert isinstance(offset, str) and len(offset) == 10, packet
        self.offset = offset
        self.events.append(event)

    def call(self, event, argument):
        number = next(self.ids)
        self.send(f"42{self.prefix}{number}{json.dumps([event, argument])}")
        return self.read_until(f"43{self.prefix}{number}")[0]

    def join(self, room, **extra):
        assert self.call("join", {"room": room, **extra}) == {"ok": True}
        return self

    def receive(self):
        if not self.events:
            self.keep(self.link.receive())
        return self.events.pop(0)

    def numbers(self, last):
        """The data of the events up to the one with `last`."""
        found = []
        while not found or found[-1] != last:
            found.append(self.receive()[1])
        return found

    def cut(self):
        """Ends the connection without reading what came; a poll may be waiting."""
        if isinstance(self.link, PollingClient):
            self.link.connection.request("GET", "/socket.io/?" + self.link.query)
            reset(self.link.connection.sock)
        else:
            reset(self.link.socket.sock)

    def close(self):
        self.link.close()


def test_without_the_flag_nothing_changes(bridge, publish, room, raw):
    client = raw(namespaces=())
    client.send('40{"pid":"AAAAAAAAAAAAAAAAAAAA","offset":"AAAAAAAAAA"}')
    reply = json.loads(client.receive()[2:])
    assert list(reply) == ["sid"]
    client.join(room)
    publish(room, 1)
    assert client.receive() == '42["x",1]'


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_client_gets_what_it_missed_and_what_follows(recovering, publish, closing, room, transport):
    bridge = recovering("--threads", "4")
    visitor = closing(Visitor(bridge, transport).join(room))
    publish(room, 1)
    assert visitor.receive() == ["x", 1]
    sid = visitor.sid
    visitor.cut()
    for number in (2, 3):
        publish(room, number)
    publish(sid, 4)
    publish(None, 5)
    publish("elsewhere", 6)
    for round in range(3):
        visitor.open()
        assert visitor.recovered and visitor.sid == sid
        publish(room, 10 * round + 7)
        publish(sid, 10 * round + 8)
        expected = [2, 3, 4, 5, 7, 8] if round == 0 else [10 * round + 7, 10 * round + 8]
        assert visitor.numbers(expected[-1]) == expected
        visitor.cut()


def test_attachments_and_lists_of_rooms_and_skipped_clients(recovering, emitters, closing, room):
    bridge = recovering()
    visitor = closing(RawClient(bridge, namespaces=()))
    visitor.send("40")
    first = json.loads(visitor.receive()[2:])
    for name in (room, room + "2"):
        visitor.join(name)
    reset(visitor.socket.sock)
    emitter = emitters("newest")
    emitter.emit("file", {"content": b"\x00\xff"}, room=room)
    emitter.emit("x", 1, room=[room, room + "2"])
    emitter.emit("x", 2, room=room, skip_sid=first["sid"])
    again = closing(RawClient(bridge, namespaces=()))
    again.send("40" + json.dumps({"pid": first["pid"]}))
    assert json.loads(again.receive()[2:]) == first
    assert again.receive().startswith('451-["file",{"content":{"_placeholder":true,"num":0}},"')
    assert again.receive() == b"\x00\xff"
    assert again.receive().startswith('42["x",1,"')
    emitter.emit("x", 3, room=room)
    assert again.receive().startswith('42["x",3,"')


def test_namespaces_of_a_connection_are_recovered_each_for_itself(recovering, publish, closing, room):
    bridge = recovering("--threads", "3")
    link = closing(RawClient(bridge, namespaces=()))
    pids = {}
    for namespace in ("/", "/a", "/b"):
        prefix = "" if namespace == "/" else namespace + ","
        link.send("40" + prefix)
        pids[namespace] = json.loads(link.receive()[2 + len(prefix):])
        link.join(room, namespace=namespace)
    link.send("41/b,")
    link.call("other", 1)
    reset(link.socket.sock)
    for number, namespace in enumerate(pids):
        publish(room, number, namespace=namespace)
    again = closing(RawClient(bridge, namespaces=()))
    for namespace, reply in pids.items():
        prefix = "" if namespace == "/" else namespace + ","
        again.send(f"40{prefix}{json.dumps({'pid': reply['pid']})}")
        packet = json.loads(again.receive()[2 + len(prefix):])
        if namespace == "/b":
            assert packet["pid"] != reply["pid"] and packet["sid"] != reply["sid"]
        else:
            assert packet == reply
            assert again.receive().startswith(f'42{prefix}["x",{list(pids).index(namespace)},"')


def test_backends_act_on_clients_that_are_away(recovering, publish, command, closing, room):
    bridge = recovering("--threads", "4", admin=True)
    visitors = [closing(Visitor(bridge).join(room + "a").join(room + "b")) for _ in range(4)]
    for visitor in visitors:
        visitor.cut()
    eventually(lambda: bridge.admin.metric("ws_emit_parked_sockets") == 4, "the server has noticed")
    command("disconnect", sid=visitors[0].sid)
    command("leave_room", sid=visitors[1].sid, room=room + "a")
    command("enter_room", sid=visitors[2].sid, room=room + "c")
    publish(room + "b", 1)
    command("close_room", room=room + "b")
    publish(room + "a", 2)
    publish(room + "b", 3)
    publish(room + "c", 4)
    for visitor in visitors:
        visitor.open()
        publish(visitor.sid, 9)
    assert [visitor.recovered for visitor in visitors] == [False, True, True, True]
    assert [visitor.numbers(9) for visitor in visitors] == [[9], [1, 9], [1, 2, 4, 9], [1, 2, 9]]
    assert bridge.admin.metric("ws_emit_recoveries_total", result="recovered") == 3
    assert bridge.admin.metric("ws_emit_recoveries_total", result="unknown_pid") == 1
    assert bridge.admin.metric("ws_emit_parked_sockets") == 0


def test_secrets_are_checked_again(recovering, publish, redis_server, closing, room):
    bridge = recovering("--threads", "4")
    for space in ("open", "shut"):
        redis_server.client.set(f"ws-emit::room_secret::{room}{space}", "S3cret")
    visitor = closing(Visitor(bridge))
    for space in ("open", "shut"):
        visitor.join(f"{room}{space}::r", secret="S3cret")
    visitor.cut()
    redis_server.client.set(f"ws-emit::room_secret::{room}shut", "another")
    for number, space in enumerate(("shut", "open")):
        publish(f"{room}{space}::r", number)
    visitor.open()
    assert visitor.recovered
    publish(f"{room}shut::r", 3)
    publish(visitor.sid, 4)
    assert visitor.numbers(4) == [1, 4]


def test_a_client_is_not_recovered_across_a_gap(own_redis, recovering, publish, closing, room):
    bridge = recovering(*QUICK, redis=own_redis, admin=True)
    bridge.admin.wait_until_ready()
    visitor = closing(Visitor(bridge).join(room, gap=True))
    publish(room, 1, redis=own_redis)
    assert visitor.receive() == ["x", 1]
    visitor.cut()
    own_redis.kill()
    own_redis.start()
    eventually(lambda: own_redis.subscribers() == 1, "ws-emit subscribes again")
    visitor.open()
    assert not visitor.recovered
    assert bridge.admin.metric("ws_emit_recoveries_total", result="subscription_gap") == 1
    # The gap is over, and the next cut isn't part of it.
    visitor.join(room)
    visitor.cut()
    publish(room, 2, redis=own_redis)
    visitor.open()
    assert visitor.recovered and visitor.receive() == ["x", 2]


def test_the_wish_to_be_told_of_gaps_survives(own_redis, recovering, closing, room):
    bridge = recovering(*QUICK, "--threads", "4", redis=own_redis, admin=True)
    bridge.admin.wait_until_ready()
    visitor = closing(Visitor(bridge).join(room, gap=True))
    visitor.cut()
    visitor.open()
    assert visitor.recovered
    own_redis.kill()
    own_redis.start()
    assert visitor.link.receive().startswith('42["ws-emit:gap",{"from":')


def test_bounds_end_in_a_new_connection(recovering, publish, closing, room):
    bridge = recovering("--recovery-room-bytes", "20000", admin=True)
    visitors = [closing(Visitor(bridge).join(room + name)) for name in ("a", "b")]
    for visitor in visitors:
        visitor.cut()
    for number in range(50):
        publish(room + "a", "x" * 1000)
    publish(room + "b", 1)
    for visitor in visitors:
        visitor.open()
    assert [visitor.recovered for visitor in visitors] == [False, True]
    assert visitors[1].receive() == ["x", 1]
    assert bridge.admin.metric("ws_emit_recoveries_total", result="log_too_short") == 1
    assert 0 < bridge.admin.metric("ws_emit_recovery_log_bytes") < 40_000


def test_the_time_is_limited(redis_server, start_bridge, publish, closing, room):
    bridge = start_bridge(redis_server, "--recovery", "0.1", admin=True)
    visitor = closing(Visitor(bridge).join(room))
    visitor.cut()
    eventually(lambda: bridge.admin.metric("ws_emit_parked_sockets") == 1, "the server has noticed")
    eventually(lambda: bridge.admin.metric("ws_emit_parked_sockets") == 0, "its time is over")
    assert not visitor.open().recovered


def test_python_clients_see_one_argument_more(recovering, publish, closing, room):
    client = closing(LibraryClient(recovering()))
    client.join(room)
    publish(room, 1)
    event, number, offset = client.receive()
    assert (event, number) == ("x", 1) and len(offset) == 10


def test_emits_over_http_are_missed_and_recovered_like_others(recovering, closing, room):
    bridge = recovering("--threads", "4", admin=True)
    visitor = closing(Visitor(bridge).join(room))
    visitor.cut()
    eventually(lambda: bridge.admin.metric("ws_emit_parked_sockets") == 1, "the server has noticed")
    emit = {"event": "x", "room": room, "secret": "123"}
    assert requests.post(bridge.url + "/emit", json={**emit, "data": 1}, timeout=PATIENCE).status_code == 200
    # One who is away isn't counted.
    report = requests.post(bridge.url + "/emit", json={**emit, "data": 2, "report": True}, timeout=PATIENCE).json()
    assert report["matched"] == report["queued"] == 0, report
    visitor.open()
    assert visitor.recovered and visitor.numbers(2) == [1, 2]
    # Kept messages are for those who join, and this one has never left.
    assert requests.post(bridge.url + "/emit", json={**emit, "data": 3, "keep": True}, timeout=PATIENCE).status_code == 200
    assert visitor.numbers(3) == [3]
    visitor.cut()
    assert requests.post(bridge.url + "/emit", json={**emit, "data": 4}, timeout=PATIENCE).status_code == 200
    visitor.open()
    assert visitor.recovered and visitor.numbers(4) == [4]


def test_random_cuts_lose_and_repeat_nothing(recovering, publish, command, closing):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    bridge = recovering("--threads", "4")
    rooms = ["cut-a", "cut-b", "cut-c"]
    visitors = [closing(Visitor(bridge, TRANSPORTS[index % 3])) for index in range(9)]
    control = closing(Visitor(bridge))
    member = {visitor: set() for visitor in visitors}
    expected = {visitor: [] for visitor in visitors}
    away = set()
    numbers = itertools.count(1)

    def settle():
        """Waits until everything published so far has been routed."""
        number = next(numbers)
        publish(control.sid, number)
        while control.receive()[1] != number:
            pass

    def emit():
        number = next(numbers)
        kind = dice.randrange(8)
        if kind == 0:
            publish(None, number)
            receivers = visitors
        elif kind == 1:
            receivers = [dice.choice(visitors)]
            publish(receivers[0].sid, number)
        elif kind == 2:
            some, skipped = dice.sample(rooms, 2), dice.choice(visitors)
            publish(some, number, skip=skipped.sid)
            receivers = [v for v in visitors if v is not skipped and member[v] & set(some)]
        else:
            room = dice.choice(rooms)
            publish(room, number)
            receivers = [v for v in visitors if room in member[v]]
        for visitor in receivers:
            expected[visitor].append(number)

    for _ in range(600):
        visitor, room = dice.choice(visitors), dice.choice(rooms)
        act = dice.randrange(12)
        if act == 0 and visitor not in away:
            settle()
            visitor.join(room)
            member[visitor].add(room)
        elif act == 1 and visitor not in away:
            settle()
            visitor.call("leave", {"room": room})
            member[visitor].discard(room)
        elif act == 2:
            command("enter_room", sid=visitor.sid, room=room)
            member[visitor].add(room)
        elif act == 3:
            command("leave_room", sid=visitor.sid, room=room)
            member[visitor].discard(room)
        elif act == 4 and dice.random() < 0.3:
            command("close_room", room=room)
            for one in member.values():
                one.discard(room)
        elif act in (5, 6) and visitor not in away:
            visitor.cut()
            away.add(visitor)
        elif act == 7 and visitor in away:
            visitor.open()
            assert visitor.recovered
            away.discard(visitor)
        else:
            for _ in range(dice.randrange(1, 5)):
                emit()
    for visitor in visitors:
        if visitor in away:
            visitor.open()
            assert visitor.recovered
    last = next(numbers)
    publish(None, last)
    for visitor in visitors:
        assert visitor.numbers(last) == expected[visitor] + [last]


# The stock client

WAYS = {"websocket only": {"transports": ["websocket"]}, "polling only": {"transports": ["polling"]}, "upgrade": {}}


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


def next_of(page, *kinds):
    """The next event of one of these kinds."""
    while True:
        _, kind, *rest = page.next()
        if kind in kinds:
            return kind, *rest


def opened(page, url, way, room):
    page.open(url, **way)
    seen = dict(next_of(page, "connect", "upgrade") for _ in range(1 if "transports" in way else 2))
    sid = seen["connect"]
    assert page.join(room) == [{"ok": True}]
    assert page.run("return sockets[0].recovered") is False
    return sid


def test_a_browser_whose_engine_is_closed(page, page_server, recovering, publish, way, room):
    bridge = recovering("--threads", "4", origins=[page_server.origin])
    sid = opened(page, bridge.url, way, room)
    publish(room, 1)
    assert next_of(page, "event")[:3] == ("event", "x", 1)
    page.run("sockets[0].io.reconnectionDelay(500); sockets[0].io.engine.close()")
    assert next_of(page, "disconnect") == ("disconnect", "forced close")
    for number in (2, 3):
        publish(room, number)
    # The client emits what it missed before `connect`.
    assert [next_of(page, "event", "connect")[:3] for _ in range(3)] in (
        [("event", "x", 2), ("event", "x", 3), ("connect", sid)], [("connect", sid), ("event", "x", 2), ("event", "x", 3)])
    assert page.run("return sockets[0].recovered") is True
    publish(room, 4)
    assert next_of(page, "event")[:3] == ("event", "x", 4)


def test_a_browser_gets_every_event_once_and_in_order(page, page_server, recovering, publish, closing, way, room):
    bridge = recovering("--threads", "4", origins=[page_server.origin])
    proxy = closing(Proxy(bridge.host, bridge.port))
    opened(page, proxy.url, way, room)
    for number in range(100):
        publish(room, number)
        if number % 20 == 10:
            proxy.cut()
    assert [next_of(page, "event")[2] for _ in range(100)] == list(range(100))


def test_a_browser_that_changes_its_network(page, page_server, recovering, publish, closing, way, room):
    bridge = recovering("--threads", "4", origins=[page_server.origin])
    proxy = closing(Proxy(bridge.host, bridge.port))
    sid = opened(page, proxy.url, way, room)
    publish(room, 1)
    assert next_of(page, "event")[:3] == ("event", "x", 1)
    # The server doesn't notice; the page, as browsers do, gives its connections up.
    proxy.silence()
    for number in (2, 3):
        publish(room, number)
    page.run("sockets[0].io.engine.close()")
    assert sorted(next_of(page, "event", "connect")[:3] for _ in range(3)) == [
        ("connect", sid), ("event", "x", 2), ("event", "x", 3)]
    assert page.run("return sockets[0].recovered") is True


def test_a_page_that_is_loaded_again_passes_on_what_it_remembers(page, page_server, recovering, publish, room):
    bridge = recovering(origins=[page_server.origin])
    listen = """
        const [url, auth] = arguments;
        openSocket(url, {transports: ["websocket"], auth});
        window.memory = {};
        sockets[0].io.on("packet", ({type, data}) => { if (type === 0) memory.pid = data.pid; });
        sockets[0].onAny((...args) => { if (typeof args.at(-1) === "string") memory.offset = args.at(-1); });"""
    page.run(listen, bridge.url, {})
    _, sid = next_of(page, "connect")
    page.join(room)
    publish(room, 1)
    assert next_of(page, "event")[:3] == ("event", "x", 1)
    memory = page.run("return memory")
    page.driver.refresh()
    publish(room, 2)
    page.run(listen, bridge.url, {"pid": memory["pid"], "offset": memory["offset"]})
    assert sorted(next_of(page, "event", "connect")[:3] for _ in range(2)) == [("connect", sid), ("event", "x", 2)]
