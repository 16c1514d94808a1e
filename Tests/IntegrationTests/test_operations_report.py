"""POST /emit with "report": true says what became of the message."""
import json

import pytest

from support.clients import PollingClient, RawClient, http_request
from support.waiting import free_port

pytestmark = pytest.mark.ours


def report(bridge, **message):
    answer = http_request(bridge, "POST", "/emit", json.dumps({"event": "x", "data": 1, "secret": "123",
                                                               "report": True, **message}),
                          {"Content-Type": "application/json"})
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json", answer
    return json.loads(answer.body)


@pytest.fixture
def reporting(own_redis, start_bridge):
    return lambda *flags, **kwargs: start_bridge(own_redis, "--threads", "3", *flags, **kwargs)


def codes(body):
    return [reason["code"] for reason in body["reasons"]]


def test_those_reached_are_counted_each_once(reporting, closing):
    bridge = reporting()
    clients = [closing(RawClient(bridge)) for _ in range(5)] + [closing(PollingClient(bridge))]
    for client in clients:
        client.join("a")
        client.join("b")
    body = report(bridge, room=["a", "b", clients[0].sid])
    assert body == {"matched": 6, "queued": 6, "skipped": {"skip_sid": 0, "slow_client": 0}, "published": True,
                    "redis_subscribers": 1, "kept": 0, "reasons": []}
    assert report(bridge, room=None)["matched"] == 6
    for client in clients:
        assert [client.receive(), client.receive()] == ['42["x",1]'] * 2


def test_without_report_the_answer_stays_what_it_was(reporting):
    for wish in ({}, {"report": False}):
        answer = http_request(reporting(), "POST", "/emit", json.dumps({"event": "x", "secret": "123", **wish}),
                              {"Content-Type": "application/json"})
        assert (answer.status, answer.body) == (200, b"OK\n")


def test_the_secret_comes_first(reporting):
    answer = http_request(reporting(), "POST", "/emit", '{"event":"x","report":true,"secret":"no"}',
                          {"Content-Type": "application/json"})
    assert answer.status == 403


def test_a_namespace_that_is_no_text_is_said_to_be_that(reporting):
    answer = http_request(reporting(), "POST", "/emit", '{"event":"x","data":1,"namespace":5,"report":true,"secret":"123"}',
                          {"Content-Type": "application/json"})
    assert answer.status == 400 and "namespace must be a text, or null for /" in answer.text, answer


def test_other_servers_on_the_channel_are_counted(reporting, own_redis):
    bridge = reporting()
    other = own_redis.client.pubsub()
    other.subscribe("flask-socketio")
    assert other.get_message(timeout=10)["type"] == "subscribe"
    assert report(bridge)["redis_subscribers"] == 2


def test_redis_is_away(start_bridge, closing):
    bridge = start_bridge(None, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    closing(RawClient(bridge)).join("r")
    body = report(bridge, room="r")
    assert (body["queued"], body["published"], body["redis_subscribers"]) == (1, False, None)
    assert codes(body) == ["not_published"] and "Redis" in body["reasons"][0]["text"]


def test_there_is_no_redis(start_bridge, closing):
    bridge = start_bridge(None, redis_url="none")
    closing(RawClient(bridge)).join("r")
    body = report(bridge, room="r")
    assert (body["queued"], body["published"], codes(body)) == (1, False, ["no_redis"])
