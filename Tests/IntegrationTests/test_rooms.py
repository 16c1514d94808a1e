"""The client events `join` and `leave`: public rooms, room-spaces and their secrets."""
import pytest

from support.clients import RawClient


def is_in(emitter, client, room, namespace="/"):
    """Whether events to `room` reach the client; a marker to its sid tells that nothing is on its way."""
    emitter.emit("probe", room=room, namespace=namespace)
    emitter.emit("marker", room=client.sids[namespace], namespace=namespace)
    reached = False
    while (frame := client.receive()) and not frame.endswith('["marker"]'):
        assert frame.endswith('["probe"]'), frame
        reached = True
    return reached


@pytest.fixture
def spaces(redis_server):
    """Room-spaces as both releases of the original wrote them."""
    keys = {"ws-emit::room_secret::dir": "S3cret", "ws-emit::secret::later": "L4ter", "ws-emit::room_secret::": "nameless",
            "ws-emit::room_secret::empty": "", "ws-emit::room_secret::number": "123", "ws-emit::room_secret::ключ": "пароль",
            "ws-emit::secret::number": "123", "ws-emit::secret::ключ": "пароль", "ws-emit::secret::": "nameless"}
    redis_server.client.mset(keys)
    yield
    redis_server.client.delete(*keys)


@pytest.mark.parametrize("name", ["pub-1", "", "комната", "a:b", ":", "a: :b"])
def test_anyone_may_join_a_public_room(some_emitter, raw, name):
    client = raw()
    client.join(name, secret="ignored", extra=1)
    if name:  # emitters publish an empty room as everyone
        assert is_in(some_emitter, client, name)


OPEN = [("later::x", "L4ter"), ("later::a::b", "L4ter"), ("later::", "L4ter"), ("later:::q", "L4ter"),
        ("::q", "nameless"), ("number::x", "123"), ("ключ::x", "пароль")]


@pytest.mark.parametrize("name, secret", OPEN)
def test_the_secret_opens_its_room_space(some_emitter, raw, spaces, name, secret):
    client = raw()
    client.join(name, secret=secret)
    assert is_in(some_emitter, client, name)


@pytest.mark.ours
def test_the_documented_key_opens_a_room_space(some_emitter, raw, spaces):
    client = raw()
    assert client.join("dir::x", secret="S3cret") == [{"ok": True}]
    assert is_in(some_emitter, client, "dir::x")


SHUT = [("later::x", None), ("later::x", ""), ("later::x", "bad"), ("later::x", "L4ter "), ("later::x", "l4ter"),
        ("LATER::x", "L4ter"), ("unknown::x", "L4ter"), ("empty::x", ""), ("empty::x", "x"), ("number::x", 123),
        ("later::x", ["L4ter"]), ("later::x", "S3cret")]


@pytest.mark.parametrize("name, secret", SHUT)
def test_another_secret_does_not(some_emitter, raw, spaces, name, secret):
    client = raw()
    client.join(name, secret=secret)
    assert not is_in(some_emitter, client, name)


@pytest.mark.ours
@pytest.mark.parametrize("name, secret", SHUT)
def test_a_refusal_gives_a_reason_and_no_secret(raw, spaces, name, secret):
    answer, = raw().join(name, secret=secret)
    assert answer["ok"] is False and answer["error"], answer
    assert not any(known in answer["error"] for known in ("S3cret", "L4ter", "nameless"))


@pytest.mark.ours
@pytest.mark.parametrize("arguments", [
    [], [None], ["room"], [5], [["room"]], [{}], [{"secret": "x"}], [{"room": "a"}, {"room": "b"}], [{"room": 5}],
    [{"room": None}], [{"room": ["a"]}], [{"room": {"a": 1}}], [{"room": True}], [{"room": ["::"]}], [{"room": 1.5}],
], ids=repr)
def test_a_join_of_another_shape_is_refused_with_a_reason(raw, arguments):
    client = raw()
    answer, = client.call("join", *arguments)
    assert answer["ok"] is False and answer["error"], answer
    assert client.call("join", {"room": "after"}) == [{"ok": True}]


@pytest.mark.ours
@pytest.mark.parametrize("arguments", [[], [None], [{}], [{"room": None}], [{"room": ["a"]}], [5]], ids=repr)
def test_a_leave_of_another_shape_changes_nothing(some_emitter, raw, room, arguments):
    client = raw()
    client.join(room)
    client.call("leave", *arguments)
    assert is_in(some_emitter, client, room)
    some_emitter.emit("everyone")
    assert client.receive() == '42["everyone"]'


def test_join_without_an_ack_id_joins(some_emitter, raw, room):
    client = raw()
    client.send(f'42["join",{{"room":"{room}"}}]')
    client.join(room + "-2")  # acknowledged, and after the first
    assert is_in(some_emitter, client, room)


def test_joining_twice_is_joining_once(some_emitter, raw, room):
    client = raw()
    client.join(room)
    client.join(room)
    some_emitter.emit("x", 1, room=room)
    some_emitter.emit("marker", room=client.sid)
    assert [client.receive(), client.receive()] == ['42["x",1]', '42["marker"]']
    client.leave(room)
    assert not is_in(some_emitter, client, room)


def test_leaving_a_room(some_emitter, raw, room):
    client = raw()
    client.join(room)
    assert is_in(some_emitter, client, room)
    client.leave(room)
    assert not is_in(some_emitter, client, room)
    client.leave(room)
    client.leave("never joined")


def test_leaving_a_room_space_needs_no_secret(some_emitter, raw, spaces):
    client = raw()
    client.join("later::x", secret="L4ter")
    client.leave("later::x")
    assert not is_in(some_emitter, client, "later::x")


@pytest.mark.ours
def test_the_room_of_another_client_cannot_be_joined(some_emitter, raw, polling):
    victim, thief, poller = raw(), raw(), polling()
    for sid in (victim.sid, poller.namespace_sid):
        answer, = thief.join(sid)
        assert answer["ok"] is False and answer["error"], answer
        some_emitter.emit("private", room=sid)
    some_emitter.emit("marker", room=thief.sid)
    assert victim.receive() == '42["private"]'
    assert poller.receive() == '42["private"]'
    assert thief.receive() == '42["marker"]'


@pytest.mark.ours
def test_a_client_keeps_its_own_room(some_emitter, raw):
    client = raw()
    answer, = client.leave(client.sid)
    assert answer["ok"] is False, answer
    some_emitter.emit("x", room=client.sid)
    assert client.receive() == '42["x"]'


@pytest.mark.ours
def test_rooms_of_a_namespace_are_joined_there(some_emitter, raw, room):
    client = raw(namespaces=("/", "/chat"))
    assert client.join(room, namespace="/chat") == [{"ok": True}]
    some_emitter.emit("x", 1, room=room)
    some_emitter.emit("y", 2, room=room, namespace="/chat")
    assert client.receive() == '42/chat,["y",2]'


def test_a_client_that_is_gone_leaves_its_rooms(some_emitter, raw, room):
    gone, kept = raw(), raw()
    gone.join(room)
    kept.join(room)
    gone.close()
    some_emitter.emit("x", 1, room=room)
    assert kept.receive() == '42["x",1]'


@pytest.mark.ours
@pytest.mark.parametrize("event", ["message", "emit", "unknown", "connect_error"])
def test_other_events_change_nothing(some_emitter, raw, room, event):
    client = raw()
    client.join(room)
    client.send(f'42["{event}",{{"room":"other"}}]')
    assert is_in(some_emitter, client, room)


@pytest.mark.ours
def test_a_room_given_as_bytes_is_refused(raw):
    client = raw()
    client.send('451-0["join",{"room":{"_placeholder":true,"num":0}}]')
    client.send(b"room")
    assert client.receive().startswith('430[{"ok":false,"error":')


@pytest.mark.ours
def test_without_redis_a_room_space_is_refused_and_a_public_room_is_not(own_redis, start_bridge, closing):
    own_redis.client.set("ws-emit::room_secret::dir", "S3cret")
    bridge = start_bridge(own_redis)
    client = closing(RawClient(bridge))
    assert client.join("dir::x", secret="S3cret") == [{"ok": True}]
    own_redis.kill()
    answer, = client.join("dir::y", secret="S3cret")
    assert answer["ok"] is False and answer["error"], answer
    assert client.join("public") == [{"ok": True}]


@pytest.mark.ours
def test_room_secrets_of_the_command_line(start_bridge, closing):
    bridge = start_bridge(None, "--room-secret", "dir=S3cret", "--room-secret", "b=x=y", redis_url="none")
    client = closing(RawClient(bridge))
    assert client.join("dir::x", secret="S3cret") == [{"ok": True}]
    assert client.join("b::x", secret="x=y") == [{"ok": True}]
    assert client.join("dir::x", secret="bad")[0]["ok"] is False
    assert client.join("c::x", secret="")[0]["ok"] is False


@pytest.mark.ours
def test_a_leave_between_two_joins_of_a_room_cancels_the_first_one_only(some_emitter, raw, spaces):
    client = raw()
    for frame in ('421["join",{"room":"dir::x","secret":"bad"}]', '422["leave",{"room":"dir::x"}]',
                  '423["join",{"room":"dir::x","secret":"S3cret"}]'):
        client.send(frame)
    acks = dict(frame[2:].split("[", 1) for frame in (client.receive() for _ in range(3)))
    assert acks["2"] == acks["3"] == '{"ok":true}]' and '"ok":false' in acks["1"], acks
    assert is_in(some_emitter, client, "dir::x")


@pytest.mark.ours
def test_joins_that_wait_for_a_slow_redis_are_all_acked_also_at_a_disconnect(own_redis, start_bridge, closing):
    own_redis.client.set("ws-emit::room_secret::dir", "S3cret")
    client = closing(RawClient(start_bridge(own_redis)))
    own_redis.client.execute_command("CLIENT", "PAUSE", 700, "ALL")
    join = '["join",{"room":"dir::x","secret":"S3cret"}]'
    for frame in ("421" + join, "422" + join, '423["leave",{"room":"dir::x"}]', "424" + join, "41", "40"):
        client.send(frame)
    acks = [client.receive() for _ in range(4)]
    assert [ack[:3] for ack in acks] == ["431", "432", "433", "434"], acks
    assert ['"ok":true' in ack for ack in acks] == [False, False, True, False], acks
    assert client.receive().startswith("40{")
    client.send("425" + join)
    assert client.receive() == '435[{"ok":true}]'


@pytest.mark.ours
def test_joins_under_way_do_not_pass_the_limit_of_rooms(redis_server, start_bridge, closing, spaces):
    client = closing(RawClient(start_bridge(redis_server, "--max-rooms", "3")))
    for number in range(20):
        client.send(f'42{number}["join",{{"room":"dir::{number}","secret":"S3cret"}}]')
    assert sum('"ok":true' in client.receive() for _ in range(20)) == 3
