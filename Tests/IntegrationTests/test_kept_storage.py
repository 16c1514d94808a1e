"""Kept messages in Redis: what a server gives that was started, or came back, after they were published."""
import json
import shlex
import signal
import threading
import time

import pytest

from support.clients import RawClient, http_request
from support.redis_servers import Cluster, Sentinels
from support.waiting import eventually

pytestmark = pytest.mark.ours
CHANNEL = "flask-socketio"
HASH, LEASE = "{ws-emit:kept:flask-socketio}", "{ws-emit:kept:flask-socketio}:writer"
KEEP = ("--keep", "kept-*")


def message(value, room="kept-r", event="price", **more):
    return json.dumps({"method": "emit", "event": event, "data": [value], "binary": False, "namespace": "/", "room": room,
                       "skip_sid": None, "callback": None, "host_id": "test", **more})


def kept(bridge, room="kept-r"):
    """The events that a new client gets from its join up to a marker, which this server sends to its sid."""
    client = RawClient(bridge)
    try:
        assert client.join(room)[0]["ok"]
        body = json.dumps({"event": "marker", "room": client.sid, "data": 0, "secret": "123"})
        assert http_request(bridge, "POST", "/emit", body, {"Content-Type": "application/json"}).status < 300
        events = []
        while (event := client.receive_event())[0] != "marker":
            events.append(event)
        return events
    finally:
        client.close()


def gives(bridge, *events, room="kept-r"):
    """Waits until the server has what was published, and nothing else."""
    expected = [list(event) for event in events]
    eventually(lambda: kept(bridge, room) == expected, f"the server gives {expected}")


@pytest.fixture
def start(own_redis, start_bridge):
    return lambda *flags, **kwargs: start_bridge(own_redis, *KEEP, *flags, **kwargs)


def stores(client, value):
    """Whether Redis has this value of the event `price`."""
    return any(f'["price",{value}]'.encode() in stored for stored in client.hvals(HASH))


def stored(client):
    return len(client.hkeys(HASH))


def kill(bridge):
    bridge.running.stop(signal.SIGKILL)


# MARK: fresh and restarted servers

def test_a_fresh_server_gives_the_same_values_within_a_second(own_redis, start):
    first = start()
    own_redis.client.publish(CHANNEL, message(1))
    own_redis.client.publish(CHANNEL, message({"x": ["é"]}, event="other"))
    own_redis.client.publish(CHANNEL, message(2))
    gives(first, ("other", {"x": ["é"]}), ("price", 2))
    fresh = start()
    begun = time.monotonic()
    assert kept(fresh) == kept(first), "in the order of publishing"
    assert time.monotonic() - begun < 1.5
    # What is forgotten stays forgotten.
    own_redis.client.publish(CHANNEL, message(0, data=None))
    gives(first, ("other", {"x": ["é"]}))
    third = start()
    assert kept(third) == [["other", {"x": ["é"]}]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_single_server_has_its_values_after_a_restart(own_redis, start, number):
    bridge = start()
    for value in range(10):
        own_redis.client.publish(CHANNEL, message(value))
    gives(bridge, ("price", 9))
    if number == signal.SIGKILL:
        # What was published in the last 100 ms may be lost.
        eventually(lambda: stores(own_redis.client, 9), "the last value is stored")
    bridge.running.stop(number)
    assert own_redis.client.exists(LEASE) == (number == signal.SIGKILL)
    assert kept(start()) == [["price", 9]]


def test_values_with_attachments_and_keys_are_stored(own_redis, start):
    import pickle
    bridge = start()
    own_redis.client.publish(CHANNEL, pickle.dumps(
        {"method": "emit", "event": "file", "data": b"\x00\xff", "namespace": "/", "room": "kept-r", "skip_sid": None,
         "callback": None, "host_id": "test"}))
    for key in ("a", "b", "a"):
        own_redis.client.publish(CHANNEL, message(key * 2, room="by-word", keep=True, key=key))
    gives(bridge, ("price", "bb"), ("price", "aa"), room="by-word")
    fresh = start()
    eventually(lambda: kept(fresh, "by-word") == [["price", "bb"], ["price", "aa"]], "values that their messages keep")
    client = RawClient(fresh)
    assert client.join("kept-r")[0]["ok"]
    assert client.receive() == '451-["file",{"_placeholder":true,"num":0}]' and client.receive() == b"\x00\xff"
    client.close()


def test_many_and_large_values_are_loaded(own_redis, start):
    bridge = start("--keep-room-bytes", "4000000")
    for number in range(500):
        own_redis.client.publish(CHANNEL, message(number, room=f"kept-{number}"))
    for number in range(3):
        own_redis.client.publish(CHANNEL, message("x" * 900_000, event=f"large{number}"))
    eventually(lambda: stored(own_redis.client) == 503, "all are stored")
    fresh = start("--keep-room-bytes", "4000000", admin=True)
    eventually(lambda: [event[0] for event in kept(fresh)] == ["large0", "large1", "large2"], "large values are loaded")
    assert all(kept(fresh, f"kept-{number}") == [["price", number]] for number in (0, 17, 499))
    assert fresh.admin.metric("ws_emit_redis_oversize_replies_total") == 0


# MARK: the writer

def writer(bridges):
    return eventually(lambda: next((b for b in bridges if b.admin.metric("ws_emit_kept_writes_total")), None),
                      "one server is the writer")


def test_another_server_writes_when_the_writer_is_killed(own_redis, start):
    bridges = [start(admin=True) for _ in range(2)]
    own_redis.client.publish(CHANNEL, message(1))
    first = writer(bridges)
    other = next(b for b in bridges if b is not first)
    assert other.admin.metric("ws_emit_kept_leases_taken_total") == 0, "the others only listen"
    kill(first)
    own_redis.client.publish(CHANNEL, message(2))
    gives(other, ("price", 2))
    assert kept(start()) == [["price", 2]]
    assert other.admin.metric("ws_emit_kept_leases_taken_total") == 1


def test_another_server_writes_when_the_writer_loses_its_subscription(own_redis, start):
    bridges = [start(admin=True) for _ in range(2)]
    own_redis.client.publish(CHANNEL, message(1))
    writer(bridges)
    for number in range(2, 5):
        clients = own_redis.client.client_list(_type="pubsub")
        assert len(clients) == 2
        for client in clients:
            own_redis.client.client_kill_filter(_id=client["id"])
            own_redis.client.publish(CHANNEL, message(number))
            eventually(lambda: own_redis.subscribers() == 2, "both are subscribed again")
    fresh = start()
    for bridge in [*bridges, fresh]:
        gives(bridge, ("price", 4))


def test_a_paused_writer_is_replaced_and_writes_nothing_more(own_redis, start):
    bridges = [start(admin=True) for _ in range(2)]
    own_redis.client.publish(CHANNEL, message(1))
    first = writer(bridges)
    other = next(b for b in bridges if b is not first)
    first.running.send_signal(signal.SIGSTOP)
    own_redis.client.publish(CHANNEL, message(2))
    try:
        assert kept(start()) == [["price", 2]]
    finally:
        first.running.send_signal(signal.SIGCONT)
    own_redis.client.publish(CHANNEL, message(3))
    for bridge in (first, other):
        gives(bridge, ("price", 3))
    assert kept(start()) == [["price", 3]]


# MARK: Redis away

@pytest.mark.parametrize("with_data", [True, False])
def test_after_a_restart_of_redis_all_agree(own_redis, start, with_data):
    bridges = [start() for _ in range(2)]
    for value in range(3):
        own_redis.client.publish(CHANNEL, message(value))
    for bridge in bridges:
        gives(bridge, ("price", 2))
    eventually(lambda: stores(own_redis.client, 2), "the last value is stored")
    if with_data:
        own_redis.client.save()
    own_redis.kill()
    assert kept(bridges[0]) == [["price", 2]], "with Redis away joins get what memory has"
    own_redis.start()
    assert own_redis.client.exists(HASH) == with_data
    eventually(lambda: own_redis.subscribers() == 2, "both are subscribed again")
    eventually(lambda: stored(own_redis.client) == 1, "what memory has is stored again")
    for bridge in [*bridges, start()]:
        gives(bridge, ("price", 2))
    own_redis.client.publish(CHANNEL, message(3))
    for bridge in [*bridges, start()]:
        gives(bridge, ("price", 3))


def test_a_failover_keeps_the_values(request, start_bridge):
    group = Sentinels()
    request.addfinalizer(group.close)
    bridge = start_bridge(None, *KEEP, redis_url=group.url())
    master = group.master
    eventually(lambda: master.subscribers() == 1, "ws-emit subscribes")
    master.client.publish(CHANNEL, message(1))
    eventually(lambda: stored(master.client) == 1, "the value is stored")
    new, _ = group.fail_over()
    eventually(lambda: new.subscribers() == 1, "ws-emit subscribes at the new master")
    gives(bridge, ("price", 1))
    new.client.publish(CHANNEL, message(2))
    gives(bridge, ("price", 2))
    fresh = start_bridge(None, *KEEP, redis_url=group.url())
    gives(fresh, ("price", 2))


def test_in_a_cluster_one_node_has_all_values(request, start_bridge):
    group = Cluster()
    request.addfinalizer(group.close)
    bridges = [start_bridge(None, *KEEP, redis_url=f"redis+cluster://127.0.0.1:{node.port}") for node in group.nodes]
    eventually(lambda: len(group.subscribed()) == 3, "each subscribes at a node of its own")
    for value in range(20):
        group.nodes[0].client.publish(CHANNEL, message(value, room=f"kept-{value}"))
    slot = group.nodes[0].client.execute_command("CLUSTER", "KEYSLOT", HASH)
    home = group.nodes[next(n for n in range(3) if slot < 16384 * (n + 1) // 3)]
    eventually(lambda: stored(home.client) == 20, "the node of the slot has the values")
    fresh = start_bridge(None, *KEEP, redis_url=group.url)
    for bridge in [*bridges, fresh]:
        for value in (0, 19):
            gives(bridge, ("price", value), room=f"kept-{value}")


# MARK: rights, damage, nothing

def documented_acl():
    """The rules of the documented ACL command."""
    from support.processes import ROOT
    text = (ROOT / "docs/redis.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("redis-cli ACL SETUSER") and "kept" in line)
    return shlex.split(line)[4:]


def test_the_documented_rights_are_enough(own_redis, start_bridge):
    own_redis.client.execute_command("ACL", "SETUSER", "web", "on", ">pw", "resetchannels", "&flask-socketio",
                                     "+@pubsub", "+ping", "+select", *documented_acl())
    url = f"redis://web:pw@127.0.0.1:{own_redis.port}/0"
    bridge = start_bridge(None, *KEEP, redis_url=url)
    eventually(lambda: own_redis.subscribers() == 1, "ws-emit subscribes")
    own_redis.client.publish(CHANNEL, message(1))
    own_redis.client.publish(CHANNEL, message(2, event="gone"))
    own_redis.client.publish(CHANNEL, message(0, event="gone", data=None))
    eventually(lambda: stored(own_redis.client) == 1, "the value is stored")
    bridge.stop()
    fresh = start_bridge(None, *KEEP, redis_url=url)
    gives(fresh, ("price", 1))
    assert not any("can't be stored" in line for line in bridge.running.lines + fresh.running.lines)


@pytest.mark.parametrize("missing", ["~{ws-emit:kept:*", "+eval", "+hset"])
def test_a_missing_right_is_named_once_and_memory_goes_on(own_redis, start_bridge, missing):
    rights = [right for right in documented_acl() if right != missing]
    own_redis.client.execute_command("ACL", "SETUSER", "web", "on", ">pw", "resetchannels", "&flask-socketio",
                                     "+@pubsub", "+ping", "+select", *rights)
    bridge = start_bridge(None, *KEEP, redis_url=f"redis://web:pw@127.0.0.1:{own_redis.port}/0", admin=True)
    eventually(lambda: own_redis.subscribers() == 1, "ws-emit subscribes")
    own_redis.client.publish(CHANNEL, message(1))
    line = bridge.running.wait_for_line("kept messages can't be stored")
    assert "ACL SETUSER web" in line and missing in line and HASH in line
    gives(bridge, ("price", 1))
    eventually(lambda: bridge.admin.metric("ws_emit_kept_store_failures_total") > 2, "it tries again")
    assert sum("kept messages can't be stored" in line for line in bridge.running.lines) == 1
    own_redis.client.execute_command("ACL", "SETUSER", "web", missing)
    eventually(lambda: stored(own_redis.client) == 1, "the value is stored once that is permitted")


def test_damaged_values_are_left_out_and_named(own_redis, start):
    bridge = start()
    own_redis.client.publish(CHANNEL, message(1))
    own_redis.client.publish(CHANNEL, message(2, event="other"))
    eventually(lambda: stored(own_redis.client) == 2, "the values are stored")
    bridge.stop()
    fields = own_redis.client.hgetall(HASH)
    damaged = next(field for field in fields if b"other" in field)
    own_redis.client.hset(HASH, mapping={
        damaged: fields[damaged][:-1], b"x": b"y", b"": b"", b"\x00" * 100_000: b"z", b"1:/,6:kept-r,1:e,0:,": b"",
        b"1:/,6:kept-r,1:f,0:,": b"\x01" * 3_000_000})
    fresh = start(admin=True)
    gives(fresh, ("price", 1))
    eventually(lambda: fresh.admin.metric("ws_emit_kept_damaged_total") >= 6, "all of them are counted")
    assert sum("can't be read and is left out" in line for line in fresh.running.lines) == 1
    own_redis.client.publish(CHANNEL, message(3, event="other"))
    gives(fresh, ("price", 1), ("other", 3))


@pytest.mark.parametrize("command", [("SET", HASH, "x"), ("LPUSH", LEASE, "x")])
def test_a_key_of_another_type_is_named(own_redis, start, command):
    own_redis.client.execute_command(*command)
    bridge = start()
    own_redis.client.publish(CHANNEL, message(1))
    assert "WRONGTYPE" in bridge.running.wait_for_line("kept messages can't be stored")
    gives(bridge, ("price", 1))
    own_redis.client.delete(command[1])
    eventually(lambda: stored(own_redis.client) == 1, "the value is stored once the key is free")


def test_nothing_is_written_without_kept_messages(own_redis, start_bridge):
    bridges = [start_bridge(own_redis, *flags) for flags in [(), KEEP, (*KEEP, "--keep-bytes", "0")]]
    for bridge in bridges:
        client = RawClient(bridge)
        assert client.join("r")[0]["ok"]
        own_redis.client.publish(CHANNEL, message(1, room="r"))
        assert client.receive_event() == ["price", 1]
        client.close()
    time.sleep(1)
    assert own_redis.client.keys("*") == []


def test_the_hash_expires_with_its_values(own_redis, start_bridge):
    bridge = start_bridge(own_redis, "--keep", "kept-* keep=2s")
    own_redis.client.publish(CHANNEL, message(1))
    eventually(lambda: stored(own_redis.client) == 1, "the value is stored")
    assert 0 < own_redis.client.pttl(HASH) <= 2000
    eventually(lambda: own_redis.client.keys("*") == [], "the value expires, and the lease is given back")
    assert kept(bridge) == []


# MARK: all together

def test_no_joiner_sees_an_older_value_after_a_newer_one_during_restarts(own_redis, start):
    """Joins at several servers while a value counts up, and servers are killed, paused and started."""
    bridges = [start() for _ in range(3)]
    ends = threading.Event()
    published = [0]

    def publish():
        while not ends.wait(0.01):
            published[0] += 1
            own_redis.client.publish(CHANNEL, message(published[0]))

    publisher = threading.Thread(target=publish)
    publisher.start()
    joins = 0
    try:
        eventually(lambda: published[0] > 10, "values are published")
        for round in range(6):
            number = round % 3
            if round % 2:
                kill(bridges[number])
            else:
                bridges[number].running.stop()
            bridges[number] = start()
            for bridge in bridges:
                for _ in range(3):
                    before = published[0]
                    client = RawClient(bridge)
                    assert client.join("kept-r")[0]["ok"]
                    values = [client.receive_event()[1] for _ in range(5)]
                    client.close()
                    joins += 1
                    assert values == list(range(values[0], values[0] + 5)), "each value once, in order"
                    # A message may be on its way, but no more than a moment.
                    assert values[0] >= before - 20, (values, before)
    finally:
        ends.set()
        publisher.join()
    assert joins == 54
