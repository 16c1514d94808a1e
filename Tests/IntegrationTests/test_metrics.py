"""/metrics, read by Prometheus's own parser, after known events."""
import json
import pickle

import pytest

from support.clients import PollingClient, RawClient, http_request
from support.operations import parse
from support.processes import ROOT
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
    assert labels <= {"le", "reason", "dialect", "cause", "status", "host_id"}
    assert "a-room-of-mine" not in answer.text


def test_clients_and_rooms_are_counted(operated, closing):
    bridge = operated("--threads", "2")
    clients = [closing(RawClient(bridge)) for _ in range(3)] + [closing(PollingClient(bridge))]
    for client in clients:
        client.join("r")
    metrics = bridge.admin.metrics()
    assert metrics["ws_emit_sockets"][()] == 4 and metrics["ws_emit_joins_total"][()] == 4
    assert metrics["ws_emit_rooms"][()] in (1, 2) and metrics["ws_emit_event_loops"][()] == 2
    opened = metrics["ws_emit_sessions_opened_total"][()]
    clients[0].close()
    eventually(lambda: bridge.admin.metric("ws_emit_sockets") == 3, "one leaves")
    assert bridge.admin.metric("ws_emit_sessions_opened_total") == opened


DROPS = {
    "nobody_in_room": dict(room="nobody-is-here"), "no_such_namespace": dict(namespace="/nowhere"),
    "pickle": dict(payload=b"\x80\x04."), "json": dict(payload=b'{"method":'),
    "not_a_dict": dict(payload=b"[1]"), "empty": dict(payload=b""), "bad_room": dict(room={"a": 1}),
    "bad_callback": dict(callback=5), "no_namespace": dict(namespace=5),
    "unknown_method": dict(method="nonsense"), "unserializable": dict(payload=pickle.dumps(
        {"method": "emit", "event": "x", "data": {1, 2}, "namespace": "/", "room": None, "host_id": "b" * 32})),
    "bad_attachment": dict(binary=True, data=[[1], "A"]), "broadcast_room": dict(method="close_room"),
    "no_target": dict(method="disconnect"), "unknown_sid": dict(method="disconnect", sid="nobody"),
    "missing_key": dict(payload=json.dumps({"method": "emit", "namespace": "/"})),
    "no_method": dict(payload=b'{"a":1}'), "too_large": dict(data=["x" * 3000]),
}


def test_every_drop_has_a_reason_and_a_counter(operated, closing, publish):
    bridge = operated("--max-message", "2000")
    closing(RawClient(bridge))
    for reason, message in DROPS.items():
        publish(**message)
        becomes(bridge, "ws_emit_messages_dropped_total", 1, reason=reason)
    dropped = bridge.admin.metrics()["ws_emit_messages_dropped_total"]
    assert sum(dropped.values()) == len(DROPS), dropped
    assert {dict(key)["reason"] for key in dropped} == set(DROPS) | {"other"}


def test_a_message_refused_for_its_data_counts_once_and_is_not_called_delivered(operated, closing, publish):
    bridge = operated()
    closing(RawClient(bridge))
    publish(binary=True, data=[[1], "A"], namespace=None, host_id="8" * 32)
    who = dict(host_id="8" * 32, dialect="json-5.15.1")
    becomes(bridge, "ws_emit_sender_refusals_total", 1, **who)
    assert bridge.admin.metric("ws_emit_sender_messages_total", **who) == 1
    assert bridge.admin.metric("ws_emit_sender_corrected_total", **who) == 0
    assert bridge.admin.metric("ws_emit_messages_corrected_total") == 0
    assert "should be fixed" not in bridge.running.output


def test_what_cannot_be_decoded_names_its_sender(operated, publish):
    bridge = operated()
    message = {"method": "emit", "event": "x", "data": 1, "namespace": "/", "room": None, "host_id": "7" * 32}
    publish(payload=json.dumps(message).encode()[:-1])
    becomes(bridge, "ws_emit_sender_refusals_total", 1, host_id="7" * 32, dialect="unknown")
    publish(payload=pickle.dumps({**message, "host_id": "6" * 32})[:-2])
    becomes(bridge, "ws_emit_sender_refusals_total", 1, host_id="6" * 32, dialect="unknown")


def test_a_higher_limit_does_not_put_off_the_warning_beyond_redis_s_own(operated, publish):
    bridge = operated("--max-message", str(60 << 20))
    publish(data=["x" * (9 << 20)], room="nobody")
    becomes(bridge, "ws_emit_messages_large_total", 1)


def test_each_sender_of_large_messages_is_named(operated, publish):
    bridge = operated("--max-message", "2000")
    for host in ("9" * 32, "8" * 32, "9" * 32):
        publish(data=["x" * 1500], host_id=host, room="nobody")
    becomes(bridge, "ws_emit_messages_large_total", 3)
    lines = [line for line in bridge.running.lines if "a large message" in line]
    assert len(lines) == 2 and "9" * 32 in lines[0] and "8" * 32 in lines[1], lines


def test_a_message_that_is_too_large_names_its_sender(operated, publish):
    bridge = operated("--max-message", "2000")
    for number, protocol in enumerate(range(pickle.HIGHEST_PROTOCOL + 1)):
        host = f"{number:032x}"
        publish(pickle.dumps({"method": "emit", "event": "x", "data": "y" * 3000, "namespace": "/", "room": None,
                              "skip_sid": None, "callback": None, "host_id": host}, protocol))
        line = bridge.running.wait_for_line(host)
        assert "2000 are allowed" in line and "said once" in line
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


def test_senders_are_accounted_for_and_the_table_is_bounded(operated, publish):
    bridge = operated("--max-senders", "3")
    for _ in range(3):
        publish(host_id="e" * 32)
    publish(payload=pickle.dumps({"method": "emit", "event": "x", "data": 1, "namespace": "/", "room": None,
                                  "host_id": "f" * 32}))
    becomes(bridge, "ws_emit_sender_messages_total", 1, host_id="f" * 32, dialect="pickle")
    metrics = bridge.admin.metrics()
    who = (("dialect", "json-5.15.1"), ("host_id", "e" * 32))
    assert metrics["ws_emit_sender_messages_total"][who] == 3
    assert metrics["ws_emit_sender_bytes_total"][who] > 300
    assert metrics["ws_emit_sender_last_seen_timestamp_seconds"][who] > 1.6e9
    assert metrics["ws_emit_emits_total"][(("dialect", "pickle"),)] == 1
    line = bridge.running.wait_for_line("f" * 32)
    assert "a sender is new on the channel" in line and "pickle" in line
    for number in range(10):
        publish(host_id=f"{number:032x}")
    becomes(bridge, "ws_emit_senders_forgotten_total", 9)
    assert bridge.admin.metric("ws_emit_senders") == 3


def test_a_slow_client_and_what_waited_for_it_are_counted(operated, closing, publish):
    bridge = operated("--max-queue", "1000")
    client = closing(PollingClient(bridge))
    for _ in range(20):
        publish(data=["y" * 100])
    becomes(bridge, "ws_emit_slow_clients_closed_total", 1)
    assert bridge.admin.metric("ws_emit_packets_dropped_slow_total") > 1
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


def test_the_documentation_names_every_metric_and_reason(operated):
    text = (ROOT / "docs/operating.md").read_text()
    families, samples = parse(operated().admin.get("/metrics").text)
    missing = [name for name in families
               if name.removeprefix("ws_emit_") not in text and "…" + name.removeprefix("ws_emit_redis") not in text]
    values = {value for name in ("ws_emit_messages_dropped_total", "ws_emit_subscription_gaps_total",
                                 "ws_emit_client_refusals_total")
              for key in samples[name] for _, value in key}
    assert not missing and not [value for value in values if f"`{value}`" not in text], (missing, values)


def test_the_log_says_how_a_sender_writes_once_it_has_shown_it(operated, publish):
    bridge = operated()
    host = "4" * 32
    publish(method="close_room", room="nobody", host_id=host)
    for data in ([1, 2], 5, [1, 2], "x"):
        publish(data=data, host_id=host)
    becomes(bridge, "ws_emit_sender_messages_total", 5, host_id=host, dialect="json-5.14.2")
    lines = [line for line in bridge.running.lines if host in line]
    assert [next(word for word in line.split() if word.startswith("dialect=")) for line in lines] == [
        "dialect=unknown", "dialect=json-5.15.1", "dialect=json-5.14.2"], lines
