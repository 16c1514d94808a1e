"""/metrics, read by Prometheus's own parser, after known events."""
import json
import pickle

import pytest

from support.clients import PollingClient, RawClient, http_request
from support.operations import parse
from support.waiting import eventually

pytestmark = pytest.mark.ours


@pytest.fixture
def operated(own_redis, start_bridge):
    return lambda *flags, **kwargs: start_bridge(own_redis, "--canary-interval", "0.1", *flags, admin=True, **kwargs)


@pytest.fixture
def publish(own_redis):
    def publish(payload=None, **changes):
        message = {"method": "emit", "event": "x", "data": [1], "binary": False, "namespace": "/", "room": None,
                   "skip_sid": None, "callback": None, "host_id": "a" * 32, **changes}
        own_redis.client.publish("flask-socketio", json.dumps(message) if payload is None else payload)
    return publish


def becomes(bridge, name, value, **labels):
    eventually(lambda: bridge.admin.metric(name, **labels) == value, f"{name} {labels} becomes {value}")


def test_every_family_has_help_and_a_type_and_no_label_is_a_room(operated, closing, publish):
    bridge = operated()
    bridge.admin.wait_until_ready()
    closing(RawClient(bridge)).join("a-room-of-mine")
    publish(room="a-room-of-mine")
    becomes(bridge, "ws_emit_messages_delivered_total", 1)
    answer = bridge.admin.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families, samples = parse(answer.text)
    assert len(families) > 50
    for name, (kind, help_text) in families.items():
        assert name.startswith("ws_emit_") and kind in ("counter", "gauge", "histogram") and len(help_text) > 8, name
    labels = {label for series in samples.values() for key in series for label, _ in key}
    assert labels <= {"le", "reason", "dialect", "cause", "status", "host_id", "policy", "result"}
    assert "a-room-of-mine" not in answer.text


def test_what_cannot_be_decoded_names_its_sender(operated, publish):
    bridge = operated()
    message = {"method": "emit", "event": "x", "data": 1, "namespace": "/", "room": None, "host_id": "7" * 32}
    publish(payload=json.dumps(message).encode()[:-1])
    becomes(bridge, "ws_emit_sender_refusals_total", 1, host_id="7" * 32, dialect="unknown")
    publish(payload=pickle.dumps({**message, "host_id": "6" * 32})[:-2])
    becomes(bridge, "ws_emit_sender_refusals_total", 1, host_id="6" * 32, dialect="unknown")


def test_a_message_that_is_too_large_names_its_sender(operated, publish):
    bridge = operated("--max-message", "2000")
    for number, protocol in enumerate(range(pickle.HIGHEST_PROTOCOL + 1)):
        host = f"{number:032x}"
        publish(pickle.dumps({"method": "emit", "event": "x", "data": "y" * 3000, "namespace": "/", "room": None,
                              "skip_sid": None, "callback": None, "host_id": host}, protocol))
        line = bridge.running.wait_for_line(host)
        assert "2000 are allowed" in line and "logged once" in line
    publish(data=["x" * 3000], host_id="c" * 32)
    bridge.running.wait_for_line("c" * 32)
    becomes(bridge, "ws_emit_sender_refusals_total", 1, host_id="c" * 32, dialect="unknown")


def test_a_large_message_is_warned_about_before_it_is_refused(operated, publish, closing):
    bridge = operated("--max-message", "2000")
    client = closing(RawClient(bridge))
    publish(data=["x" * 1500], host_id="d" * 32)
    assert client.receive_event() == ["x", "x" * 1500]
    line = bridge.running.wait_for_line("a large message")
    assert "d" * 32 in line
    assert bridge.admin.metric("ws_emit_messages_large_total") == 1


def test_a_slow_client_and_what_waited_for_it_are_counted(operated, closing, publish):
    bridge = operated("--max-queue", "1000")
    client = closing(PollingClient(bridge))
    for _ in range(20):
        publish(data=["y" * 100])
    becomes(bridge, "ws_emit_slow_clients_closed_total", 1)
    assert bridge.admin.metric("ws_emit_packets_dropped_slow_total", policy="disconnect") > 1
    assert client.get().status == 400


def test_answers_of_emit_are_counted_by_status(operated):
    bridge = operated("--max-emit-body", "1000")
    headers = {"Content-Type": "application/json"}
    for secret in ("123", "no", "no"):
        http_request(bridge, "POST", "/emit", json.dumps({"event": "x", "secret": secret}), headers)
    http_request(bridge, "POST", "/emit", "x", headers)
    http_request(bridge, "POST", "/emit", "x", {})
    http_request(bridge, "POST", "/emit", "x" * 1001, headers)
    answers = bridge.admin.metrics()["ws_emit_emit_requests_total"]
    assert {dict(key)["status"]: value for key, value in answers.items()} == {
        "200": 1, "400": 1, "403": 2, "413": 1, "415": 1}
    assert bridge.admin.metric("ws_emit_http_messages_total") == 1


def test_refused_pages_and_namespaces_are_counted(operated, closing):
    bridge = operated("--namespace", "/")
    http_request(bridge, "GET", "/socket.io/?EIO=4&transport=polling", headers={"Origin": "http://evil.example"})
    client = closing(RawClient(bridge))
    client.send("40/other,")
    assert client.receive().startswith("44/other,")
    metrics = bridge.admin.metrics()
    assert metrics["ws_emit_origins_refused_total"][()] == 1 and metrics["ws_emit_namespaces_refused_total"][()] == 1