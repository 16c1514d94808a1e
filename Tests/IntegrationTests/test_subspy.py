"""subspy from outside: what it prints for real messages on a real Redis, whole outputs and exit codes."""
import base64
import io
import json
import os
import pickle
import pickletools
import signal
import subprocess

import pytest

from support.processes import ROOT, RedisServer
from support.subspy import (TIME, listening, program, publish, quiet_redis, sniff, subspy,  # noqa: F401 (fixtures)
                            subspy_redis)
from support.waiting import PATIENCE, eventually, free_port

def test_pickles_are_printed_as_python_prints_them(subspy, quiet_redis):
    rows = map(json.loads, (ROOT / "Tests/Fixtures/subspy-values.jsonl").read_text().splitlines())
    payloads = [base64.b64decode(row["payload_b64"]) for row in rows if row["repr"]]
    pickles = [payload for payload in payloads if payload.endswith(b".")]
    spy = sniff(subspy, quiet_redis, "--count", len(pickles))
    publish(quiet_redis, *pickles)
    assert spy.rest() == [repr(pickle.loads(payload)) for payload in pickles]
    assert spy.code() == 0
    assert spy.error == ""


def test_the_first_lines_are_those_of_the_original(subspy, quiet_redis, closing):
    other = closing(quiet_redis.client.pubsub())
    other.subscribe("flask-socketio")
    eventually(lambda: quiet_redis.subscribers() == 1, "the other subscribes")
    spy = subspy("--redis", quiet_redis.url, "--channel", "flask-socketio", "-v")
    assert [spy.line(), spy.line()] == ["All channels: [b'flask-socketio']", "INT: 1"]
    publish(quiet_redis, pickle.dumps(TIME))
    assert spy.line() == (
        "{'method': 'emit', 'event': 'update', 'data': {'time': 1639178370}, 'namespace': '/', 'room': 'time', "
        "'skip_sid': None, 'callback': None, 'host_id': 'ce56fbc176624c7e8511a583cd5030a8'}")
    spy.process.send_signal(signal.SIGINT)
    assert spy.rest() == []
    assert spy.code() == 0


def test_real_emitters_are_printed(subspy, redis_server, emitter):
    room = f"subspy-{emitter.release}"
    spy = subspy("--room", room, "--count", 1, redis=redis_server)
    assert spy.line().startswith("All channels: [")
    assert spy.line() == "INT: 1"
    emitter.emit("update", {"time": 1}, room=room)
    line = spy.line()
    assert line.startswith("{'method': 'emit', 'event': 'update', 'data': ")
    assert f"'room': '{room}'" in line
    assert spy.code() == 0


def test_several_channels_and_patterns(subspy, quiet_redis):
    spy = subspy("--channel", "one", "--channel", "two", "--pattern", "t[he]*", "--count", 3, redis=quiet_redis)
    assert [spy.line() for _ in range(4)] == ["All channels: []", "INT: 1", "INT: 2", "INT: 3"]
    publish(quiet_redis, "[1]", channel="one")
    publish(quiet_redis, "[0]", channel="other")
    publish(quiet_redis, "[2]", channel="two")
    publish(quiet_redis, "[3]", channel="three")
    assert spy.rest() == ["[1]", "[2]", "[3]"]


def test_what_can_not_be_decoded_is_a_line_with_its_bytes(subspy, quiet_redis):
    spy = sniff(subspy, quiet_redis, "--count", 4)
    publish(quiet_redis, b"", b"\x80\x04\x95", b'{"a": }', b"hello\n")
    lines = spy.rest()
    assert lines == [
        "undecodable, 0 bytes: an empty message: b''",
        "undecodable, 3 bytes: pickle: byte 2: FRAME: the data ends too early "
        "(expected more data, up to STOP; was the message cut?): b'\\x80\\x04\\x95'",
        "undecodable, 7 bytes: JSON: byte 6: } where a value was expected: b'{\"a\": }'",
        "undecodable, 6 bytes: pickle: byte 0: BINGET: memo has no entry 101 (expected an index stored earlier): b'hello\\n'",
    ]


def test_nothing_in_a_pickle_is_executed(subspy, quiet_redis, tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/executed",)
    spy = sniff(subspy, quiet_redis, "--count", 2)
    publish(quiet_redis, pickle.dumps({"event": Hostile()}), b"cos\nsystem\n.")
    assert spy.rest() == [f"{{'event': <{os.system.__module__}.system('touch {tmp_path}/executed')>}}", "<os.system>"]
    assert list(tmp_path.iterdir()) == []


def test_raw_and_hex_print_the_payload_and_nothing_else(subspy, quiet_redis):
    raw = listening(quiet_redis, subspy("--raw", "--count", 2, redis=quiet_redis))
    hexadecimal = listening(quiet_redis, subspy("--hex", "--count", 2, redis=quiet_redis), count=2)
    publish(quiet_redis, b"\x80\x04N.", b"oops\xff")
    assert raw.rest() == [b"\x80\x04N.".decode("utf-8", "surrogateescape"), b"oops\xff".decode("utf-8", "surrogateescape")]
    assert hexadecimal.rest() == ["80044e2e", "6f6f7073ff"]


def test_opcodes_are_those_of_pickletools(subspy, quiet_redis):
    payloads = [pickle.dumps(TIME, protocol) for protocol in (0, 2, 4)]
    spy = listening(quiet_redis, subspy("--opcodes", "--count", 4, redis=quiet_redis))
    publish(quiet_redis, *payloads, "{}")
    expected = ""
    for payload in payloads:
        listing = io.StringIO()
        pickletools.dis(payload, listing)
        expected += listing.getvalue() + "\n"
    assert "\n".join(spy.rest()) + "\n" == expected + "JSON, 2 bytes: no opcodes\n\n"


def test_an_audit_names_what_would_be_imported_and_called(subspy, quiet_redis):
    spy = listening(quiet_redis, subspy("--audit", "--count", 5, redis=quiet_redis))
    publish(quiet_redis, pickle.dumps(TIME), "{}", b"cos\nsystem\n(S'id'\ntR0N.", b"cos\nsystem\n.", b"cos\nsystem\n")
    assert spy.rest() == [
        f"pickle, {len(pickle.dumps(TIME))} bytes: plain data", "JSON, 2 bytes: plain data",
        "pickle, 23 bytes: imports os.system; calls os.system", "pickle, 12 bytes: imports os.system",
        "pickle, 11 bytes: imports os.system; pickle: byte 11: the data ends too early "
        "(expected more data, up to STOP; was the message cut?)"]


def message(**changes):
    return {**TIME, **changes}


FILTERED = [
    message(event="a", room="room-1", host_id="h1"),
    message(event="b", room=["room-2", "x"], namespace="/chat"),
    message(event="c", room=None, data="комната"),
    {"method": "close_room", "room": "room-1", "namespace": "/"},
]


@pytest.mark.parametrize("encode", [pickle.dumps, json.dumps])
def test_filters(subspy, quiet_redis, encode):
    spy = sniff(subspy, quiet_redis, "--event", "[ab]", "--not-room", "x", "--grep", "/room-[12]/", "--min-size", "100")
    # The second round shows that nothing else was printed after the first one.
    publish(quiet_redis, *(encode(one) for one in FILTERED * 2))
    assert [spy.line(), spy.line()] == [str(FILTERED[0])] * 2
    spy.process.send_signal(signal.SIGINT)
    assert spy.rest() == []
    assert spy.code() == 0


def test_count_ends_with_code_0(subspy, quiet_redis):
    spy = sniff(subspy, quiet_redis, "--count", 2)
    publish(quiet_redis, "[1]", "[2]", "[3]")
    assert spy.rest() == ["[1]", "[2]"]
    assert spy.code() == 0


@pytest.mark.parametrize("arguments, code", [
    (["--duration", "100ms"], 0), (["--idle", "100ms", "--until", "x"], 1)])
def test_time_ends_it(subspy, quiet_redis, arguments, code):
    spy = sniff(subspy, quiet_redis, *arguments)
    assert spy.rest() == []
    assert spy.code() == code


def test_an_interrupt_before_the_event_is_code_130(subspy, quiet_redis):
    spy = sniff(subspy, quiet_redis, "--until", "ready")
    spy.process.send_signal(signal.SIGTERM)
    assert spy.rest() == []
    assert spy.code() == 130


def test_a_closed_pipe_ends_it_quietly(subspy, quiet_redis):
    reader = subprocess.Popen(["head", "-n", "3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process = subprocess.Popen([program(), "--redis", quiet_redis.url], stdout=reader.stdin, stderr=subprocess.PIPE)
    reader.stdin.close()
    eventually(lambda: quiet_redis.subscribers() == 1, "subspy subscribes")
    publish(quiet_redis, "[1]")
    assert reader.stdout.read() == b"All channels: []\nINT: 1\n[1]\n"
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == b""
    reader.wait(PATIENCE)


def test_redis_may_come_late_and_go(subspy):
    server = RedisServer(free_port())
    spy = subspy("--redis", server.url, "--until", "end")
    spy.wait_for_error("Redis is away, trying again until it is back: Redis can't be reached: Connection refused")
    server.start()
    try:
        assert [spy.line(), spy.line()] == ["All channels: []", "INT: 1"]
        server.kill()
        server.start()
        assert spy.line() == "INT: 1"
        publish(server, json.dumps({"event": "end"}))
        assert spy.rest() == ["{'event': 'end'}"]
        assert spy.code() == 0
        assert "Redis is back" in spy.error
    finally:
        server.close()


@pytest.mark.parametrize("arguments", [(), ("--output", "json"), ("--format", "%e")], ids=" ".join)
def test_no_wait_fails_with_69(subspy, arguments):
    port = free_port()
    spy = subspy("--redis", f"redis://:geheim@127.0.0.1:{port}/0", "--no-wait", *arguments)
    assert spy.rest() == []
    assert spy.code() == 69
    assert spy.error == (f"subspy: Redis can't be reached: Connection refused (redis://:***@127.0.0.1:{port}/0); "
                         "start it, or name another one with --redis or REDIS\n")


def test_a_password_from_a_file(subspy, own_redis, tmp_path):
    own_redis.client.config_set("requirepass", "geheim")
    file = tmp_path / "password"
    file.write_text("geheim\n")
    for arguments, env in [(["--password-file", file], {}), (["--redis-password-file", file], {}),
                           ([], {"REDIS_PASSWORD_FILE": str(file)})]:
        spy = sniff(subspy, own_redis, *arguments, "--duration", "10ms", env=env)
        assert spy.code() == 0
        assert "geheim" not in spy.error


def test_an_empty_password_file_is_an_error(subspy, tmp_path):
    (tmp_path / "empty").touch()
    spy = subspy(env={"REDIS_PASSWORD_FILE": str(tmp_path / "empty")})
    assert spy.code() == 64 and spy.error.startswith("subspy: REDIS_PASSWORD_FILE: ") and spy.error.count("\n") == 1


@pytest.fixture(scope="module")
def completions():
    return subprocess.run([program(), "--generate-completion-script", "bash"], capture_output=True, text=True).stdout


@pytest.mark.parametrize("line, words", [
    ("subspy record a", {"a.jsonl", "ab"}), ("subspy replay a", {"a.jsonl", "ab"}), ("subspy convert a", {"a.jsonl", "ab"}),
    ("subspy sniff --password-file a", {"a.jsonl", "ab"}), ("subspy replay --as p", {"pickle"}), ("subspy emit --as j", {"json"}),
    ("subspy sniff --output t", {"table"}), ("subspy sniff --method enter", {"enter_room"}), ("subspy replay --speed m", {"max"})])
def test_values_are_completed(line, words, tmp_path, completions):
    (tmp_path / "script").write_text(completions)
    (tmp_path / "here").mkdir()
    for name in ("a.jsonl", "ab", "other"):
        (tmp_path / "here" / name).touch()
    ask = ('source ../script; COMP_LINE=$1; read -ra COMP_WORDS <<< "$1"; COMP_POINT=${#1}; COMP_CWORD=$((${#COMP_WORDS[@]} - 1));'
           '_subspy subspy "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", ask, "_", line], capture_output=True, text=True, cwd=tmp_path / "here")
    assert set(done.stdout.split()) == words, done


@pytest.mark.parametrize("arguments, sentence", [
    (["--redis", "http://x"], "--redis"), (["--count", "0"], "--count must be at least 1"), (["--nonsense"], "--nonsense"),
    (["--password-file", "/nonexistent"], "--password-file"), (["--output", "xml"], "--output")])
def test_a_bad_option_is_one_sentence_and_code_64(subspy, arguments, sentence):
    spy = subspy(*arguments)
    assert spy.rest() == []
    assert spy.code() == 64
    assert spy.error.startswith("subspy: ") and sentence in spy.error
    assert spy.error.count("\n") == 1


def test_the_canaries_of_ws_emit_are_shown_only_when_asked_for(subspy, quiet_redis):
    canary = b'{"method":"ws-emit-canary","id":1,"host_id":"ws-emit-0"}'
    plain = sniff(subspy, quiet_redis, "--count", 1)
    asking = [listening(quiet_redis, subspy(*flags, "--count", 1, "--raw", redis=quiet_redis), count=number + 2)
              for number, flags in enumerate([["--canaries"], ["--method", "ws-*"]])]
    publish(quiet_redis, canary, pickle.dumps(TIME))
    assert plain.line() == repr(TIME)
    assert [spy.line() for spy in asking] == [canary.decode()] * 2
    assert [spy.code() for spy in [plain, *asking]] == [0, 0, 0]
