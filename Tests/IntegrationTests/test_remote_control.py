"""What real servers of the group order about clients they don't hold: disconnect, enter_room, leave_room, close_room."""
import json

import pytest

from support.clients import RawClient


def test_a_client_is_put_into_a_room(late_emitter, raw, room):
    client = raw()
    late_emitter.server("enter_room", client.sid, room)
    late_emitter.emit("x", 1, room=room)
    assert client.receive() == '42["x",1]'


def test_a_client_is_taken_out_of_a_room(late_emitter, raw, room):
    client = raw()
    client.join(room)
    late_emitter.server("leave_room", client.sid, room)
    late_emitter.emit("x", 1, room=room)
    late_emitter.emit("marker", room=client.sid)
    assert client.receive() == '42["marker"]'


@pytest.mark.ours
@pytest.mark.parametrize("threads", [1, 2])
def test_orders_and_emits_that_arrive_together_act_in_their_order(redis_server, start_bridge, closing, room, threads):
    client = closing(RawClient(start_bridge(redis_server, "--threads", str(threads))))
    route = {"namespace": "/", "host_id": "5" * 32}
    messages = [{"method": "emit", "event": "before", "data": 1}, {"method": "enter_room", "sid": client.sid},
                {"method": "emit", "event": "x", "data": 1}, {"method": "leave_room", "sid": client.sid},
                {"method": "emit", "event": "after", "data": 1}, {"method": "emit", "event": "marker", "data": 1, "room": client.sid}]
    # A transaction's messages leave Redis in one write.
    with redis_server.client.pipeline(transaction=True) as transaction:
        for message in messages:
            transaction.publish("flask-socketio", json.dumps({**route, "room": room, **message}))
        transaction.execute()
    assert client.receive() == '42["x",1]'
    assert client.receive() == '42["marker",1]'


def test_rooms_of_a_namespace_are_its_own(late_emitter, raw, room):
    client = raw(namespaces=("/", "/chat"))
    late_emitter.server("enter_room", client.sids["/chat"], room, namespace="/chat")
    late_emitter.emit("x", 1, room=room)
    late_emitter.emit("y", 2, room=room, namespace="/chat")
    assert client.receive() == '42/chat,["y",2]'


def test_orders_about_unknown_clients_are_ignored(late_emitter, raw, room):
    client = raw()
    client.join(room)
    for method in ("enter_room", "leave_room"):
        late_emitter.server(method, "nobody", room)
    late_emitter.server("disconnect", "nobody")
    late_emitter.emit("marker", room=room)
    assert client.receive() == '42["marker"]'


def test_a_closed_room_is_empty(emitter, raw, room):
    first, second = raw(), raw()
    first.join(room)
    second.join(room)
    emitter.close_room(room)
    emitter.emit("x", 1, room=room)
    for client in (first, second):
        emitter.emit("marker", room=client.sid)
        assert client.receive() == '42["marker"]'
    first.join(room)
    emitter.emit("x", 2, room=room)
    assert first.receive() == '42["x",2]'


def test_a_server_closes_a_room(late_emitter, raw, room):
    client = raw()
    client.join(room)
    late_emitter.server("close_room", room)
    late_emitter.emit("x", 1, room=room)
    late_emitter.emit("marker", room=client.sid)
    assert client.receive() == '42["marker"]'


def test_a_client_is_disconnected(emitter, raw, library, room):
    bare, client = raw(), library()
    bare.join(room)
    emitter.server("disconnect", bare.sid)
    assert bare.receive() == "41"
    emitter.server("disconnect", client.sid())
    assert client.disconnects.get(timeout=30) == "/"


def test_a_disconnected_namespace_leaves_the_others(late_emitter, raw):
    client = raw(namespaces=("/", "/chat"))
    late_emitter.server("disconnect", client.sids["/chat"], namespace="/chat")
    assert client.receive() == "41/chat,"
    late_emitter.emit("x", 1, namespace="/chat")
    late_emitter.emit("marker", room=client.sid)
    assert client.receive() == '42["marker"]'
