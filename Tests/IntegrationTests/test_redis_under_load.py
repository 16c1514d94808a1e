"""Messages with sequence numbers while Redis is killed, stopped, restarted, failed over and cuts us off: none comes twice or
out of order, and none that Redis took is missing outside of the intervals that ws-emit reports."""
import datetime
import json
import re
import signal
import threading
import time

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from support.clients import RawClient
from support.redis_servers import Sentinels
from support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.ours
LOST = re.compile(r"The subscription was lost cause=(.*?) from=(\S+Z)\b.* to=(\S+Z)\b")


class Publisher:
    """Publishes 0, 1, 2 … and notes which numbers Redis accepted, and when. A number that fails is not published again."""

    def __init__(self, find):
        self._find = find
        self.taken = {}
        self.number = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        connection = None
        while not self._ended.is_set():
            number, self.number = self.number, self.number + 1
            begun = time.time()
            try:
                connection = connection or self._find()
                connection.send_command("PUBLISH", "flask-socketio", json.dumps(
                    {"method": "emit", "event": "x", "data": [number, "x" * (number % 7 * 100)], "binary": False,
                     "namespace": "/", "room": "r", "skip_sid": None, "callback": None, "host_id": "test"}))
                connection.read_response()
                self.taken[number] = (begun, time.time())
            except (redis.exceptions.RedisError, AssertionError):
                connection = None
            self._ended.wait(0.001)

    def runs_on(self, count=300):
        """Waits until so many more have been taken."""
        target = len(self.taken) + count
        eventually(lambda: len(self.taken) >= target, "the publisher goes on")

    def stop(self):
        self._ended.set()
        self._thread.join(PATIENCE)


def connect(port):
    """One connection, which a pool would make again by itself at the same server without asking the sentinels."""
    connection = redis.Connection(port=port, socket_timeout=1, retry=Retry(NoBackoff(), 0))
    connection.connect()
    return connection


class Receiver:
    """Reads the numbers that arrive at one websocket, which stays open all the time."""

    def __init__(self, client):
        self.client = client
        self.numbers = []
        self.problem = None
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            while True:
                self.numbers.append(self.client.receive_event()[1])
        except Exception as problem:
            self.problem = problem


def lost_intervals(bridge):
    """(cause, from, to), seconds since 1970."""
    found = [LOST.search(line) for line in list(bridge.running.lines)]
    def seconds(text):
        return datetime.datetime.fromisoformat(text).timestamp()
    return [(match[1], seconds(match[2]), seconds(match[3])) for match in found if match]


def judge(publisher, receiver, bridge):
    """Checks that every accepted number arrives once and in order, or lies within a reported interval."""
    # The last one comes behind all others.
    publisher.runs_on()
    publisher.stop()
    last = max(publisher.taken)
    eventually(lambda: receiver.numbers and receiver.numbers[-1] == last, f"number {last} arrives ({receiver.problem})")
    assert bridge.running.process.poll() is None and receiver.problem is None
    assert receiver.numbers == sorted(set(receiver.numbers)), "each comes once and in order"
    intervals = lost_intervals(bridge)
    arrived = set(receiver.numbers)
    missing = [number for number in publisher.taken if number not in arrived]
    # The log has milliseconds.
    unreported = [(number, publisher.taken[number]) for number in missing if not any(
        begun <= to + 0.002 and taken >= since - 0.002 for begun, taken in [publisher.taken[number]]
        for _, since, to in intervals)]
    assert not unreported, f"{len(unreported)} of {len(missing)} missing outside {intervals}: {unreported[:5]}"
    return intervals, missing


def start(bridge, closing, find):
    client = closing(RawClient(bridge))
    client.join("r")
    publisher, receiver = Publisher(find), Receiver(client)
    publisher.runs_on()
    return publisher, receiver


def test_nothing_is_lost_unreported_with_one_server(own_redis, start_bridge, closing):
    bridge = start_bridge(None, "--verbose", redis_url=own_redis.url + "?health_check_interval=1")
    eventually(lambda: own_redis.subscribers() == 1, "ws-emit subscribes")
    publisher, receiver = start(bridge, closing, lambda: connect(own_redis.port))
    def subscribed_again(count):
        eventually(lambda: len(lost_intervals(bridge)) == count, f"loss {count} is over")
        publisher.runs_on()
    for count in (1, 2):
        own_redis.client.client_kill_filter(_type="pubsub")
        subscribed_again(count)
    # Shorter than the deadline of a PING: no loss.
    own_redis.running.send_signal(signal.SIGSTOP)
    threading.Event().wait(0.5)
    own_redis.running.send_signal(signal.SIGCONT)
    publisher.runs_on()
    assert len(lost_intervals(bridge)) == 2
    before = len(bridge.running.lines)
    own_redis.running.send_signal(signal.SIGSTOP)
    bridge.running.wait_for_line("gone silent", after=before)
    own_redis.running.send_signal(signal.SIGCONT)
    subscribed_again(3)
    for count in (4, 5):
        own_redis.kill()
        own_redis.start()
        subscribed_again(count)
    intervals, missing = judge(publisher, receiver, bridge)
    causes = [cause for cause, _, _ in intervals]
    assert [("CLIENT KILL" in cause, "silent" in cause) for cause in causes[:3]] == [(True, False)] * 2 + [(False, True)]
    assert all("restarted" in cause for cause in causes[3:]), causes
    # An interval begins at most a second or two before what caused it.
    killed = [to - since for cause, since, to in intervals if "CLIENT KILL" in cause]
    assert all(length < 10 for length in killed), killed


def test_nothing_is_lost_unreported_through_failovers(start_bridge, closing):
    group = Sentinels()
    try:
        bridge = start_bridge(None, "--verbose", redis_url=group.url())
        eventually(lambda: group.master.subscribers() == 1, "ws-emit subscribes")
        # As redis-py's SentinelConnectionPool: kept until it breaks, then the sentinels are asked.
        publisher, receiver = start(bridge, closing, lambda: connect(group.master.port))
        new, old = group.fail_over()
        eventually(lambda: new.subscribers() == 1, "ws-emit follows")
        # The emitter stays at the old master until a sentinel demotes it, and is heard there.
        patience = time.monotonic() + 3 * PATIENCE
        while old.is_master() and time.monotonic() < patience:
            publisher.runs_on(50)
        assert not old.is_master()
        publisher.runs_on()
        for sentinel in group.sentinels:
            eventually(lambda: group.sees_replica(sentinel), "the sentinels see the replica")
        new.kill()
        eventually(old.is_master, "the killed master is replaced")
        eventually(lambda: old.subscribers() == 1, "ws-emit follows")
        intervals, missing = judge(publisher, receiver, bridge)
        assert len(intervals) >= 2
        assert "have made" in intervals[0][0]
    finally:
        group.close()
