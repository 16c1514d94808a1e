"""Recording the channel and replaying it: the file's lines, the bytes that come back, the time they take."""
import base64
import gzip
import json
import os
import pickle
import pty
import re
import select
import signal
import subprocess
import time
import zlib

import pytest

from support.processes import RedisServer
from support.subspy import TIME, listening, program, publish, quiet_redis, subspy, subspy_redis  # noqa: F401 (fixtures)
from support.waiting import PATIENCE, eventually, free_port

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


def text_of(path):
    return (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()


def lines_of(path):
    return [json.loads(line) for line in text_of(path).splitlines()]


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


def test_a_compressed_recording_is_gzip_and_is_replayed(subspy, quiet_redis, channel, tmp_path):
    file = tmp_path / "r.jsonl.gz"
    for part in (PAYLOADS[:3], PAYLOADS[3:]):
        spy = listening(quiet_redis, subspy("record", file, "--count", len(part), redis=quiet_redis))
        publish(quiet_redis, *part)
        assert spy.code() == 0
    assert subprocess.run(["gzip", "-t", file], capture_output=True).stderr == b""
    assert [payload_of(line) for line in lines_of(file) if "us" in line] == PAYLOADS
    read = channel("flask-socketio")
    for arguments, stdin in [([file], None), (["-"], file.read_bytes())]:
        replay = subspy("replay", *arguments, "--speed", "max", redis=quiet_redis, stdin=stdin)
        assert [read()[1] for _ in PAYLOADS] == PAYLOADS
        assert (replay.code(), replay.error) == (0, f"subspy: published {len(PAYLOADS)} messages, {sum(map(len, PAYLOADS))} bytes\n")


def readable(path):
    """What zcat gets out of a file that may break off."""
    return subprocess.run(["zcat", path], capture_output=True).stdout.decode()


def test_a_killed_recorder_has_written_what_it_got_compressed_too(subspy, quiet_redis, tmp_path):
    file = tmp_path / "r.jsonl.gz"
    spy = listening(quiet_redis, subspy("record", file, redis=quiet_redis))
    publish(quiet_redis, "[1]", "[2]")
    eventually(lambda: readable(file).count("\n") == 3, "both can be read")
    spy.process.kill()
    spy.process.wait()
    replay = subspy("replay", file, "--dry-run", "--speed", "max")
    assert [line.split(" ", 2)[2] for line in replay.rest()] == ["[1]", "[2]"]
    assert (replay.code(), replay.error) == (
        0, f"subspy: the compressed data of {file} breaks off: what comes before was read\n")


@pytest.mark.parametrize("lost", [0, 1, 4, 7, 40])
def test_a_compressed_recording_goes_on_after_a_crash(subspy, quiet_redis, tmp_path, lost):
    file = tmp_path / "r.jsonl.gz"
    spy = listening(quiet_redis, subspy("record", file, redis=quiet_redis))
    for number in range(3):
        publish(quiet_redis, f"[{number}]")
        eventually(lambda: readable(file).count("\n") == number + 2, "it can be read")
    spy.process.kill()
    spy.process.wait()
    eventually(lambda: quiet_redis.subscribers() == 0, "it is gone")
    # A crash of the machine loses the end of the file too.
    os.truncate(file, file.stat().st_size - lost)
    before = [line for line in readable(file).splitlines() if line.endswith("}")]
    spy = listening(quiet_redis, subspy("record", file, "--count", 1, redis=quiet_redis))
    publish(quiet_redis, "[9]")
    assert spy.code() == 0
    # gzip itself finds nothing wrong: the torn member has been ended.
    assert subprocess.run(["gzip", "-t", file], capture_output=True).stderr == b""
    after = text_of(file).splitlines()
    whole = [line for line in after if line.endswith("}")]
    assert len(before) - 1 <= len(whole) - 2 <= len(before) and before[:len(whole) - 2] == whole[:-2]
    assert json.loads(whole[-1])["text"] == "[9]" and "subspy_recording" in whole[-2]


def test_data_that_is_damaged_is_read_up_to_there(subspy, tmp_path):
    whole = write(tmp_path / "whole", header(), *(message(n, json.dumps(os.urandom(30).hex())) for n in range(5000))).read_bytes()
    middle = whole.index(b"\n", len(whole) // 2) + 1
    gzip_file = zlib.compressobj(wbits=31)
    damaged = gzip_file.compress(whole[:middle]) + gzip_file.flush(zlib.Z_FULL_FLUSH)
    damaged += b"\x06"  # a block of the type that deflate doesn't have (RFC 1951, 3.2.3)
    damaged += gzip_file.compress(whole[middle:]) + gzip_file.flush()
    (tmp_path / "r.gz").write_bytes(damaged)
    spy = subspy("replay", tmp_path / "r.gz", "--dry-run", "--speed", "max")
    texts = [line.split(" ", 2)[2] for line in spy.rest()]
    wanted = [repr(json.loads(json.loads(line)["text"])) for line in whole.decode().splitlines()[1:]]
    assert texts == wanted[:whole[:middle].count(b"\n") - 1]
    assert spy.code() == 0
    assert f"the compressed data of {tmp_path / 'r.gz'} breaks off: what comes before was read" in spy.error
    assert spy.error.count("\n") == 1


def test_a_closed_pipe_ends_a_recording_quietly(quiet_redis):
    process = subprocess.Popen([program(), "record", "-", "--redis", quiet_redis.url], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert b"subspy_recording" in process.stdout.readline()
        eventually(lambda: quiet_redis.subscribers() == 1, "it subscribes")
        process.stdout.close()
        publish(quiet_redis, "[1]")
        assert process.wait(PATIENCE) == 0 and process.stderr.read() == b""
    finally:
        process.kill()
        process.stderr.close()


def test_a_name_that_is_taken_by_something_else_is_refused(subspy, tmp_path):
    file = tmp_path / "r.gz"
    file.write_text("letters to my aunt\n")
    spy = subspy("record", file)
    assert spy.code() == 73
    assert spy.error == f"subspy: {file} is there and no gzip file: name another one\n"
    assert file.read_text() == "letters to my aunt\n"


def test_rotation_of_compressed_files(subspy, quiet_redis, tmp_path):
    file = tmp_path / "r.jsonl.gz"
    count = 60
    spy = listening(quiet_redis, subspy("record", file, "--rotate", "1k", "--count", count, redis=quiet_redis))
    noise = [base64.b64encode(os.urandom(60)).decode() for _ in range(count)]
    for number, text in enumerate(noise):
        publish(quiet_redis, text)
        if number % 10 == 0:
            eventually(lambda: text in "".join(readable(one) for one in tmp_path.iterdir()), "it is written")
    assert spy.code() == 0
    parts = [file, *(tmp_path / f"r.jsonl.{number}.gz" for number in range(1, len(list(tmp_path.iterdir()))))]
    assert len(parts) >= 3 and set(parts) == set(tmp_path.iterdir())
    assert all("subspy_recording" in lines_of(part)[0] for part in parts)
    assert [line["text"] for part in parts for line in lines_of(part) if "text" in line] == noise


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


def test_a_recorder_that_redis_drops_names_the_setting(subspy, own_redis, tmp_path):
    file = tmp_path / "r.jsonl"
    own_redis.client.config_set("client-output-buffer-limit", "pubsub 1mb 0 0")
    spy = listening(own_redis, subspy("record", file, "--until", "end", redis=own_redis))
    eventually(lambda: own_redis.client.info("commandstats").get("cmdstat_info", {}).get("calls", 0) > 0,
               "it knows the server before the loss")
    spy.process.send_signal(signal.SIGSTOP)
    # The kernel's buffers take some megabytes before Redis has to keep the rest.
    while own_redis.subscribers() == 1:
        publish(own_redis, *["x" * (1 << 18)] * 10)
    spy.process.send_signal(signal.SIGCONT)
    listening(own_redis, spy)
    setting = "client-output-buffer-limit pubsub 1mb 0 0"
    spy.wait_for_error(f"Redis dropped the subscription because too much output waited for it: {setting}, raise it with")
    publish(own_redis, '{"event": "end"}')
    assert spy.code() == 0
    told = [line for line in lines_of(file) if "text" not in line]
    assert [sorted(line.keys() - {"us"}) for line in told[1:]] == [["lost"], ["subscribed"], ["cause"]]
    assert setting in told[3]["cause"]
    assert spy.error.endswith(", with 1 gap\n")
    # These lines are no messages.
    rehearsal = subspy("replay", file, "--dry-run", "--speed", "max")
    assert rehearsal.rest()[-1].endswith(" flask-socketio {'event': 'end'}") and rehearsal.code() == 0


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
    (["--speed", "0.5x", "--limit", "3"], [200, 100]), (["--rate", "20/s"], [50, 50, 50])])
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


def test_a_terminal_is_shown_the_progress_and_the_time_left(quiet_redis, tmp_path):
    source = write(tmp_path / "r", header(), *(message(20 * n, "x" * 2000) for n in range(20_000)))
    status, terminal = run_on_a_terminal("replay", source, "--redis", quiet_redis.url, until=" left")
    assert re.search(rb"\r\x1b\[K\d+ messages, \d+ bytes, \d+/s, \d+ min \d+ s left", terminal), terminal
    assert status == 130 and b"published " in terminal


def test_a_terminal_is_shown_the_progress_of_a_recording(quiet_redis, tmp_path):
    status, terminal = run_on_a_terminal("record", tmp_path / "r", "--redis", quiet_redis.url, until="0/s")
    assert b"\r\x1b[K0 messages, 0 bytes, 0/s" in terminal and status == 0


def run_on_a_terminal(*arguments, until):
    """Interrupts subspy once its terminal shows this text; returns its exit code and all that was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([program(), *map(str, arguments)], stderr=theirs, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    interrupted = False
    while True:
        assert select.select([ours], [], [], PATIENCE)[0], f"nothing more came after {shown!r}"
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the terminal's other side is closed
            break
        shown += piece
        if not piece:
            break
        if until.encode() in shown and not interrupted:
            interrupted = True
            process.send_signal(signal.SIGINT)
    os.close(ours)
    return process.wait(PATIENCE), shown


def test_nobody_listening_is_code_3(subspy, quiet_redis, tmp_path):
    spy = subspy("replay", write(tmp_path / "r", header(), message(0, "[1]")), redis=quiet_redis)
    assert spy.code() == 3
    assert spy.error == "subspy: published 1 message, 3 bytes; 1 of them reached nobody\n"


@pytest.mark.parametrize("speed", [["--speed", "max"], ["--rate", "400/s"]])
def test_a_replay_goes_on_after_an_outage(subspy, own_redis, tmp_path, speed):
    count = 400 if "--rate" in speed else 30_000
    source = write(tmp_path / "source", header(), *(message(0, str(n)) for n in range(count)))
    copy = tmp_path / "copy"
    record = listening(own_redis, subspy("record", copy, redis=own_redis))
    replay = subspy("replay", source, *speed, redis=own_redis)
    eventually(lambda: len(copy.read_text()) > 200, "some messages have come")
    own_redis.kill()
    replay.wait_for_error("Redis is away, trying again until it is back")
    own_redis.start()
    code = replay.code()
    record.process.send_signal(signal.SIGINT)
    assert record.code() == 0
    numbers = [int(line["text"]) for line in lines_of(copy) if "text" in line]
    # In order, none twice: what was under way may be lost, as it says.
    assert numbers == sorted(set(numbers))
    said = replay.error.splitlines()[-1]
    assert said.startswith("subspy: published ") and (code == 75) == ("may be lost" in said)
    assert "Redis is back" in replay.error


def test_another_machine_takes_yes(subspy, tmp_path):
    spy = subspy("replay", write(tmp_path / "r", *TIMED), "--redis", "redis://:geheim@192.0.2.1:6379/0")
    assert spy.code() == 64
    assert spy.error == "subspy: redis://:***@192.0.2.1:6379/0 is another machine: add --yes to publish there\n"


def test_with_yes_another_machine_is_published_to(subspy, quiet_redis, channel, tmp_path):
    read = channel("flask-socketio")
    # No loopback address, as far as it can be seen.
    spy = subspy("replay", write(tmp_path / "r", header(), message(0, "[1]")), "--yes", "--redis",
                 f"redis://0.0.0.0:{quiet_redis.port}")
    assert read()[1] == b"[1]"
    assert spy.code() == 0


def test_a_password_stays_secret(subspy, quiet_redis, tmp_path):
    source = write(tmp_path / "r", header(), message(0, "[1]"))
    quiet_redis.client.config_set("requirepass", "geheim")
    try:
        (tmp_path / "password").write_text("geheim\n")
        for url, arguments in [(quiet_redis.url, ["--password-file", tmp_path / "password"]),
                               (quiet_redis.url.replace("//", "//:geheim@"), [])]:
            spy = subspy("replay", source, *arguments, "--verbose", env={"REDIS": url})
            assert spy.code() == 3 and "published 1 message" in spy.error and "geheim" not in spy.error
        for command in (["replay", source], ["record", tmp_path / "x"], ["emit", "x"]):
            spy = subspy(*command, "--no-wait", "--verbose", env={"REDIS": quiet_redis.url.replace("//", "//:falsch@")})
            assert spy.code() == 69 and "refused AUTH" in spy.error and "falsch" not in spy.error
    finally:
        quiet_redis.client.config_set("requirepass", "")


@pytest.mark.parametrize("command", [["record", "x"], ["replay", "r"]])
def test_without_redis_it_waits_or_fails_as_told(subspy, tmp_path, command):
    write(tmp_path / "r", header(), message(0, "[1]"))
    arguments = [command[0], tmp_path / command[1], "--redis", f"redis://127.0.0.1:{free_port()}"]
    spy = subspy(*arguments, "--no-wait")
    assert spy.code() == 69
    assert "Redis can't be reached: Connection refused" in spy.error and spy.error.count("\n") == 1
    redis = RedisServer()
    spy = subspy(*arguments[:2], *(["--count", 1] if command[0] == "record" else []), redis=redis)
    spy.wait_for_error("Redis is away, trying again until it is back")
    redis.start()
    try:
        if command[0] == "record":
            listening(redis, spy)
            publish(redis, "[1]")
        assert spy.code() == (0 if command[0] == "record" else 3)
    finally:
        redis.close()


@pytest.mark.parametrize("content, code, sentence", [
    ("[]\n{}\n", 65, "is no recording: it has no header")])
def test_what_is_no_recording_is_refused(subspy, tmp_path, content, code, sentence):
    (tmp_path / "r").write_text(content)
    spy = subspy("replay", tmp_path / "r", "--dry-run")
    assert spy.rest() == []
    assert spy.code() == code
    assert sentence in spy.error


@pytest.mark.parametrize("arguments, code, sentence", [
    (["replay", "/nonexistent"], 66, "No such file"), (["record", "/nonexistent/r"], 73, "No such file")])
def test_bad_options(subspy, arguments, code, sentence):
    spy = subspy(*arguments)
    assert spy.rest() == []
    assert spy.code() == code
    assert sentence in spy.error and spy.error.count("\n") == 1
