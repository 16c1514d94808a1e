"""example/cluster: two ws-emit behind one HAProxy, on one Redis."""
import json
import os

import pytest

from support.clients import Answer, LibraryClient, PollingClient, RawClient, http_request
from support.example import CONNECTION, environment, room_states
from support.processes import ROOT, Running, ws_emit_program
from support.waiting import eventually, free_port

JSON = {"Content-Type": "application/json"}


class Address:
    """Where clients connect to: a ws-emit, or the balancer in front of both."""

    def __init__(self, port):
        self.host, self.port = "127.0.0.1", port
        self.url = f"http://{self.host}:{port}"

    def websocket_url(self, query="EIO=4&transport=websocket", path="/socket.io/"):
        return f"ws://{self.host}:{self.port}{path}?{query}"


class Cluster:
    def __init__(self, redis_server, origin):
        self.balancer, self.one, self.two = (Address(free_port()) for _ in range(3))
        self.example_port = free_port()
        self.running = Running([ROOT / "example/cluster/run"], env={
            "LISTEN": f"127.0.0.1:{self.balancer.port}", "WS_EMIT_1": f"127.0.0.1:{self.one.port}",
            "WS_EMIT_2": f"127.0.0.1:{self.two.port}", "REDIS": redis_server.url, "SECRET": "123",
            "CORS": f"{origin} http://localhost:{self.example_port}",
            "WS_EMIT_PROGRAM": os.path.abspath(ws_emit_program())})
        self.running.wait_for_line("pages connect to")
        eventually(lambda: redis_server.subscribers() == 2, "both instances subscribe")


@pytest.fixture(scope="module")
def cluster(request, page_server):
    from support.processes import RedisServer
    redis_server = RedisServer().start()
    cluster = Cluster(redis_server, page_server.origin)
    cluster.redis = redis_server
    yield cluster
    assert cluster.running.stop() == 0, cluster.running.output
    redis_server.close()


def emit(address, room, data):
    answer = http_request(address, "POST", "/emit", json.dumps(
        {"event": "update", "room": room, "data": data, "secret": "123"}), JSON)
    assert answer.status == 200, answer


def polling_by_cookie(address):
    """A client that keeps the cookie of its first answer, as a browser does."""
    class Sticky(PollingClient):
        def request(self, *args, **kwargs):
            answer = super().request(*args, **kwargs)
            if cookie := answer.headers["Set-Cookie"]:
                self.headers["Cookie"] = cookie.split(";")[0]
            return answer
    return Sticky(address)


def test_an_http_emit_on_one_reaches_the_clients_of_both_exactly_once(cluster, closing, room):
    clients = [closing(RawClient(address)) for address in (cluster.one, cluster.two, cluster.one, cluster.two)]
    for client in clients:
        client.join(room)
    for number, address in enumerate([cluster.one, cluster.two, cluster.balancer] * 5):
        emit(address, room, number)
    for client in clients:
        received = [client.receive_event()[1] for _ in range(15)]
        assert sorted(received) == list(range(15)), "each once"


def test_messages_of_one_emitter_come_in_the_same_order_on_every_instance(cluster, closing, room):
    clients = [closing(RawClient(address)) for address in (cluster.one, cluster.two)]
    for client in clients:
        client.join(room)
    for number in range(500):
        cluster.redis.client.publish("flask-socketio", json.dumps(
            {"method": "emit", "event": "update", "data": [number], "binary": False, "namespace": "/", "room": room,
             "skip_sid": None, "callback": None, "host_id": "emitter"}))
    for client in clients:
        assert [client.receive_event()[1] for _ in range(500)] == list(range(500))


def test_polling_clients_stay_with_their_instance_by_the_cookie(cluster, closing, room):
    clients = [closing(polling_by_cookie(cluster.balancer)) for _ in range(6)]
    assert len({client.headers["Cookie"] for client in clients}) == 2, "both instances have some of them"
    for client in clients:
        assert client.join(room) == [{"ok": True}]
    emit(cluster.one, room, "hello")
    assert [client.receive() for client in clients] == ['42["update","hello"]'] * 6


def test_a_poll_at_the_wrong_instance_is_told_so_and_how_to_mend_it(cluster, closing):
    client = closing(PollingClient(cluster.one))
    for method in ("GET", "POST"):
        answer = http_request(cluster.two, method, f"/socket.io/?EIO=4&transport=polling&sid={client.sid}",
                              "40" if method == "POST" else None)
        assert answer.status == 400
        assert answer.text == (
            f"\"Invalid session {client.sid}: another ws-emit opened it, or this one before a restart. Behind a load "
            "balancer, send each client to one ws-emit by a cookie, or let pages use transports: ['websocket']\"")
    # The session itself has taken no harm.
    assert client.post("3").status == 200


def test_websockets_need_no_cookie(cluster, closing, room):
    clients = [closing(RawClient(cluster.balancer)) for _ in range(4)]
    for client in clients:
        client.join(room)
    emit(cluster.two, room, 1)
    assert [client.receive() for client in clients] == ['42["update",1]'] * 4


def test_the_python_client_upgrades_through_the_balancer(cluster, closing, room):
    client = closing(LibraryClient(cluster.balancer, transports=("polling", "websocket")))
    assert client.client.transport() == "websocket"
    client.join(room)
    emit(cluster.one, room, 2)
    assert client.receive() == ("update", 2)


@pytest.mark.parametrize("options, transport", [
    ({"transports": ["polling"], "withCredentials": True}, "polling"),
    ({"withCredentials": True}, "websocket"),
    ({"transports": ["websocket"]}, "websocket"),
])
def test_the_stock_client_in_a_page_of_another_origin_stays_connected(cluster, page, room, options, transport):
    """By the cookie when it polls, also on its way to the websocket; without one when it never polls."""
    for socket in range(3):
        page.open(cluster.balancer.url, **options)
        awaited = {"connect"} if "transports" in options else {"connect", "upgrade"}
        assert {page.next()[1] for _ in awaited} == awaited
        assert page.transport(socket) == transport
        assert page.join(room, socket) == [{"ok": True}]
    for number, address in enumerate([cluster.one, cluster.two, cluster.balancer]):
        emit(address, room, number)
        told = [page.next() for _ in range(3)]
        assert sorted(told) == [[socket, "event", "update", number] for socket in range(3)], told


def test_the_pages_of_the_examples_ask_for_the_cookie(cluster, chromium):
    """A page that polls without it meets another ws-emit at its second request."""
    port = cluster.example_port
    example = Running([ROOT / "example/time/run"], env=environment(
        port, cluster.redis.url, f"http://localhost:{cluster.balancer.port}"))
    try:
        example.wait_for_line(f"open http://localhost:{port}")
        page = chromium.load(f"http://localhost:{port}/?transport=polling")
        page.shows(CONNECTION, "connected by polling")
        first = page.shows("#time", str.isdigit)
        page.shows("#time", lambda text: text.isdigit() and int(text) > int(first))
        assert room_states(page) == ["time joined"]
    finally:
        example.stop()
