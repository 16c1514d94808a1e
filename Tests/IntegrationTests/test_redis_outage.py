"""Redis goes away and comes back: ws-emit and its clients stay."""
import json
import signal
import threading
import time

import pytest

from support.clients import LibraryClient, PollingClient, RawClient, http_request
from support.processes import Emitter, RedisServer
from support.waiting import PATIENCE, eventually, free_port

pytestmark = pytest.mark.ours


def post(bridge, room, data):
    body = json.dumps({"event": "x", "room": room, "data": data, "secret": "123"})
    return http_request(bridge, "POST", "/emit", body, {"Content-Type": "application/json"})


@pytest.fixture
def publish(own_redis):
    """Publishes as an emitter would; returns the number of subscribers."""
    return lambda room, data: own_redis.client.publish("flask-socketio", json.dumps(
        {"method": "emit", "event": "x", "data": [data], "binary": False, "namespace": "/", "room": room,
         "skip_sid": None, "callback": None, "host_id": "test"}))


def test_delivery_resumes_and_clients_stay(own_redis, start_bridge, closing, publish):
    bridge = start_bridge(own_redis)
    clients = [closing(c(bridge)) for c in (RawClient, LibraryClient, PollingClient)]
    for client in clients:
        client.join("r")
    bare, library, polling = clients
    def reaches_all(number):
        # All are read before the next kill: a killed Redis loses the messages that it hasn't passed on yet.
        assert publish("r", number) == 1
        assert bare.receive_event() == ["x", number]
        assert library.receive() == ("x", number)
        assert polling.receive() == f'42["x",{number}]'
    reaches_all(1)
    for number in (2, 3):
        own_redis.kill()
        own_redis.start()
        eventually(lambda: own_redis.subscribers() == 1, "ws-emit subscribes again")
        reaches_all(number)


def test_the_page_stays_connected(own_redis, start_bridge, page, page_server, publish):
    bridge = start_bridge(own_redis, origins=[page_server.origin])
    page.open(bridge.url, transports=["websocket"])
    sid = page.next()[2]
    page.join("r")
    own_redis.kill()
    assert post(bridge, "r", "without Redis").status == 200
    assert page.next() == [0, "event", "x", "without Redis"]
    own_redis.start()
    eventually(lambda: own_redis.subscribers() == 1, "ws-emit subscribes again")
    publish("r", "with Redis")
    assert page.next() == [0, "event", "x", "with Redis"]
    assert page.run("return sockets[0].id") == sid


def test_ws_emit_starts_without_redis_and_finds_it_later(start_bridge, closing):
    redis_server = RedisServer(free_port())
    bridge = start_bridge(None, redis_url=redis_server.url)
    client = closing(RawClient(bridge))
    assert client.join("r") == [{"ok": True}]
    assert post(bridge, "r", 1).status == 200
    assert client.receive_event() == ["x", 1]
    redis_server.start()
    try:
        eventually(lambda: redis_server.subscribers() == 1, "ws-emit subscribes")
        emitter = Emitter("newest", redis_server)
        try:
            emitter.emit("x", 2, room="r")
            assert client.receive_event() == ["x", 2]
        finally:
            emitter.stop()
    finally:
        redis_server.close()


def test_the_present_cause_is_told_whatever_the_first_one_was(start_bridge):
    port = free_port()
    bridge = start_bridge(None, redis_url=f"redis://127.0.0.1:{port}/0", admin=True)
    bridge.running.wait_for_line("Connection refused")
    assert "Connection refused" in bridge.admin.wait_for_reason("subscription_lost")["text"]
    redis_server = RedisServer(port)
    redis_server.start()
    try:
        eventually(lambda: bridge.admin.readiness()[0] == 200, "ws-emit is ready")
        assert bridge.admin.readiness()[1]["redis_outage"] is None
        redis_server.client.config_set("requirepass", "geheim")
        redis_server.client.execute_command("AUTH", "geheim")
        before = len(bridge.running.lines)
        redis_server.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        assert "away_seconds" in bridge.running.wait_for_line("NOAUTH", after=before)

        def told():
            body = bridge.admin.readiness()[1]
            return body["redis_outage"] and "NOAUTH" in body["redis_outage"]["detail"] and body
        body = eventually(told, "/readyz tells the present cause")
        assert body["redis_outage"]["cause"] == "refused" and body["redis_outage"]["seconds"] >= 0, body
        assert abs(body["redis_outage"]["since"] - time.time() * 1000) < 60_000, body
        text, = [reason["text"] for reason in body["reasons"]]
        assert "NOAUTH" in text and "it began otherwise: Redis closed the connection" in text
        explained = json.loads(bridge.admin.get("/explain?room=r").body)
        assert "NOAUTH" in explained["redis_outage"]["detail"]
    finally:
        redis_server.close()


def emitted(bridge, count, size):
    """The number of emits with the response OK, and the other responses."""
    answers = [post(bridge, "r", "x" * size) for _ in range(count)]
    assert {answer.status for answer in answers} == {200}
    return sum(answer.body == b"OK\n" for answer in answers), [json.loads(a.body) for a in answers if a.body != b"OK\n"]


@pytest.mark.parametrize("flags, count", [(["--max-redis-queue", "30000"], 100), ([], 2000)])
def test_what_is_answered_with_OK_is_published_though_redis_pauses(own_redis, start_bridge, flags, count):
    bridge = start_bridge(own_redis, *flags, "--canary-interval", "none", "--keep-bytes", "0", admin=True)
    other = own_redis.client.pubsub()
    other.subscribe("flask-socketio")
    assert other.get_message(timeout=10)["type"] == "subscribe"
    own_redis.running.send_signal(signal.SIGSTOP)
    # Without a small queue Redis goes on after a second: commands that wait longer for a reply end the connection.
    end = threading.Timer(PATIENCE if flags else 1, own_redis.running.send_signal, [signal.SIGCONT])
    end.start()
    try:
        taken, others = emitted(bridge, count, 1000)
    finally:
        end.cancel()
        own_redis.running.send_signal(signal.SIGCONT)
    assert taken > 0 and {answer["published"] for answer in others} <= {False}
    if flags:
        assert "queue is full" in others[0]["reasons"][0]["text"] and taken < 30
        assert bridge.admin.metric("ws_emit_publish_queue_full_total") > 0
        assert "--max-redis-queue" in bridge.running.wait_for_line("messages are not published")
    heard = 0
    while heard < taken and (message := other.get_message(timeout=10)):
        heard += message["type"] == "message"
    assert heard == taken and other.get_message(timeout=0.2) is None
    assert bridge.admin.metric("ws_emit_publish_failures_total") >= len(others)
    eventually(lambda: emitted(bridge, 1, 1)[0] == 1, "emits are published again")
    own_redis.kill()
    eventually(lambda: emitted(bridge, 1, 1)[1], "emits say that they aren't published")


def test_an_emit_that_may_not_be_published_says_so(own_redis, start_bridge):
    own_redis.client.execute_command("ACL", "SETUSER", "deaf", "on", ">pw", "~*", "&*", "+@all", "-publish")
    bridge = start_bridge(None, redis_url=f"redis://deaf:pw@127.0.0.1:{own_redis.port}/0")
    eventually(lambda: emitted(bridge, 1, 1)[1], "emits say that they aren't published")
    text = emitted(bridge, 1, 1)[1][0]["reasons"][0]["text"]
    assert "redis-cli ACL SETUSER deaf" in text
    own_redis.client.execute_command("ACL", "SETUSER", "deaf", "+publish")
    eventually(lambda: not emitted(bridge, 1, 1)[1], "emits are published")


def test_without_redis_everything_else_works(start_bridge, closing):
    bridge = start_bridge(None, redis_url="none")
    client, other = closing(RawClient(bridge)), closing(LibraryClient(bridge))
    client.join("r")
    assert post(bridge, "r", 1).status == 200
    assert post(bridge, None, 2).status == 200
    assert [client.receive_event(), client.receive_event()] == [["x", 1], ["x", 2]]
    assert other.receive() == ("x", 2)


def test_another_channel(own_redis, start_bridge, closing):
    bridge = start_bridge(own_redis, "--channel", "one", "--channel", "two", subscribes=False)
    eventually(lambda: own_redis.subscribers("one") == own_redis.subscribers("two") == 1, "ws-emit subscribes")
    client = closing(RawClient(bridge))
    message = {"method": "emit", "event": "x", "namespace": "/", "room": None, "skip_sid": None, "callback": None}
    for number, channel in enumerate(("flask-socketio", "one", "two")):
        own_redis.client.publish(channel, json.dumps({**message, "data": [number], "binary": False}))
    assert [client.receive_event(), client.receive_event()] == [["x", 1], ["x", 2]]
