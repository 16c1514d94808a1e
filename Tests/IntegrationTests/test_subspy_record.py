"""Recording the channel and replaying it: the file's lines, the bytes that come back, the time they take."""
import base64
import json
import os
import pickle
import signal
import time

import pytest

from support.subspy import TIME, listening, publish, quiet_redis, subspy, subspy_redis  # noqa: F401 (fixtures)
from support.waiting import PATIENCE, eventually

PAYLOADS = [pickle.dumps(TIME), json.dumps(TIME).encode(), b"", bytes(range(256)), "комната".encode(), b'{"torn": ',
            pickle.dumps(TIME, 0), b"\x80\x04\x95" * 1000]


@pytest.fixture
def channel(quiet_redis):
    """Reads what is published on some channels, with the time of its arrival."""
    opened = []
    def subscribe(*names):
        subscription = quiet_redis.client.pubsub(ignore_subscribe_messages=True)
        subscription.subscribe(*names)
        eventually(lambda: all(quiet_redis.subscribers(name) for name in names), "the test subscribes")
        opened.append(subscription)
        def read():
            message = eventually(lambda: subscription.get_message(timeout=PATIENCE), "a message is published")
            return message["channel"].decode(), message["data"], time.monotonic()
        return read
    yield subscribe
    for subscription in opened:
        subscription.close()


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def payload_of(line):
    return line["text"].encode() if "text" in line else base64.b64decode(line["base64"], validate=True)


def header(channels=("flask-socketio",), **start):
    """A header as a recording of that start has it."""
    return {"subspy_recording": 1, "start": "2026-01-01T00:00:00.000000Z", "start_us": 1_767_225_600_000_000,
            "channels": list(channels), "patterns": [], **start}


def write(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def message(milliseconds, text, channel="flask-socketio"):
    return {"us": milliseconds * 1000, "channel": channel, "text": text}


def test_every_byte_is_recorded_and_replayed(subspy, quiet_redis, channel, tmp_path):
    file = tmp_path / "r.jsonl"
    spy = listening(quiet_redis, subspy("record", file, "--channel", "a", "--channel", "b", "--count", 2 * len(PAYLOADS),
                                        redis=quiet_redis), "b")
    before = time.time()
    for payload in PAYLOADS:
        publish(quiet_redis, payload, channel="a")
        publish(quiet_redis, payload, channel="b")
    total = 2 * sum(map(len, PAYLOADS))
    assert spy.rest() == []
    assert (spy.code(), spy.error) == (0, f"subspy: recorded {2 * len(PAYLOADS)} messages, {total} bytes\n")
    head, *messages = lines_of(file)
    assert abs(head["start_us"] / 1e6 - before) < PATIENCE
    assert head["start"] == time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(head["start_us"] / 1e6)) + ".%06dZ" % (
        head["start_us"] % 1_000_000)
    assert (head["subspy_recording"], head["channels"], head["patterns"]) == (1, ["a", "b"], [])
    assert [(line["channel"], payload_of(line)) for line in messages] == [
        (name, payload) for payload in PAYLOADS for name in "ab"]
    assert [line["us"] for line in messages] == sorted(line["us"] for line in messages)
    assert oct(os.stat(file).st_mode & 0o777) == "0o600"

    read = channel("a", "b")
    replay = subspy("replay", file, "--speed", "max", redis=quiet_redis)
    assert [read()[:2] for _ in messages] == [(name, payload) for payload in PAYLOADS for name in "ab"]
    assert replay.rest() == []
    assert (replay.code(), replay.error) == (0, f"subspy: published {2 * len(PAYLOADS)} messages, {total} bytes\n")


def test_a_recording_goes_on_after_a_crash(subspy, quiet_redis, tmp_path):
    file = tmp_path / "r.jsonl"
    write(file, header(), message(5, "[1]"))
    with file.open("a") as torn:
        torn.write('{"us":7000,"chan')
    spy = listening(quiet_redis, subspy("record", file, "--count", 1, redis=quiet_redis))
    publish(quiet_redis, "[2]")
    assert spy.code() == 0
    assert "subspy_recording" in file.read_text().splitlines()[3]
    rehearsal = subspy("replay", file, "--dry-run", "--max-gap", "1s")
    assert rehearsal.rest() == ["+0.000000 flask-socketio [1]", "+1.000000 flask-socketio [2]"]
    assert rehearsal.code() == 0
    assert rehearsal.error == f"subspy: line 3 of {file} can't be read and was passed over\n"


def test_a_killed_recorder_has_written_what_it_got(subspy, quiet_redis, tmp_path):
    file = tmp_path / "r.jsonl"
    spy = listening(quiet_redis, subspy("record", file, redis=quiet_redis))
    publish(quiet_redis, "[1]", "[2]")
    eventually(lambda: len(lines_of(file)) == 3, "both are in the file")
    spy.process.kill()
    assert [line["text"] for line in lines_of(file)[1:]] == ["[1]", "[2]"]


def test_rotation(subspy, quiet_redis, tmp_path):
    file = tmp_path / "r.jsonl"
    for _ in range(2):
        spy = listening(quiet_redis, subspy("record", file, "--rotate", "1k", "--count", 40, redis=quiet_redis))
        for number in range(40):
            publish(quiet_redis, f"[{number}]")
            if number % 8 == 0:
                eventually(lambda: f'"[{number}]"' in "".join(one.read_text() for one in tmp_path.iterdir()), "it is written")
        assert spy.code() == 0
    count = len(list(tmp_path.iterdir()))
    parts = [file, *(tmp_path / f"r.jsonl.{number}" for number in range(1, count))]
    assert count >= 4 and set(parts) == set(tmp_path.iterdir())
    assert all("subspy_recording" in lines_of(part)[0] for part in parts)
    assert [line["text"] for part in parts for line in lines_of(part) if "text" in line] == [f"[{n}]" for n in range(40)] * 2
    assert all(1024 <= part.stat().st_size < 2048 for part in parts[:count // 2 - 1])


def test_filters_choose_what_is_recorded(subspy, quiet_redis, tmp_path):
    file = tmp_path / "r.jsonl"
    spy = listening(quiet_redis, subspy("record", file, "--room", "time", "--grep", "'time': 2", "--until", "update",
                                        redis=quiet_redis))
    publish(quiet_redis, *(pickle.dumps({**TIME, "room": room, "data": {"time": number}})
                           for room, number in [("time", 1), ("x", 2), ("time", 2)]))
    assert spy.code() == 0
    assert [pickle.loads(payload_of(line))["data"] for line in lines_of(file)[1:]] == [{"time": 2}]


def test_a_gap_is_recorded_and_told(subspy, own_redis, tmp_path):
    file = tmp_path / "r.jsonl"
    spy = listening(own_redis, subspy("record", file, "--until", "end", redis=own_redis))
    publish(own_redis, "[1]")
    eventually(lambda: len(lines_of(file)) == 2, "it is written")
    own_redis.kill()
    spy.wait_for_error("messages are being missed until Redis is back: Redis closed the connection")
    own_redis.start()
    listening(own_redis, spy)
    publish(own_redis, '{"event": "end"}')
    assert spy.code() == 0
    assert [sorted(line.keys() - {"us", "channel"}) for line in lines_of(file)[1:]] == [["text"], ["lost"], ["subscribed"], ["text"]]
    assert "recorded 2 messages, 19 bytes, with 1 gap" in spy.error


def test_an_interrupted_recording_is_complete(subspy, quiet_redis, tmp_path):
    file = tmp_path / "r.jsonl"
    spy = listening(quiet_redis, subspy("record", file, redis=quiet_redis))
    publish(quiet_redis, *["[%d]" % number for number in range(1000)])
    eventually(lambda: file.read_text().count("\n") == 1001, "all are written")
    spy.process.send_signal(signal.SIGINT)
    assert spy.code() == 0
    assert spy.error == "subspy: recorded 1000 messages, 4890 bytes\n"


def test_a_recording_to_standard_output(subspy, quiet_redis):
    spy = listening(quiet_redis, subspy("record", "-", "--count", 1, redis=quiet_redis))
    publish(quiet_redis, "[1]")
    lines = [json.loads(line) for line in spy.rest()]
    assert [sorted(line) for line in lines] == [["channels", "patterns", "start", "start_us", "subspy_recording"],
                                                ["channel", "text", "us"]]


TIMED = [header(), message(0, "[0]"), message(100, "[1]", "x"), message(150, "[2]"), message(10_000, "[3]")]


@pytest.mark.parametrize("arguments, expected", [
    ([], [(0, 0), (100, 1), (150, 2), (10_000, 3)]),
    (["--max-gap", "200ms"], [(0, 0), (100, 1), (150, 2), (350, 3)]),
    (["--from", "100ms", "--to", "10s"], [(0, 1), (50, 2)]),
    (["--limit", "2"], [(0, 0), (100, 1)]),
    (["--limit", "6", "--loop", "--max-gap", "60ms"], [(0, 0), (60, 1), (110, 2), (170, 3), (170, 0), (230, 1)]),
    (["--grep", "[2]"], [(0, 2)]),
])
def test_a_rehearsal_prints_times_and_messages(subspy, tmp_path, arguments, expected):
    spy = subspy("replay", write(tmp_path / "r", *TIMED), "--dry-run", "--redis", "redis://elsewhere.example", *arguments)
    channels = ["flask-socketio", "x", "flask-socketio", "flask-socketio"]
    assert spy.rest() == [f"+{ms // 1000}.{ms % 1000:03}000 {channels[number]} [{number}]" for ms, number in expected]
    assert (spy.code(), spy.error) == (0, "")


@pytest.mark.parametrize("arguments, gaps", [
    (["--limit", "3"], [100, 50]), (["--speed", "0.5x", "--limit", "3"], [200, 100]), (["--speed", "4x", "--limit", "3"], [25, 12.5]),
    (["--rate", "20/s"], [50, 50, 50]), (["--max-gap", "0.06"], [60, 50, 60]), (["--speed", "max"], [0, 0, 0])])
def test_messages_come_in_their_time(subspy, quiet_redis, channel, tmp_path, arguments, gaps):
    read = channel("other")
    spy = subspy("replay", write(tmp_path / "r", *TIMED), "--channel", "other", *arguments, redis=quiet_redis)
    arrivals = [read() for _ in range(len(gaps) + 1)]
    assert [payload for _, payload, _ in arrivals] == [b"[%d]" % number for number in range(len(arrivals))]
    # A busy machine may be late at any message, never early for long.
    total = arrivals[-1][2] - arrivals[0][2]
    assert sum(gaps) / 1000 - 0.05 < total < sum(gaps) / 1000 + 1
    assert spy.code() == 0


def test_a_long_recording_at_full_speed_loses_nothing(subspy, quiet_redis, tmp_path):
    count = 20_000
    source = write(tmp_path / "source", header(), *(message(0, json.dumps({"n": n})) for n in range(count)))
    copy = tmp_path / "copy"
    spy = listening(quiet_redis, subspy("record", copy, "--count", count, redis=quiet_redis))
    replay = subspy("replay", source, "--speed", "max", redis=quiet_redis)
    assert replay.code() == 0
    assert spy.code() == 0
    assert [json.loads(line["text"])["n"] for line in lines_of(copy)[1:]] == list(range(count))


def test_nobody_listening_is_code_3(subspy, quiet_redis, tmp_path):
    spy = subspy("replay", write(tmp_path / "r", header(), message(0, "[1]")), redis=quiet_redis)
    assert spy.code() == 3
    assert spy.error == "subspy: published 1 message, 3 bytes; 1 of them reached nobody\n"


def test_another_machine_takes_yes(subspy, tmp_path):
    spy = subspy("replay", write(tmp_path / "r", *TIMED), "--redis", "redis://:geheim@192.0.2.1:6379/0")
    assert spy.code() == 64
    assert spy.error == "subspy: redis://:***@192.0.2.1:6379/0 is another machine: add --yes to publish there\n"


@pytest.mark.parametrize("content, code, sentence", [
    ("", 65, "is no recording: it has no header"), ("[]\n{}\n", 65, "is no recording"),
    ('{"subspy_recording": 2}\n', 65, "a recording of format 2, which a newer subspy wrote")])
def test_what_is_no_recording_is_refused(subspy, tmp_path, content, code, sentence):
    (tmp_path / "r").write_text(content)
    spy = subspy("replay", tmp_path / "r", "--dry-run")
    assert spy.rest() == []
    assert spy.code() == code
    assert sentence in spy.error


@pytest.mark.parametrize("arguments, code, sentence", [
    (["replay", "/nonexistent"], 66, "No such file"), (["record", "/nonexistent/r"], 73, "No such file"),
    (["record", "x.jsonl.gz"], 64, "subspy record - | gzip > x.jsonl.gz"), (["record", "-", "--rotate", "1M"], 64, "--rotate"),
    (["replay", "x", "--speed", "fast"], 64, "--speed"), (["replay", "x", "--rate", "0"], 64, "--rate"),
    (["replay", "-", "--loop"], 64, "--loop"), (["replay", "x", "--limit", "0"], 64, "--limit")])
def test_bad_options(subspy, arguments, code, sentence):
    spy = subspy(*arguments)
    assert spy.rest() == []
    assert spy.code() == code
    assert sentence in spy.error and spy.error.count("\n") == 1
