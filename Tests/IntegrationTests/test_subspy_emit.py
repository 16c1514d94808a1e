"""What subspy publishes: the bytes on the channel, what it says and its exit codes, and what arrives at clients."""
import json
import pickle
import pickletools
import re
import signal
import time

import pytest

from support.subspy import listening, quiet_redis, subspy, subspy_redis  # noqa: F401 (fixtures)
from support.waiting import PATIENCE, eventually


@pytest.fixture
def channel(quiet_redis):
    """Reads what is published on the channel."""
    subscription = quiet_redis.client.pubsub(ignore_subscribe_messages=True)
    subscription.subscribe("flask-socketio")
    eventually(lambda: quiet_redis.subscribers() == 1, "the test subscribes")
    def read():
        # The confirmation of the subscription reads as None.
        return eventually(lambda: subscription.get_message(timeout=PATIENCE), "a message is published")["data"]
    yield read
    subscription.close()


EMITS = [
    ([], None),
    (["--data", '{"time": 1, "b": [true, null, 1.5, -0.0, 1e999]}'],
     {"time": 1, "b": [True, None, 1.5, -0.0, float("inf")]}),
    (["--data", '"комната \\ud83d\\ude00"'], "комната 😀"),
    (["--data", "123456789012345678901234567890"], 123456789012345678901234567890),
    (["--data", "-9223372036854775809"], -2**63 - 1),
    (["--data", "9223372036854775808"], 2**63),
    (["--data", "0"], 0),
]


@pytest.mark.parametrize("arguments, data", EMITS)
@pytest.mark.parametrize("protocol", [None, 0, 1, 2, 3, 4, 5])
def test_an_emit_as_pickle(subspy, quiet_redis, channel, arguments, data, protocol):
    flags = ["--protocol", protocol] if protocol is not None else []
    spy = subspy("emit", "update", "--room", "time", "--as", "pickle", *flags, *arguments, redis=quiet_redis)
    payload = channel()
    message = pickle.loads(payload)
    host = message.pop("host_id")
    assert re.fullmatch("ws-emit-[0-9a-f]{24}", host)
    assert list(message.items()) == list({"method": "emit", "event": "update", "data": data, "namespace": "/",
                                          "room": "time", "skip_sid": None, "callback": None}.items())
    used = max(opcode.proto for opcode, _, _ in pickletools.genops(payload))
    assert used <= (2 if protocol is None else protocol)
    assert spy.rest() == ["1 message, 1 subscriber"]
    assert (spy.code(), spy.error) == (0, "")


@pytest.mark.parametrize("arguments, data", EMITS)
def test_an_emit_as_json(subspy, quiet_redis, channel, arguments, data):
    spy = subspy("emit", "update", *arguments, redis=quiet_redis)
    message = json.loads(channel())
    if data == {"time": 1, "b": [True, None, 1.5, -0.0, float("inf")]}:
        data["b"][4] = None  # JSON has no infinity
    assert message.pop("host_id")
    assert message == {"method": "emit", "event": "update", "data": data, "namespace": "/", "room": None,
                       "skip_sid": None, "callback": None}
    assert spy.rest() == ["1 message, 1 subscriber"]
    assert spy.code() == 0


@pytest.mark.parametrize("arguments, keys", [
    (["--keep", "yes"], {"keep": True}), (["--keep=no"], {"keep": False}), (["--keep", "60"], {"keep": 60}),
    (["--keep=0.5", "--key", "комната"], {"keep": 0.5, "key": "комната"}), (["--keep=yes", "--key", "a"], {"keep": True, "key": "a"}),
    (["--key", "a"], {"key": "a"}), ([], {})])
@pytest.mark.parametrize("form, loads", [("json", json.loads), ("pickle", pickle.loads)])
def test_an_emit_that_is_kept(subspy, quiet_redis, channel, arguments, keys, form, loads):
    spy = subspy("emit", "x", "--room", "r", "--as", form, *arguments, redis=quiet_redis)
    message = loads(channel())
    assert {key: message[key] for key in ("keep", "key") if key in message} == keys
    assert type(message.get("keep")) is type(keys.get("keep"))
    assert spy.code() == 0


def test_a_list_is_wrapped_for_receivers_that_would_spread_it(subspy, quiet_redis, channel):
    subspy("emit", "l", "--data", "[1, 2]", "--room", "a", "--room", "b", "--namespace", "/chat", redis=quiet_redis)
    message = json.loads(channel())
    assert (message["data"], message["binary"], message["room"], message["namespace"]) == ([[1, 2]], False, ["a", "b"], "/chat")


def test_data_from_a_file(subspy, quiet_redis, channel, tmp_path):
    (tmp_path / "x.json").write_text('\n{"a": 1}\n')
    subspy("emit", "x", "--data", f"@{tmp_path}/x.json", redis=quiet_redis)
    assert json.loads(channel())["data"] == {"a": 1}


def test_a_stream_of_lines(subspy, quiet_redis, channel):
    count = 5000
    spy = subspy("emit", "x", "--data", "-", "--as", "pickle", redis=quiet_redis,
                 stdin=b"\n".join(b'{"n": %d}' % n for n in range(count)))
    assert [pickle.loads(channel())["data"]["n"] for _ in range(count)] == list(range(count))
    assert spy.rest() == ["5000 messages, 1 subscriber"]
    assert spy.code() == 0


def test_a_bad_line_is_told_and_the_others_are_published(subspy, quiet_redis, channel):
    spy = subspy("emit", "x", "--data", "-", redis=quiet_redis, stdin=b"1\n\nnonsense\n2\n")
    assert [json.loads(channel())["data"] for _ in range(2)] == [1, 2]
    assert spy.rest() == ["2 messages, 1 subscriber"]
    assert spy.code() == 65
    assert spy.error == "subspy: line 3: JSON: byte 0: n where a value was expected; not published\n"


def test_repetition(subspy, quiet_redis, channel):
    spy = subspy("emit", "x", "--repeat", 3, "--every", "20ms", redis=quiet_redis)
    assert len({json.loads(channel())["host_id"] for _ in range(3)}) == 1
    assert spy.rest() == ["3 messages, 1 subscriber"]


def test_lines_in_their_time(subspy, quiet_redis, channel):
    before = time.monotonic()
    spy = subspy("emit", "x", "--data", "-", "--every", "40ms", redis=quiet_redis, stdin=b"1\n2\n3\n")
    assert [json.loads(channel())["data"] for _ in range(3)] == [1, 2, 3]
    assert time.monotonic() - before >= 0.08
    assert spy.rest() == ["3 messages, 1 subscriber"]


def test_a_stream_goes_on_after_an_outage(subspy, own_redis, tmp_path):
    count = 30_000
    record = listening(own_redis, subspy("record", tmp_path / "r", redis=own_redis))
    spy = subspy("emit", "x", "--data", "-", redis=own_redis, stdin=b"".join(b"%d\n" % n for n in range(count)))
    eventually(lambda: (tmp_path / "r").stat().st_size > 1000, "some have come")
    own_redis.kill()
    own_redis.start()
    code = spy.code()
    record.process.send_signal(signal.SIGINT)
    assert record.code() == 0
    lines = [json.loads(line) for line in (tmp_path / "r").read_text().splitlines()]
    numbers = [json.loads(line["text"])["data"] for line in lines if "text" in line]
    assert numbers == sorted(set(numbers))
    # It may have been over before the outage.
    assert (code == 75) == ("may not have been published" in spy.error)


def test_nobody_listening_is_a_warning_and_code_3(subspy, quiet_redis):
    spy = subspy("emit", "x", redis=quiet_redis)
    assert spy.rest() == ["1 message, 0 subscribers"]
    assert spy.code() == 3
    assert spy.error == "subspy: it reached nobody: nothing is subscribed to flask-socketio\n"


@pytest.mark.parametrize("arguments, expected", [
    (["close-room", "r"], {"method": "close_room", "room": "r", "namespace": "/chat"}),
    (["disconnect", "s"], {"method": "disconnect", "sid": "s", "namespace": "/chat"}),
    (["enter-room", "s", "r"], {"method": "enter_room", "sid": "s", "room": "r", "namespace": "/chat"}),
    (["leave-room", "s", "r"], {"method": "leave_room", "sid": "s", "room": "r", "namespace": "/chat"}),
])
@pytest.mark.parametrize("form, loads", [("json", json.loads), ("pickle", pickle.loads)])
def test_orders(subspy, quiet_redis, channel, arguments, expected, form, loads):
    spy = subspy(*arguments, "--namespace", "/chat", "--as", form, redis=quiet_redis)
    message = loads(channel())
    assert message.pop("host_id")
    assert list(message.items()) == list(expected.items())
    assert spy.rest() == ["1 message, 1 subscriber"]
    assert spy.code() == 0


@pytest.mark.parametrize("arguments, sentence", [
    (["emit", "x", "--data", "nonsense"], "--data: JSON: byte 0"), (["emit", "x", "--data", ""], "--data is empty"),
    (["emit"], "event"), (["emit", "x", "--data", "@/nonexistent"], "No such file"), (["enter-room", "s"], "room"),
    (["emit", "x", "--keep", "yes"], "--keep goes with --room"), (["emit", "x", "--room", "r", "--keep=0"], "write yes, no, or a number of seconds above 0"),
    (["emit", "x", "--room", "r", "--keep", "x"], "write yes, no, or a number of seconds above 0"), (["emit", "x", "--key", "k" * 1025], "1024 bytes")])
def test_bad_options(subspy, arguments, sentence):
    spy = subspy(*arguments)
    assert spy.rest() == []
    assert spy.code() == 64
    assert sentence in spy.error and spy.error.count("\n") == 1


def test_no_redis(subspy):
    spy = subspy("emit", "x", "--redis", "redis://127.0.0.1:1", "--no-wait")
    assert spy.code() == 69
    assert spy.rest() == []


@pytest.mark.parametrize("form", ["json", "pickle"])
def test_browsers_get_what_is_emitted(subspy, redis_server, raw, room, form):
    client = raw()
    subspy("enter-room", client.sid, room, "--as", form, redis=redis_server).rest()
    for data, frame in [('{"time": 1}', '42["update",{"time":1}]'), ("[1, 2]", '42["update",[1,2]]'), ('"x"', '42["update","x"]')]:
        assert subspy("emit", "update", "--room", room, "--data", data, "--as", form, redis=redis_server).code() == 0
        assert client.receive() == frame
    subspy("emit", "ping", "--room", room, "--as", form, redis=redis_server)
    assert client.receive() == '42["ping"]'
    subspy("leave-room", client.sid, room, "--as", form, redis=redis_server).rest()
    subspy("emit", "lost", "--room", room, "--as", form, redis=redis_server).rest()
    subspy("disconnect", client.sid, "--as", form, redis=redis_server)
    assert client.receive() == "41"
