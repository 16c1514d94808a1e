"""Clients that join at several servers, while these are restarted and messages flow."""
import json
import random
import signal
import threading

import pytest
import websocket

from support.clients import RawClient
from support.waiting import eventually

pytestmark = pytest.mark.ours
LIFETIMES = 10  # of servers, three at a time
ROOM = "kept"


class Publisher(threading.Thread):
    """Publishes 0, 1, 2 and so on to a room, and remembers the last number of which Redis has told that it was published."""

    def __init__(self, redis_server):
        super().__init__()
        self.client, self.stopped, self.last = redis_server.client, threading.Event(), -1

    def run(self):
        while not self.stopped.wait(0.003):
            self.client.publish("flask-socketio", json.dumps(
                {"method": "emit", "event": "n", "data": [self.last + 1], "binary": False, "namespace": "/", "room": ROOM,
                 "skip_sid": None, "callback": None, "host_id": "test"}))
            self.last += 1


class Joiner(threading.Thread):
    """Joins at one server after the other, and reads some messages at each."""

    def __init__(self, servers, stopped):
        super().__init__()
        self.servers, self.stopped = servers, stopped
        self.seen, self.joins, self.failure = -1, 0, None

    def run(self):
        try:
            while not self.stopped.is_set():
                try:
                    self.join_once(random.choice(self.servers))
                except (OSError, websocket.WebSocketException):
                    pass  # that server is being restarted
        except BaseException as failure:
            self.failure = failure

    def join_once(self, bridge):
        client = RawClient(bridge)
        try:
            assert client.join(ROOM)[0]["ok"]
            for position in range(random.randint(1, 20)):
                event, number = client.receive_event()
                assert event == "n"
                if position == 0:
                    assert number >= self.seen, f"{number} after {self.seen}, as the first of join {self.joins}"
                    self.joins += 1
                else:
                    assert number == self.seen + 1, f"{number} after {self.seen}, at position {position}"
                self.seen = number
        finally:
            client.close()


def test_no_joiner_sees_an_older_value_after_a_newer_one(own_redis, start_bridge):
    def start():
        return start_bridge(own_redis, "--keep", ROOM, "--threads", "2", subscribes=False, admin=True)
    servers = [start() for _ in range(3)]
    for server in servers:
        server.admin.wait_until_ready()
    publisher = Publisher(own_redis)
    publisher.start()
    stopped = threading.Event()
    joiners = [Joiner(servers, stopped) for _ in range(6)]
    for joiner in joiners:
        joiner.start()
    try:
        for lifetime in range(LIFETIMES - len(servers)):
            index = lifetime % len(servers)
            joins = [joiner.joins for joiner in joiners]
            servers[index].running.process.send_signal(signal.SIGKILL if lifetime % 2 else signal.SIGTERM)
            servers[index].running.process.wait()
            servers[index] = start()
            servers[index].admin.wait_until_ready()
            # The joiners go on meanwhile, also at the new one.
            while all(joiner.is_alive() for joiner in joiners) and any(
                    joiner.joins < before + 5 for joiner, before in zip(joiners, joins)):
                stopped.wait(0.01)
    finally:
        stopped.set()
        for joiner in joiners:  # they wait for further messages
            joiner.join()
        publisher.stopped.set()
        publisher.join()
    failures = [joiner.failure for joiner in joiners if joiner.failure]
    assert not failures, failures
    assert min(joiner.joins for joiner in joiners) >= 5 * (LIFETIMES - 3)


def publish(redis_server, room, number, **more):
    redis_server.client.publish("flask-socketio", json.dumps(
        {"method": "emit", "event": "n", "data": [number], "binary": False, "namespace": "/", "room": room, "skip_sid": None,
         "callback": None, "host_id": "test", **more}))


@pytest.mark.parametrize("flags", [("--keep", ROOM), ()], ids=["by rule", "by the message"])
def test_a_page_that_joins_at_once_after_a_restart_gets_the_values(own_redis, start_bridge, flags):
    bridge = start_bridge(own_redis, *flags, subscribes=False, admin=True)
    bridge.admin.wait_until_ready()
    publish(own_redis, ROOM, 7, keep=True)
    eventually(lambda: own_redis.client.exists("{ws-emit:kept:flask-socketio}"), "the value is stored")
    bridge.stop()
    bridge = start_bridge(own_redis, *flags, subscribes=False)
    client = RawClient(bridge)
    client.join(ROOM)
    assert client.receive_event() == ["n", 7]
    client.close()


def test_a_server_that_stops_stores_what_a_writer_has_left_behind(own_redis, start_bridge):
    """The writer ends, a message comes, and the other server ends before it has become the writer."""
    servers = [start_bridge(own_redis, "--keep", ROOM, subscribes=False, admin=True) for _ in range(2)]
    for server in servers:
        server.admin.wait_until_ready()
    publish(own_redis, ROOM, 1)
    eventually(lambda: own_redis.client.exists("{ws-emit:kept:flask-socketio}"), "the value is stored")
    writer = next(s for s in servers if s.admin.metric("ws_emit_kept_leases_taken_total"))
    servers.remove(writer)
    writer.stop()
    publish(own_redis, ROOM, 2)
    eventually(lambda: servers[0].admin.metric("ws_emit_messages_for_nobody_total") >= 2, "it has the second message")
    servers[0].stop()
    bridge = start_bridge(own_redis, "--keep", ROOM, subscribes=False, admin=True)
    client = RawClient(bridge)
    client.join(ROOM)
    assert client.receive_event() == ["n", 2]
    client.close()


def test_a_fresh_server_gives_what_was_published_last(own_redis, start_bridge):
    """Each message was published before the server started that is asked for it."""
    servers = [start_bridge(own_redis, "--keep", ROOM, subscribes=False, admin=True)]
    servers[0].admin.wait_until_ready()
    publisher = Publisher(own_redis)
    for _ in range(5):
        publisher.stopped.clear()
        thread = Publisher(own_redis)
        thread.last = publisher.last
        thread.start()
        while thread.last < publisher.last + 50:
            thread.stopped.wait(0.001)
        thread.stopped.set()
        thread.join()
        publisher.last = thread.last
        servers.append(start_bridge(own_redis, "--keep", ROOM, subscribes=False, admin=True))
        servers[-1].admin.wait_until_ready()
        client = RawClient(servers[-1])
        client.join(ROOM)
        assert client.receive_event() == ["n", publisher.last]
        client.close()
        servers.pop(0).stop()
