"""Keys of room-spaces with other types, values that are too long, a line feed at the end, or no right to read them."""
import json
import shlex

import pytest

from support.clients import RawClient
from support.waiting import eventually

pytestmark = pytest.mark.ours
KEY, LATER = "ws-emit::room_secret::dir", "ws-emit::secret::dir"


@pytest.fixture
def bridge(own_redis, start_bridge):
    return start_bridge(own_redis, admin=True)


def problems(bridge, room="dir::x"):
    return json.loads(bridge.admin.get(f"/explain?room={room}").body)["room_space"]


@pytest.mark.parametrize("fill", [
    lambda redis, key: redis.lpush(key, "pw"), lambda redis, key: redis.hset(key, "pw", "pw"),
    lambda redis, key: redis.set(key, "x" * 100_000_000),
], ids=["list", "hash", "100 MB"])
@pytest.mark.parametrize("bad, good", [(KEY, LATER), (LATER, KEY)])
def test_a_key_that_is_no_secret_hides_no_other_and_is_named(own_redis, bridge, closing, fill, bad, good):
    fill(own_redis.client, bad)
    own_redis.client.set(good, "pw")
    own_redis.client.set("ws-emit::room_secret::other", "pw")
    client = closing(RawClient(bridge))
    assert client.join("dir::x", secret="pw") == [{"ok": True}]
    assert client.join("dir::y", secret="no")[0]["ok"] is False
    assert client.join("other::x", secret="pw") == [{"ok": True}]
    assert bad in bridge.running.wait_for_line("the key ")
    assert sum(bad in line for line in bridge.running.lines) == 1
    assert bridge.admin.metric("ws_emit_secrets_unusable_total") == 2
    assert bridge.admin.metric("ws_emit_redis_oversize_replies_total") == 0
    space = problems(bridge)
    assert space["has_secret"] is True and [p["key"] for p in space["problems"]] == [bad], space


def test_without_another_key_the_space_has_no_secret(own_redis, bridge, closing):
    own_redis.client.lpush(KEY, "pw")
    answer, = closing(RawClient(bridge)).join("dir::x", secret="pw")
    assert answer["ok"] is False and "doesn't open" in answer["error"]
    space = problems(bridge)
    assert space["has_secret"] is False and [p["code"] for p in space["problems"]] == ["secret_wrong_type"]


def test_a_line_feed_at_the_end_is_hinted_at(own_redis, bridge, closing):
    own_redis.client.set(KEY, "pw\n")
    client = closing(RawClient(bridge))
    assert client.join("dir::x", secret="pw\n") == [{"ok": True}]
    assert not any("line feed" in line for line in bridge.running.lines)
    assert client.join("dir::x", secret="pw")[0]["ok"] is False
    assert KEY in bridge.running.wait_for_line("ends with a line feed")
    space = problems(bridge)
    problem, = space["problems"]
    assert space["secret_ends_with_line_feed"] is True
    assert problem["code"] == "secret_ends_with_line_feed" and "printf" in problem["text"]


def test_the_longest_secret_is_set_by_a_flag(own_redis, start_bridge, closing):
    own_redis.client.set(KEY, "12345")
    own_redis.client.set("ws-emit::room_secret::long", "123456")
    bridge = start_bridge(own_redis, "--max-secret", "5")
    client = closing(RawClient(bridge))
    assert client.join("dir::x", secret="12345") == [{"ok": True}]
    assert client.join("long::x", secret="123456")[0]["ok"] is False
    assert "--max-secret" in bridge.running.wait_for_line("ws-emit::room_secret::long")


@pytest.mark.parametrize("rights", [("+get",), ("+get", "+getrange")])
def test_get_without_getrange_will_do(own_redis, start_bridge, closing, rights):
    own_redis.client.execute_command("ACL", "SETUSER", "web", "on", ">pw", "&flask-socketio", "~ws-emit::*", "+@pubsub",
                                     *rights)
    own_redis.client.set(KEY, "pw")
    bridge = start_bridge(None, redis_url=f"redis://web:pw@127.0.0.1:{own_redis.port}/0")
    client = closing(RawClient(bridge))
    eventually(lambda: own_redis.subscribers() == 1, "ws-emit subscribes")
    assert client.join("dir::x", secret="pw") == [{"ok": True}]
    assert client.join("dir::y", secret="pw") == [{"ok": True}]


def test_a_user_without_rights_is_told_the_lines_to_paste(own_redis, start_bridge, closing):
    """Each line that the log gives is carried out, until all works."""
    own_redis.client.execute_command("ACL", "SETUSER", "web", "on", ">pw", "resetchannels", "+ping")
    own_redis.client.set(KEY, "pw")
    bridge = start_bridge(None, "--canary-interval", "0.2", "--canary-limit", "1", admin=True,
                          redis_url=f"redis://web:pw@127.0.0.1:{own_redis.port}/0")

    def paste(text):
        own_redis.client.execute_command(*shlex.split(text.split("redis-cli ")[1]))

    paste(bridge.admin.wait_for_reason("subscription_lost")["text"].split(" (it began")[0])
    client = closing(RawClient(bridge))
    bridge.admin.wait_until_ready()
    assert client.join("dir::x", secret="pw")[0]["ok"] is False
    problem, = {p["text"].split(": ", 1)[1] for p in problems(bridge)["problems"]}
    assert bridge.running.wait_for_line("can't be read")
    paste(problem)
    assert client.join("dir::x", secret="pw") == [{"ok": True}]
