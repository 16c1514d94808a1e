"""A running subspy, and what its tests share."""
import os
import queue
import subprocess
import threading

import pytest

from .processes import RedisServer
from .waiting import PATIENCE, eventually

TIME = {"method": "emit", "event": "update", "data": {"time": 1639178370}, "namespace": "/", "room": "time",
        "skip_sid": None, "callback": None, "host_id": "ce56fbc176624c7e8511a583cd5030a8"}


def program():
    path = os.environ.get("SUBSPY")
    assert path, "SUBSPY is not set: it names the subspy program to test (make test sets it)"
    assert os.access(path, os.X_OK), f"SUBSPY={path} is not a program: build it first"
    return path


class Subspy:
    """One running subspy with its two outputs apart."""

    def __init__(self, *arguments, redis=None, env=None, stdin=None):
        clean = {k: v for k, v in os.environ.items() if k not in ("REDIS", "COLUMNS")}
        if redis:
            clean["REDIS"] = redis.url
        self.process = subprocess.Popen(
            [program(), *map(str, arguments)], env={**clean, **(env or {})}, stdin=subprocess.PIPE if stdin else
            subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines = queue.Queue()
        self.errors = []
        self._readers = [threading.Thread(target=self._read_output, daemon=True),
                         threading.Thread(target=self._read_errors, daemon=True)]
        for reader in self._readers:
            reader.start()
        if stdin:
            self.process.stdin.write(stdin)
            self.process.stdin.close()

    def _read_output(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.decode())

    def line(self):
        """The next line of the output, None at its end."""
        line = self.lines.get(timeout=PATIENCE)
        return None if line is None else line.decode("utf-8", "surrogateescape").rstrip("\n")

    def rest(self):
        """All lines up to the end."""
        return list(iter(self.line, None))

    def wait_for_error(self, text):
        eventually(lambda: any(text in line for line in self.errors), f"{text!r} on standard error: {self.errors}")

    def code(self):
        code = self.process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    @property
    def error(self):
        return "".join(self.errors)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def subspy():
    started = []
    def start(*arguments, **kwargs):
        started.append(Subspy(*arguments, **kwargs))
        return started[-1]
    yield start
    for one in started:
        one.stop()


@pytest.fixture(scope="module")
def subspy_redis():
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture
def quiet_redis(subspy_redis):
    """A Redis nobody else is subscribed to."""
    eventually(lambda: not subspy_redis.client.pubsub_channels() and not subspy_redis.client.pubsub_numpat(),
               "the subscribers of the test before are gone")
    return subspy_redis


def listening(redis_server, spy, channel="flask-socketio", count=1):
    """Waits for the subscription to a channel, or to a pattern if that is None."""
    def subscribers():
        return redis_server.subscribers(channel) if channel else redis_server.client.pubsub_numpat()
    eventually(lambda: subscribers() >= count, f"subspy subscribes: {spy.error}")
    return spy


def sniff(subspy, redis_server, *arguments, **kwargs):
    """A subspy that has printed its first lines."""
    spy = subspy(*arguments, redis=redis_server, **kwargs)
    assert spy.line() == "All channels: []"
    assert spy.line() == "INT: 1"
    return spy


def publish(redis_server, *payloads, channel="flask-socketio"):
    for payload in payloads:
        redis_server.client.publish(channel, payload)
