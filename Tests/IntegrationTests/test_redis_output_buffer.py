"""Redis drops a subscriber for which too much output waits: ws-emit warns before, and names the cause and the setting after."""
import json
import signal
import threading

import pytest

from support.waiting import eventually

pytestmark = pytest.mark.ours
MEBIBYTE = 1 << 20


@pytest.fixture
def limited(own_redis, start_bridge):
    """A ws-emit whose Redis keeps so much for a subscriber."""
    def start(limit):
        own_redis.client.config_set("client-output-buffer-limit", f"pubsub {limit}")
        bridge = start_bridge(own_redis, "--verbose")
        # The watch must have asked once.
        eventually(lambda: own_redis.client.info("commandstats").get("cmdstat_info", {}).get("calls", 0) > 0, "INFO")
        return bridge
    return start


def burst(server, size, count=1):
    payload = json.dumps({"method": "emit", "event": "x", "data": ["x" * size], "binary": False, "namespace": "/",
                          "room": "nobody", "skip_sid": None, "callback": None, "host_id": "test"})
    for _ in range(count):
        server.client.publish("flask-socketio", payload)


SENTENCE = "Redis dropped the subscription because too much output waited for it: client-output-buffer-limit pubsub 1mb 0 0"


def test_one_message_beyond_the_limit(own_redis, limited):
    bridge = limited("1mb 0 0")
    burst(own_redis, 2 * MEBIBYTE)
    assert SENTENCE in bridge.running.wait_for_line("The subscription was lost")


def test_the_limit_told_is_the_one_in_force(own_redis, limited):
    bridge = limited("1mb 0 0")
    own_redis.client.config_set("client-output-buffer-limit", "pubsub 2mb 0 0")
    burst(own_redis, 3 * MEBIBYTE)
    line = bridge.running.wait_for_line("The subscription was lost")
    assert SENTENCE.replace("1mb", "2mb") in line, line


def test_output_that_waits_is_warned_of_long_before_the_cut(own_redis, limited):
    bridge = limited("100mb 0 0")
    bridge.running.send_signal(signal.SIGSTOP)
    # More than the kernel takes and a quarter of the limit.
    burst(own_redis, MEBIBYTE, 80)
    # So that the next question, one a second, is due before what waits has been read.
    threading.Event().wait(1.5)
    bridge.running.send_signal(signal.SIGCONT)
    line = bridge.running.wait_for_line("Redis holds back output for the subscription")
    assert "client-output-buffer-limit pubsub 100mb 0 0" in line
    assert own_redis.subscribers() == 1 and "The subscription was lost" not in bridge.running.output
