"""What replay changes in messages: rooms, namespaces, senders, and the form they are written in."""
import ast
import base64
import json
import pickle

import pytest

from support.subspy import subspy  # noqa: F401 (fixture)

BINARY = {"$": {"_placeholder": True, "num": 0}}


def modern(data, **changes):
    """A message as python-socketio 5.15.1 and later write it."""
    return {"method": "emit", "event": "e", "data": data, "binary": False, "namespace": "/", "room": "r", "skip_sid": None,
            "callback": None, "host_id": "h", **changes}


def old(data, **changes):
    """The same as releases up to 5.13 have it."""
    return {"method": "emit", "event": "e", "data": data, "namespace": "/", "room": "r", "skip_sid": None,
            "callback": None, "host_id": "h", **changes}


@pytest.fixture
def rewritten(subspy, tmp_path):
    """The messages that a replay of these payloads would publish, and what it says on standard error."""
    def rehearse(payloads, *arguments):
        lines = [{"subspy_recording": 1, "start": "", "start_us": 0, "channels": [], "patterns": []}]
        lines += [{"us": 0, "channel": "c", "base64": base64.b64encode(payload).decode()} for payload in payloads]
        (tmp_path / "r").write_text("".join(json.dumps(line) + "\n" for line in lines))
        spy = subspy("replay", tmp_path / "r", "--dry-run", *arguments)
        messages = [ast.literal_eval(line.split(" ", 2)[2]) for line in spy.rest()]
        assert spy.code() == 0
        return messages, spy.error
    return rehearse


FORMS = [(pickle.dumps, 0), (pickle.dumps, 2), (pickle.dumps, 4), (json.dumps, None)]


def encode(value, form):
    dumps, protocol = form
    return json.dumps(value).encode() if protocol is None else dumps(value, protocol)


@pytest.mark.parametrize("form", FORMS, ids=["p0", "p2", "p4", "json"])
def test_rooms_and_namespaces(rewritten, form):
    messages = [old({"x": 1}), old(1, room=["r", "s"]), old(None, room=None), {"method": "close_room", "room": "r"}]
    payloads = [encode(message, form) for message in messages]
    changed, _ = rewritten(payloads, "--map-room", "r=new", "--set-namespace", "/chat")
    assert changed == [old({"x": 1}, room="new", namespace="/chat"), old(1, room=["new", "s"], namespace="/chat"),
                       old(None, namespace="/chat", room=None), {"method": "close_room", "room": "new"}]
    assert [list(one) for one in changed] == [list(one) for one in messages]
    changed, _ = rewritten(payloads, "--set-room", "only")
    assert [one["room"] for one in changed] == ["only"] * 4


@pytest.mark.parametrize("form", FORMS, ids=["p0", "p2", "p4", "json"])
def test_senders_keep_apart_under_new_ids(rewritten, form):
    changed, _ = rewritten([encode(old(1, host_id=host), form) for host in "aba"], "--new-host-id")
    ids = [one["host_id"] for one in changed]
    assert ids[0] == ids[2] != ids[1] and all(len(one) == 32 for one in ids)


CONVERSIONS = [
    (None, [None], False), ({"a": [1, 2.5]}, [{"a": [1, 2.5]}], False), ("x", ["x"], False), ([1, 2], [[1, 2]], False),
    ((1, "b"), [1, "b"], False), (2**70, [2**70], False), ("\ud800é", ["\ud800é"], False),
    (b"A", [[BINARY["$"]], "QQ=="], True),
    (({"d": b"\x00\xff"}, [b""]), [[{"d": BINARY["$"]}, [{"_placeholder": True, "num": 1}]], "AP8=", ""], True),
]


@pytest.mark.parametrize("data, written, binary", CONVERSIONS)
def test_pickle_becomes_json_and_json_becomes_pickle(rewritten, data, written, binary):
    as_pickle, as_json = old(data, callback=("r", "/", 1)), modern(written, binary=binary, callback=["r", "/", 1])
    changed, error = rewritten([pickle.dumps(as_pickle)], "--as", "json")
    assert (changed, error) == ([as_json], "")
    changed, error = rewritten([json.dumps(as_json).encode()], "--as", "pickle")
    assert (changed, error) == ([as_pickle], "")


@pytest.mark.parametrize("keys", [{"keep": True}, {"keep": False, "key": "é"}, {"keep": 60}, {"keep": 0.5, "key": "a"}])
def test_keep_and_key_stay_in_the_other_form(rewritten, keys):
    for payload in (pickle.dumps(old({"a": 1}, **keys)), json.dumps(modern([{"a": 1}], **keys)).encode()):
        for form in ("json", "pickle"):
            message, = rewritten([payload], "--as", form)[0]
            assert {key: message.get(key) for key in keys} == keys and type(message["keep"]) is type(keys["keep"])


def test_each_stays_as_it_is_in_its_own_form(rewritten):
    as_pickle, as_json = old((b"A", {1: {2}})), modern([[BINARY["$"]], "QQ=="], binary=True)
    payloads = [pickle.dumps(as_pickle), json.dumps(as_json).encode()]
    assert rewritten(payloads)[0] == [as_pickle, as_json]
    assert rewritten(payloads, "--map-room", "x=y")[0] == [as_pickle, as_json]


def test_what_json_can_not_say_is_left_out_and_told(rewritten):
    changed, error = rewritten([pickle.dumps(old({1, 2})), pickle.dumps(old(1)), b"oops"], "--as", "json")
    assert changed == [modern([1])]
    assert error.startswith("subspy: a message can't be rewritten and is left out: ") and error.count("\n") == 1
