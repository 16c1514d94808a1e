"""/livez, /readyz, the canary behind it, and who may ask."""
import json
import signal
import subprocess

import pytest

from support.clients import LibraryClient, RawClient, http_request
from support.operations import Admin
from support.processes import RedisServer, ws_emit_program
from support.waiting import eventually, free_port

pytestmark = pytest.mark.ours
QUICK = ("--canary-interval", "0.1", "--canary-limit", "1")


@pytest.fixture
def operated(start_bridge):
    """Starts a ws-emit with a listener for operators and quick canaries."""
    return lambda redis, *flags, **kwargs: start_bridge(redis, *QUICK, *flags, admin=True, **kwargs)


def test_ready_once_a_canary_has_reached_every_event_loop(own_redis, operated):
    bridge = operated(own_redis, "--threads", "3")
    bridge.admin.wait_until_ready()
    status, body = bridge.admin.readiness()
    assert (status, body["ready"], body["reasons"], body["subscribed"], body["gaps"]) == (200, True, [], True, [])
    canary = body["canary"]
    assert 0 <= canary["age_seconds"] < 30 and 0 < canary["round_trip_seconds"] < 30, canary
    assert (canary["interval_seconds"], canary["limit_seconds"]) == (0.1, 1)
    returned = bridge.admin.metric("ws_emit_canaries_returned_total")
    eventually(lambda: bridge.admin.metric("ws_emit_canary_round_trip_seconds_count") > returned, "more come back")


def test_ready_without_redis_too(operated):
    assert operated(None, redis_url="none").admin.wait_until_ready().readiness()[1]["canary"]["age_seconds"] >= 0


def test_not_ready_before_redis_has_been_there_and_alive_all_the_while(operated):
    redis_server = RedisServer(free_port())
    bridge = operated(None, redis_url=redis_server.url)
    reason = bridge.admin.wait_for_reason("subscription_lost")
    assert "can't be reached" in reason["text"], reason
    assert bridge.admin.get("/livez").status == 200
    redis_server.start()
    try:
        bridge.admin.wait_until_ready()
    finally:
        redis_server.close()


def test_a_killed_redis_makes_it_not_ready_and_its_return_ready_again(own_redis, operated):
    bridge = operated(own_redis)
    bridge.admin.wait_until_ready()
    own_redis.kill()
    bridge.admin.wait_for_reason("subscription_lost")
    assert bridge.admin.get("/livez").status == 200
    own_redis.start()
    bridge.admin.wait_until_ready()
    gap, = bridge.admin.readiness()[1]["gaps"]
    assert gap["from"] <= gap["to"] and gap["cause"] in ("closed", "unreachable", "restarted"), gap


def test_a_redis_that_hangs_is_noticed_before_its_connection_is_given_up(own_redis, operated):
    bridge = operated(own_redis)
    bridge.admin.wait_until_ready()
    own_redis.running.send_signal(signal.SIGSTOP)
    try:
        bridge.admin.wait_for_reason("canary_overdue")
    finally:
        own_redis.running.send_signal(signal.SIGCONT)
    bridge.admin.wait_until_ready()


def test_a_redis_user_that_may_not_publish_is_not_ready_and_told_why(own_redis, operated):
    own_redis.client.execute_command("ACL", "SETUSER", "deaf", "on", ">pw", "~*", "&*", "+@all", "-publish")
    url = f"redis://deaf:pw@127.0.0.1:{own_redis.port}/0"
    bridge = operated(None, redis_url=url)
    reason = bridge.admin.wait_for_reason("canary_overdue")
    assert "can't be published" in reason["text"] and "NOPERM" in reason["text"], reason
    without = operated(None, "--canary-interval", "none", redis_url=url)
    assert without.admin.wait_until_ready().readiness()[1]["canary"] is None


@pytest.mark.parametrize("forged", [
    {"method": "ws-emit-canary", "id": 1, "host_id": "0" * 32}, {"method": "ws-emit-canary"},
    {"method": "ws-emit-canary", "id": None, "host_id": None}])
def test_only_our_own_canary_counts(own_redis, operated, forged):
    """Redis takes no PUBLISH from us, and somebody else's canaries come by."""
    own_redis.client.execute_command("ACL", "SETUSER", "deaf", "on", ">pw", "~*", "&*", "+@all", "-publish")
    bridge = operated(None, redis_url=f"redis://deaf:pw@127.0.0.1:{own_redis.port}/0")
    eventually(lambda: own_redis.client.publish("flask-socketio", json.dumps(forged)) == 1, "ws-emit subscribes")
    bridge.admin.wait_for_reason("canary_overdue")
    assert bridge.admin.metric("ws_emit_canaries_returned_total") == 0


def test_real_servers_of_every_kind_pass_over_the_canary(redis_server, operated, emitter, closing, room):
    bridge = operated(redis_server)
    before = bridge.admin.wait_until_ready().metric("ws_emit_canaries_returned_total")
    eventually(lambda: bridge.admin.metric("ws_emit_canaries_returned_total") > before + 3, "some canaries pass")
    client = closing(LibraryClient(bridge, answer="yes"))
    client.join(room)
    emitter.server("emit", "question", 1, room=room, callback=True)
    assert emitter.acknowledged() == ("yes",)


def test_two_instances_on_one_channel_hear_their_own_canaries(own_redis, operated):
    for bridge in (operated(own_redis), operated(own_redis)):
        metrics = bridge.admin.wait_until_ready().metrics()
        assert 1 <= metrics["ws_emit_canaries_returned_total"][()] <= metrics["ws_emit_canaries_sent_total"][()]


def test_the_listener_for_operators_has_nothing_else_and_the_public_one_none_of_it(own_redis, operated):
    bridge = operated(own_redis)
    for path in ("/livez", "/readyz", "/metrics", "/explain?room=x"):
        assert http_request(bridge, "GET", path).status == 404, path
    for path in ("/livez", "/metrics"):
        assert bridge.admin.get(path).status == 200, path
    for path in ("/socket.io/?EIO=4&transport=polling", "/emit", "/", "/metrics/"):
        assert bridge.admin.get(path).status == 404, path
    assert http_request(bridge.admin, "POST", "/readyz").status == 405
    for path in ("/livez", "/readyz", "/metrics", "/explain"):
        assert http_request(bridge.admin, "OPTIONS", path).headers["Allow"] == "GET, HEAD, OPTIONS", path


def test_without_it_the_public_listener_answers_and_tells_strangers_little(own_redis, start_bridge):
    bridge = start_bridge(own_redis, *QUICK)
    local = Admin(bridge.host, bridge.port).wait_until_ready()
    assert "canary" in local.readiness()[1] and local.get("/metrics").status == 200
    proxied = {"X-Forwarded-For": "203.0.113.9"}
    assert json.loads(local.get("/readyz", **proxied).body) == {"ready": True, "reasons": []}
    assert local.get("/livez", **proxied).status == 200
    assert local.get("/metrics", **proxied).status == 404
    own_redis.kill()
    local.wait_for_reason("subscription_lost")
    answer = local.get("/readyz", **proxied)
    assert answer.status == 503
    assert http_request(bridge, "OPTIONS", "/readyz").status == 503, "which is how HAProxy asks"
    assert json.loads(answer.body) == {"ready": False, "reasons": [{"code": "subscription_lost"}]}


def test_an_admin_address_in_use_is_one_sentence(own_redis, start_bridge, operated):
    bridge = operated(own_redis)
    taken = f"127.0.0.1:{bridge.admin.port}"
    result = subprocess.run([ws_emit_program(), "-a", f"127.0.0.1:{free_port()}", "--admin-address", taken,
                             "--redis", "none", "--secret", "123"], capture_output=True, text=True)
    assert result.returncode == 1 and f"{taken}: Address already in use" in result.stderr, result
    assert "--admin-address" in result.stderr


@pytest.mark.parametrize("flags", [
    ("--canary-interval", "0"), ("--canary-interval", "never"), ("--canary-interval", "60"), ("--canary-limit", "5"),
    ("--max-gaps", "0"), ("--max-senders", "0"), ("--admin-address", "8898")], ids=" ".join)
def test_a_wrong_option_is_one_sentence_that_names_it(flags):
    result = subprocess.run([ws_emit_program(), "--redis", "none", "--secret", "123", *flags], capture_output=True, text=True)
    assert result.returncode == 64 and flags[0] in result.stderr and len(result.stderr.splitlines()) == 1, result


def test_it_says_so_while_clients_stay_connected(own_redis, operated, closing):
    bridge = operated(own_redis)
    closing(RawClient(bridge)).join("r")
    own_redis.kill()
    bridge.admin.wait_for_reason("subscription_lost")
    assert bridge.admin.metric("ws_emit_sockets") == 1 and bridge.admin.metric("ws_emit_rooms") == 1
