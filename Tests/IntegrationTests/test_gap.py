"""Pages that ask are told of the times in which messages may have been missed."""
import datetime
import json
import shlex
import signal
import threading
import time

import pytest

from support.clients import LibraryClient, PollingClient, RawClient, http_request
from support.processes import RedisServer
from support.waiting import eventually, free_port

pytestmark = pytest.mark.ours
QUICK = ("--canary-interval", "0.1", "--canary-limit", "1")


@pytest.fixture
def operated(start_bridge):
    return lambda redis, *flags, **kwargs: start_bridge(redis, *QUICK, *flags, admin=True, **kwargs)


def break_and_mend(redis_server):
    redis_server.kill()
    redis_server.start()
    eventually(lambda: redis_server.subscribers() == 1, "ws-emit subscribes again")


def emit(redis_server, room, data):
    """Publishes as an emitter would."""
    return redis_server.client.publish("flask-socketio", json.dumps(
        {"method": "emit", "event": "x", "data": [data], "binary": False, "namespace": "/", "room": room,
         "skip_sid": None, "callback": None, "host_id": "test"}))


def test_those_who_asked_are_told_in_their_namespace_and_nobody_else(own_redis, operated, closing):
    bridge = operated(own_redis, "--threads", "3")
    bridge.admin.wait_until_ready()
    before = int(time.time() * 1000)
    asking = [closing(RawClient(bridge)) for _ in range(4)]
    for client in asking:
        assert client.join("r", gap=True) == [{"ok": True}]
    chat = closing(RawClient(bridge, namespaces=("/", "/chat")))
    chat.join("r", namespace="/chat", gap=True)
    silent = closing(RawClient(bridge))
    silent.join("r")
    polling = closing(PollingClient(bridge))
    polling.post('42["join",{"room":"r","gap":true}]')
    library = closing(LibraryClient(bridge))
    library.join("r", gap=True)
    break_and_mend(own_redis)
    # Told without anything else to tell, once Redis has been asked for the cause.
    told = asking[0].receive_event()
    assert told[0] == "ws-emit:gap" and set(told[1]) == {"from", "to", "cause"}, told
    gap = told[1]
    assert before - 5000 <= gap["from"] <= gap["to"] <= int(time.time() * 1000) + 1000 and gap["cause"] == "restarted"
    emit(own_redis, "r", "after")
    for client in asking[1:]:
        assert client.receive_event() == told
    frame = chat.receive()
    assert frame.startswith("42/chat,") and json.loads(frame[8:]) == told
    assert json.loads(polling.receive()[2:]) == told
    assert library.receive() == ("ws-emit:gap", gap)
    # Told before what comes after.
    assert asking[0].receive_event() == ["x", "after"]
    assert silent.receive_event() == ["x", "after"]
    status, body = bridge.admin.readiness()
    assert [(g["from"], g["to"], g["cause"]) for g in body["gaps"]] == [(gap["from"], gap["to"], "restarted")]
    assert bridge.admin.metric("ws_emit_subscription_gaps_total", cause="restarted") == 1
    assert bridge.admin.metric("ws_emit_subscription_gap_seconds_count") == 1
    assert bridge.admin.metric("ws_emit_gap_notices_total") == 7
    line = bridge.running.wait_for_line("the subscription is back")
    said = dict(word.split("=", 1) for word in shlex.split(line) if "=" in word)
    assert [datetime.datetime.fromisoformat(said[key]).timestamp() * 1000 for key in ("from", "to")] == pytest.approx(
        [gap["from"], gap["to"]], abs=0.5) and said["cause"] == "restarted", line


def test_what_redis_says_of_the_cause_is_told_everywhere(own_redis, operated, closing):
    bridge = operated(own_redis)
    bridge.admin.wait_until_ready()
    client = closing(RawClient(bridge))
    client.join("r", gap=True)
    # The server is asked for its counts when the subscription is new, and they must be there before they can grow.
    eventually(lambda: own_redis.client.info("commandstats").get("cmdstat_info", {}).get("calls", 0) > 0, "INFO")
    own_redis.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    event, gap = client.receive_event()
    assert event == "ws-emit:gap" and gap["cause"] == "killed"
    known, = bridge.admin.readiness()[1]["gaps"]
    assert known["cause"] == "killed" and "CLIENT KILL" in known["detail"]
    assert "cause=killed" in bridge.running.wait_for_line("the subscription is back")
    assert bridge.admin.metric("ws_emit_subscription_gaps_total", cause="killed") == 1
    assert bridge.admin.metric("ws_emit_subscription_gaps_total", cause="closed") == 0


def test_pages_are_told_before_they_get_anything_else(own_redis, operated, closing):
    bridge = operated(own_redis, "--threads", "3")
    bridge.admin.wait_until_ready()
    clients = [closing(RawClient(bridge)) for _ in range(4)]
    for client in clients:
        client.join("r", gap=True)
    # Published as soon as somebody is subscribed again, as likely before Redis has been asked for the cause as after.
    own_redis.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    while emit(own_redis, "r", "after") == 0:
        pass
    for client in clients:
        assert client.receive_event()[0] == "ws-emit:gap"
        assert client.receive_event() == ["x", "after"]


def test_one_who_joins_during_the_gap_is_told_too(closing, operated):
    redis_server = RedisServer(free_port())
    bridge = operated(None, redis_url=redis_server.url)
    bridge.admin.wait_for_reason("subscription_lost")
    client = closing(RawClient(bridge))
    client.join("r", gap=True)
    redis_server.start()
    try:
        event, gap = client.receive_event()
        assert event == "ws-emit:gap" and gap["from"] < gap["to"] and gap["cause"] == "unreachable", gap
    finally:
        redis_server.close()


def test_the_page_hears_of_it_from_the_stock_client(own_redis, operated, page, page_server):
    bridge = operated(own_redis, origins=[page_server.origin])
    bridge.admin.wait_until_ready()
    page.open(bridge.url, transports=["websocket"])
    page.next()
    page.join("r", gap=True)
    break_and_mend(own_redis)
    _, kind, event, gap = page.next()
    assert (kind, event) == ("event", "ws-emit:gap") and gap["from"] <= gap["to"]


@pytest.mark.parametrize("wish", [False, None, 1, "true", {}])
def test_only_true_asks(own_redis, operated, closing, wish):
    bridge = operated(own_redis)
    bridge.admin.wait_until_ready()
    client = closing(RawClient(bridge))
    assert client.join("r", gap=wish) == [{"ok": True}]
    break_and_mend(own_redis)
    emit(own_redis, "r", "after")
    assert client.receive_event() == ["x", "after"]


def test_a_refused_join_asks_for_nothing(own_redis, operated, closing):
    bridge = operated(own_redis)
    bridge.admin.wait_until_ready()
    client = closing(RawClient(bridge))
    assert client.join("dir::x", gap=True)[0]["ok"] is False
    assert client.join("r") == [{"ok": True}]
    break_and_mend(own_redis)
    emit(own_redis, "r", "after")
    assert client.receive_event() == ["x", "after"]


def test_the_history_is_bounded(own_redis, operated):
    bridge = operated(own_redis, "--max-gaps", "2")
    bridge.admin.wait_until_ready()
    for number in range(3):
        own_redis.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        eventually(lambda: bridge.admin.metric("ws_emit_subscription_gap_seconds_count") == number + 1, "it is back")
    assert len(bridge.admin.readiness()[1]["gaps"]) == 2
    assert bridge.admin.metric("ws_emit_gaps_forgotten_total") == 1


@pytest.mark.parametrize("fault", ["kill the connection", "kill redis", "stop redis"])
def test_whatever_is_lost_was_published_within_a_reported_gap(own_redis, operated, closing, fault):
    """Numbers are published all the while; each that doesn't arrive must lie in an interval, and none comes twice."""
    bridge = operated(own_redis)
    bridge.admin.wait_until_ready()
    client = closing(RawClient(bridge))
    client.join("r", gap=True)
    published, done = {}, threading.Event()

    def publish():
        number = 0
        while not done.is_set():
            start = time.time() * 1000
            try:
                if emit(own_redis, "r", number) >= 0:
                    published[number] = (start, time.time() * 1000)
            except Exception:  # Redis is away; whether it took the message is unknown
                pass
            number += 1
            done.wait(0.001)

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        eventually(lambda: len(published) > 50, "numbers flow")
        if fault == "kill the connection":
            own_redis.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        elif fault == "kill redis":
            own_redis.kill()
            own_redis.start()
        else:
            own_redis.running.send_signal(signal.SIGSTOP)
            bridge.admin.wait_for_reason("subscription_lost")
            own_redis.running.send_signal(signal.SIGCONT)
        arrived, gaps = [], []
        while not gaps:
            event, value = client.receive_event()
            (gaps if event == "ws-emit:gap" else arrived).append(value)
        upto = max(published, default=0)
        eventually(lambda: max(published) > upto + 50, "numbers flow again")
    finally:
        done.set()
        publisher.join()
    last = max(published)
    while not arrived or arrived[-1] < last:
        event, value = client.receive_event()
        (gaps if event == "ws-emit:gap" else arrived).append(value)
    assert len(arrived) == len(set(arrived)), "a message came twice"
    lost = [number for number in published if number not in set(arrived)]
    for number in lost:
        start, end = published[number]
        assert any(gap["from"] <= end and start <= gap["to"] for gap in gaps), (number, start, end, gaps)
