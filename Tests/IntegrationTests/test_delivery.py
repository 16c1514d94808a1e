"""What real emitters of three releases publish arrives, at a bare websocket and at python-socketio's client."""
import pytest


def both(raw, library, room):
    """A bare client and a library client in one room."""
    clients = raw(), library()
    for client in clients:
        client.join(room)
    return clients


CASES = {
    "a dict": ({"time": 1}, '42["x",{"time":1}]', ({"time": 1},)),
    "no data": (None, '42["x"]', ()),
    "a text": ("é😀", '42["x","\\u00e9\\ud83d\\ude00"]', ("é😀",)),
    "a number": (1.10, '42["x",1.1]', (1.1,)),
    "a large number": (12345678901234567890, '42["x",12345678901234567890]', (12345678901234567890,)),
    "a tuple": ((1, "two"), '42["x",1,"two"]', (1, "two")),
    "an empty tuple": ((), '42["x"]', ()),
    "a tuple of one": (("a",), '42["x","a"]', ("a",)),
    "a list": ([1, 2], '42["x",[1,2]]', ([1, 2],)),
    "an empty list": ([], '42["x",[]]', ([],)),
    "nested data": ({"a": [1, {"b": None, "c": True}]}, '42["x",{"a":[1,{"b":null,"c":true}]}]',
                    ({"a": [1, {"b": None, "c": True}]},)),
}


@pytest.mark.parametrize("case", CASES)
def test_an_event_carries(case, emitter, raw, library, room):
    data, frame, arguments = CASES[case]
    bare, client = both(raw, library, room)
    emitter.emit("x", data, room=room)
    assert bare.receive() == frame
    assert client.receive() == ("x", *arguments)


def test_bytes_become_an_attachment(emitter, raw, library, room):
    bare, client = both(raw, library, room)
    emitter.emit("file", {"name": "a", "content": b"\x00\xff\x1e"}, room=room)
    assert bare.receive() == '451-["file",{"name":"a","content":{"_placeholder":true,"num":0}}]'
    assert bare.receive() == b"\x00\xff\x1e"
    assert client.receive() == ("file", {"name": "a", "content": b"\x00\xff\x1e"})


def test_several_attachments_keep_their_order(emitter, raw, library, room):
    bare, client = both(raw, library, room)
    emitter.emit("files", [b"A", {"b": b"B"}], room=room)
    assert bare.receive() == '452-["files",[{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}]]'
    assert [bare.receive(), bare.receive()] == [b"A", b"B"]
    assert client.receive() == ("files", [b"A", {"b": b"B"}])


def test_an_event_without_a_room_reaches_everyone(emitter, raw, library):
    bare, client = raw(), library()
    emitter.emit("all", {"n": 1})
    assert bare.receive() == '42["all",{"n":1}]'
    assert client.receive() == ("all", {"n": 1})


def test_an_event_reaches_only_its_room(emitter, raw, room):
    inside, outside = raw(), raw()
    inside.join(room)
    outside.join(room + "-other")
    emitter.emit("x", 1, room=room)
    emitter.emit("marker", room=room + "-other")
    assert inside.receive() == '42["x",1]'
    assert outside.receive() == '42["marker"]'


def test_room_names_may_be_any_text(emitter, raw):
    client = raw()
    for name in ("комната-😀", "café", "cafe\u0301", "a:b", "with space"):
        client.join(name)
        emitter.emit("x", name, room=name)
        assert client.receive_event() == ["x", name]


def test_rooms_that_differ_only_in_unicode_form_are_different(some_emitter, raw):
    composed, decomposed = raw(), raw()
    composed.join("café")
    decomposed.join("cafe\u0301")
    some_emitter.emit("x", 1, room="café")
    some_emitter.emit("marker", room="cafe\u0301")
    assert composed.receive() == '42["x",1]'
    assert decomposed.receive() == '42["marker"]'


def test_a_list_of_rooms_reaches_each_member_once(emitter, raw, room):
    first, second, outside = raw(), raw(), raw()
    rooms = [room + "-1", room + "-2"]
    first.join(rooms[0])
    second.join(rooms[0])
    second.join(rooms[1])
    emitter.emit("x", 1, room=rooms)
    emitter.emit("marker")
    for client in (first, second):
        assert [client.receive(), client.receive()] == ['42["x",1]', '42["marker"]']
    assert outside.receive() == '42["marker"]'


def test_a_client_is_reached_by_its_sid(emitter, raw, library):
    bare, client, other = raw(), library(), raw()
    emitter.emit("x", 1, room=bare.sid)
    emitter.emit("y", 2, room=client.sid())
    emitter.emit("marker")
    assert bare.receive() == '42["x",1]'
    assert client.receive() == ("y", 2)
    assert other.receive() == '42["marker"]'


def test_skip_sid_leaves_one_client_out(emitter, raw, room):
    kept, skipped = raw(), raw()
    kept.join(room)
    skipped.join(room)
    emitter.emit("x", 1, room=room, skip_sid=skipped.sid)
    emitter.emit("marker", room=room)
    assert kept.receive() == '42["x",1]'
    assert skipped.receive() == '42["marker"]'


def test_skip_sid_leaves_several_clients_out(emitter, raw, room):
    kept, one, two = raw(), raw(), raw()
    for client in (kept, one, two):
        client.join(room)
    emitter.emit("x", 1, room=room, skip_sid=[one.sid, two.sid])
    emitter.emit("marker", room=room)
    assert kept.receive() == '42["x",1]'
    assert one.receive() == two.receive() == '42["marker"]'


def test_a_namespace_has_its_own_clients_and_sids(emitter, raw, library):
    bare, client = raw(namespaces=("/", "/chat")), library(namespaces=("/", "/chat"))
    assert bare.sids["/"] != bare.sids["/chat"]
    emitter.emit("x", {"n": 1}, namespace="/chat")
    emitter.emit("marker")
    assert bare.receive() == '42/chat,["x",{"n":1}]'
    assert bare.receive() == '42["marker"]'
    assert client.receive("/chat") == ("x", {"n": 1})
    assert client.receive() == ("marker",)


def test_bytes_in_a_namespace(emitter, raw):
    bare = raw(namespaces=("/chat",))
    emitter.emit("x", b"A", namespace="/chat")
    assert bare.receive() == '451-/chat,["x",{"_placeholder":true,"num":0}]'
    assert bare.receive() == b"A"


def test_send_is_an_event_named_message(emitter, library):
    client = library()
    emitter.send("hello")
    assert client.receive() == ("message", "hello")


def test_messages_keep_their_order(emitter, raw, room):
    client = raw()
    client.join(room)
    for number in range(200):
        emitter.emit("x", number, room=room)
    assert [client.receive_event()[1] for _ in range(200)] == list(range(200))


def test_a_large_message_arrives_whole(emitter, raw, library, room):
    bare, client = both(raw, library, room)
    text = "x" * 500_000
    emitter.emit("x", text, room=room)
    assert bare.receive_event() == ["x", text]
    assert client.receive() == ("x", text)


def test_polling_clients_receive_the_same(emitter, polling, room):
    client = polling()
    client.join(room)
    emitter.emit("x", {"n": 1}, room=room)
    assert client.receive() == '42["x",{"n":1}]'
    emitter.emit("file", b"\x00\xff", room=room)
    assert client.receive() == '451-["file",{"_placeholder":true,"num":0}]'
    assert client.receive() == "bAP8="


def test_a_library_client_that_polls_receives_the_same(emitter, library, room):
    client = library(transports=("polling",))
    client.join(room)
    emitter.emit("x", {"n": b"A"}, room=room)
    assert client.receive() == ("x", {"n": b"A"})
