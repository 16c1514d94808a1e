"""Redis goes away and comes back: ws-emit and its clients stay."""
import json

import pytest

from support.clients import LibraryClient, PollingClient, RawClient, http_request
from support.processes import Emitter, RedisServer, Running
from support.waiting import eventually, free_port

pytestmark = pytest.mark.ours


def post(bridge, room, data):
    body = json.dumps({"event": "x", "room": room, "data": data, "secret": "123"})
    return http_request(bridge, "POST", "/emit", body, {"Content-Type": "application/json"})


@pytest.fixture
def publish(own_redis):
    """Publishes as an emitter would; returns how many servers heard it."""
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
        # Read before the next kill: what a killed Redis had not yet passed on is lost, by nobody's fault but its own.
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


def test_an_outage_is_said_once(own_redis, start_bridge):
    bridge = start_bridge(own_redis)
    bridge.running.wait_for_line("Connected to Redis")
    before = len(bridge.running.lines)
    own_redis.kill()
    bridge.running.wait_for_line("edis", after=before)
    own_redis.start()
    eventually(lambda: own_redis.subscribers() == 1, "ws-emit subscribes again")
    said = [line for line in bridge.running.lines[before:] if "edis" in line]
    assert 1 <= len(said) <= 4, said


def test_without_redis_everything_else_works(start_bridge, closing):
    bridge = start_bridge(None, redis_url="none")
    client, other = closing(RawClient(bridge)), closing(LibraryClient(bridge))
    client.join("r")
    assert post(bridge, "r", 1).status == 200
    assert post(bridge, None, 2).status == 200
    assert [client.receive_event(), client.receive_event()] == [["x", 1], ["x", 2]]
    assert other.receive() == ("x", 2)


def test_a_unix_socket(tmp_path, start_bridge, closing):
    from support.processes import redis_program
    path = tmp_path / "redis.sock"
    server = Running([redis_program(), "--port", "0", "--unixsocket", path, "--save", "", "--dir", tmp_path])
    try:
        server.wait_for_line("eady to accept connections")
        bridge = start_bridge(None, redis_url=f"unix://{path}")
        client = closing(RawClient(bridge))
        import redis
        connection = redis.Redis(unix_socket_path=str(path))
        connection.set("ws-emit::room_secret::dir", "S3cret")
        eventually(lambda: connection.pubsub_numsub("flask-socketio")[0][1] == 1, "ws-emit subscribes")
        assert client.join("dir::x", secret="S3cret") == [{"ok": True}]
        connection.close()
    finally:
        server.stop()


def test_a_password_and_a_user(tmp_path, start_bridge, closing):
    server = RedisServer()
    try:
        server.start()
        server.client.execute_command("ACL", "SETUSER", "web", "on", ">p@ss", "~ws-emit::*", "&flask-socketio",
                                      "+@all")
        server.client.set("ws-emit::secret::dir", "S3cret")
        server.client.execute_command("CONFIG", "SET", "requirepass", "other")
        server.client.execute_command("AUTH", "other")
        bridge = start_bridge(None, redis_url=f"redis://web:p%40ss@127.0.0.1:{server.port}/0")
        client = closing(RawClient(bridge))
        eventually(lambda: client.join("dir::x", secret="S3cret") == [{"ok": True}], "the secret can be read")
    finally:
        server.close()


def test_another_channel(own_redis, start_bridge, closing):
    bridge = start_bridge(own_redis, "--channel", "one", "--channel", "two", subscribes=False)
    eventually(lambda: own_redis.subscribers("one") == own_redis.subscribers("two") == 1, "ws-emit subscribes")
    client = closing(RawClient(bridge))
    message = {"method": "emit", "event": "x", "namespace": "/", "room": None, "skip_sid": None, "callback": None}
    for number, channel in enumerate(("flask-socketio", "one", "two")):
        own_redis.client.publish(channel, json.dumps({**message, "data": [number], "binary": False}))
    assert [client.receive_event(), client.receive_event()] == [["x", 1], ["x", 2]]
