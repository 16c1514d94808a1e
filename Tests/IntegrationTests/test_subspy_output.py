"""The formats of subspy's output: whole lines for real messages, on pipes and on terminals."""
import base64
import collections
import datetime
import json
import pickle
import re
import time
import unicodedata

import pytest

from support.processes import ROOT
from support.subspy import TIME, listening, publish, quiet_redis, subspy, subspy_redis  # noqa: F401 (fixtures)
from support.terminal import terminal  # noqa: F401 (a fixture)
from support.waiting import eventually

ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


def message(**changes):
    return {**TIME, **changes}


def lines_of(subspy, redis_server, arguments, payloads, env=None):
    """What subspy prints for some payloads."""
    spy = listening(redis_server, subspy(*arguments, "--count", len(payloads), redis=redis_server, env=env))
    publish(redis_server, *payloads)
    lines = spy.rest()
    assert spy.code() == 0
    assert spy.error == ""
    return lines


# JSON

def test_json_is_one_object_a_line_with_what_is_known_of_the_message(subspy, quiet_redis):
    before = datetime.datetime.now(datetime.timezone.utc)
    payloads = [pickle.dumps(TIME, 4), json.dumps(message(binary=False, data=[1])), json.dumps(TIME),
                json.dumps(message(binary=False)), b"oops", b'{"event": "x"}']
    lines = [json.loads(line) for line in lines_of(subspy, quiet_redis, ["--output", "json"], payloads)]
    after = datetime.datetime.now(datetime.timezone.utc)
    for line in lines:
        assert re.fullmatch(ISO, line["time"])
        assert before <= datetime.datetime.fromisoformat(line.pop("time").replace("Z", "+00:00")) <= after
        assert line.pop("channel") == "flask-socketio"
    assert lines == [
        {"size": 165, "format": "pickle 4", "message": TIME},
        {"size": len(payloads[1]), "format": "JSON 5.15.1+", "message": message(binary=False, data=[1])},
        {"size": len(payloads[2]), "format": "JSON 5.14.0", "message": TIME},
        {"size": len(payloads[3]), "format": "JSON 5.14.2", "message": message(binary=False)},
        {"size": 4, "format": "undecodable", "error": "pickle: byte 0: OBJ: no MARK on the stack", "payload": {"$bytes": "b29wcw=="}},
        {"size": 14, "format": "JSON", "error": "no method", "message": {"event": "x"}},
    ]


def test_json_of_real_emitters(subspy, redis_server, emitter):
    room = f"json-{emitter.release}"
    spy = subspy("--output", "json", "--room", room, "--count", 1, redis=redis_server)
    eventually(lambda: emitter.emit("update", {"time": 1}, room=room) or not spy.lines.empty(), "the message is printed")
    line = json.loads(spy.line())
    assert line["format"] == ("JSON 5.15.1+" if emitter.release == "newest" else f"pickle {pickle.DEFAULT_PROTOCOL}")
    assert line["message"]["event"] == "update"
    assert line["message"]["data"] == ([{"time": 1}] if emitter.release == "newest" else {"time": 1})


def test_a_short_pickle_of_endless_text_is_shown_as_its_bytes(subspy, quiet_redis):
    value = []
    for _ in range(60):
        value = [value, value]
    payload = pickle.dumps({"method": "emit", "event": "x", "data": value})
    reason = f"its text would take more than {4 << 20} bytes"
    line, = lines_of(subspy, quiet_redis, ["--output", "json"], [payload])
    line = json.loads(line)
    assert (line["error"], base64.b64decode(line["payload"]["$bytes"]), "message" in line) == (reason, payload, False)
    line = lines_of(subspy, quiet_redis, ["--output", "python"], [payload])[2]
    assert line == f"undecodable, {len(payload)} bytes: {reason}: {payload}"


def recorded_payloads():
    """What real emitters of many releases have published, and what hostile ones could."""
    for line in (ROOT / "Tests/Fixtures/wire.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record.get("payload_b64") is not None:
            yield base64.b64decode(record["payload_b64"])
        else:
            yield b"".join(base64.b64decode(part["b64"]) if "b64" in part else base64.b64decode(part["rep_b64"]) * part["n"]
                           for part in record.get("payload_parts", []))


def test_every_recorded_payload_is_a_line_of_json(subspy, quiet_redis):
    payloads = [payload for payload in recorded_payloads() if len(payload) < 100_000]
    lines = [json.loads(line) for line in lines_of(subspy, quiet_redis, ["--output", "json"], payloads)]
    assert [line["size"] for line in lines] == list(map(len, payloads))
    for line, payload in zip(lines, payloads):
        if line["format"] == "undecodable":
            assert base64.b64decode(line["payload"]["$bytes"]) == payload
        elif line["format"].startswith("pickle") and payload[:1] == b"\x80":
            assert line["format"] == f"pickle {payload[1]}"
        assert ("message" in line) != ("payload" in line)


# Formats of one's own

def test_every_field_of_a_format(subspy, quiet_redis):
    sent = message(room=["a", "b\n"], namespace="/chat", skip_sid=["s1", "s2"], event="x\x1b\\", data=(1, {"a": b"A"}))
    call = {"method": "callback", "host_id": "h", "sid": "s", "namespace": "/", "id": 1, "args": (1, None)}
    letters = "m e r n k i h d D s f c N x".split()
    form = "|".join("%" + letter for letter in letters) + "|%%\\\\\\t%j|%p\\n"
    payloads = [pickle.dumps(sent, 4), pickle.dumps(call, 2), b'{"event": 5}', b""]
    assert lines_of(subspy, quiet_redis, ["--format", form], payloads) == [
        "emit|x\\x1b\\\\|a,b\\n|/chat|s1,s2||ce56fbc176624c7e8511a583cd5030a8|{\"$tuple\":[1,{\"a\":{\"$bytes\":\"QQ==\"}}]}|"
        f"(1, {{'a': b'A'}})|{len(payloads[0])}|pickle 4|flask-socketio|1||%\\\t"
        '{"method":"emit","event":"x\\u001b\\\\","data":{"$tuple":[1,{"a":{"$bytes":"QQ=="}}]},"namespace":"/chat",'
        '"room":["a","b\\n"],"skip_sid":["s1","s2"],"callback":null,"host_id":"ce56fbc176624c7e8511a583cd5030a8"}'
        f"|{sent}",
        f'callback|||/||s|h|{{"$tuple":[1,null]}}|(1, None)|{len(payloads[1])}|pickle 2|flask-socketio|2||%\\\t'
        '{"method":"callback","host_id":"h","sid":"s","namespace":"/","id":1,"args":{"$tuple":[1,null]}}|' + str(call),
        "|5||||||null||12|JSON|flask-socketio|3|no method|%\\\t{\"event\":5}|{'event': 5}",
        "|||||||null||0|undecodable|flask-socketio|4|an empty message|%\\\tnull|undecodable, 0 bytes: an empty message: b''",
    ]


KEPT = [json.dumps(message(keep=300, key="te\na")), pickle.dumps(message(keep=True), 2), json.dumps(message(key="tea", keep=None)),
        json.dumps(message(keep=False))]


@pytest.mark.parametrize("arguments, shown", [
    (["--format", "%K|%y\n"], ["300|te\\na", "true|", "|tea", "false|"]),
    (["--output", "table"], ["(keep 300) (key te\\na) {'time'", "(keep true) {'time'", "(key tea) {'time'", "(keep false) {'time'"]),
    (["--output", "json"], ['"keep":300,"key":"te\\na"}', '"keep":true}', '"key":"tea","keep":null}', '"keep":false}']),
    (["--output", "python"], ["'keep': 300, 'key': 'te\\na'}", "'keep': True}", "'key': 'tea', 'keep': None}", "'keep': False}"]),
    (["--format", "%K|%y\n", "--redact", "key"], ["300|***", "true|", "|***", "false|"]),
    (["--output", "table", "--redact", "k*"], ["(keep ***) (key ***) {'time'", "(keep ***) {'time'", "(key ***) {'time'",
                                               "(keep ***) {'time'"]),
])
def test_keep_and_key_are_shown_where_a_message_has_them(subspy, quiet_redis, arguments, shown):
    lines = lines_of(subspy, quiet_redis, arguments, [*KEPT, json.dumps(TIME)])
    assert all(part in line for part, line in zip(shown, lines[-5:])), lines
    assert "keep" not in lines[-1] and "(key" not in lines[-1]


def test_the_pretty_form_shows_keep_and_key(terminal, quiet_redis):
    spy = terminal("--count", "2", "--color", "never", redis=quiet_redis, columns=150)
    eventually(lambda: quiet_redis.subscribers() == 1, "subspy subscribes")
    publish(quiet_redis, KEPT[0], KEPT[3])
    assert spy.code() == 0
    assert "update → time  keep 300  key te\\na  " in spy.plain and "update → time  keep false  " in spy.plain


def test_the_pretty_form_shows_a_senders_mistakes(terminal, quiet_redis):
    spy = terminal("--count", "1", "--color", "never", redis=quiet_redis, columns=150)
    eventually(lambda: quiet_redis.subscribers() == 1, "subspy subscribes")
    publish(quiet_redis, json.dumps(message(keep="300", data=1)))
    assert spy.code() == 0
    lines = spy.plain.split("\r\n")
    assert lines[0].endswith("JSON 5.14.0, from ce56fbc1…") and lines[1].startswith("  keep is neither true, false nor a number")
    assert lines[2] == "  1"


def test_a_format_prints_no_line_feed_of_its_own(subspy, quiet_redis):
    assert lines_of(subspy, quiet_redis, ["--format", "%e,"], [json.dumps(TIME)] * 2) == ["update,update,"]


# Times

@pytest.mark.parametrize("form, pattern", [("delta", r"\+\d+\.\d{6}")])
@pytest.mark.parametrize("arguments, rest", [
    ([], " {}"), (["--hex"], " 7b7d"), (["--audit"], " JSON, 2 bytes: plain data"), (["--opcodes"], " JSON, 2 bytes: no opcodes"),
    (["--format", "%s\n"], " 2"), (["--format", "%s at %T\n"], None)])
def test_times_stand_before_every_message(subspy, quiet_redis, form, pattern, arguments, rest):
    spy = listening(quiet_redis, subspy(*arguments, "--timestamps", form, "--count", 2, redis=quiet_redis))
    publish(quiet_redis, "{}", "{}")
    lines = [line for line in spy.rest() if line and not line.startswith(("INT", "All"))]
    assert len(lines) == 2
    for line in lines:
        if rest is None:
            assert re.fullmatch("2 at " + pattern, line)
        else:
            assert re.fullmatch(pattern + re.escape(rest), line)


def test_times_mean_what_they_say(subspy, quiet_redis):
    before = time.time()
    for form in ("epoch", "relative", "delta"):
        times = [json.loads(line)["time"] for line in
                 lines_of(subspy, quiet_redis, ["--output", "json", "--timestamps", form], ["{}"] * 3)]
        if form == "epoch":
            assert before - 0.001 <= min(times) and times == sorted(times) and max(times) <= time.time() + 0.001
        elif form == "relative":
            assert 0 < min(times) and times == sorted(times) and max(times) < time.time() - before
        else:
            assert all(gap >= 0 for gap in times) and sum(times) < time.time() - before


# Cutting

@pytest.mark.parametrize("arguments, expected", [
    (["--output", "python"], ["All channels: []", "INT: 1", "{'method': 'e…", "undecodable, …"]),
    (["--hex"], ["7b226d6574686…", "6f6f7073"]),
    (["--format", "%e %d %n\n"], ["комнатакомнат… \"😀\" /", " null "]),
    (["--audit"], ["JSON, 93 byte…", "pickle, 4 byt…"]),
])
def test_truncate_cuts_after_some_characters(subspy, quiet_redis, arguments, expected):
    sent = json.dumps({"method": "emit", "event": "комната" * 2, "data": "😀", "namespace": "/"}, ensure_ascii=False)
    assert lines_of(subspy, quiet_redis, [*arguments, "--truncate", 13], [sent, b"oops"]) == expected


def test_truncate_in_json_cuts_the_texts_and_leaves_json(subspy, quiet_redis):
    sent = {"method": "emit", "data": {"a long key": ["abcdef", b"abcdef", "abc"]}}
    line, = lines_of(subspy, quiet_redis, ["--output", "json", "--truncate", "3"], [pickle.dumps(sent)])
    assert json.loads(line)["message"] == {"method": "emi…", "data": {"a long key": ["abc…", {"$bytes": "YWJj…"}, "abc"]}}


# Hiding

SECRETS = [
    pickle.dumps(message(data={"user": 1, "password": "hunter2", "deep": [{"password": ["hunter2"]}, ({"password": 5},)]}), 2),
    pickle.dumps(message(data={b"password": b"hunter2", "k": collections.OrderedDict(password="hunter2")}), 4),
    # OrderedDict as Python 2 pickles it.
    b"(dp0\nS'method'\np1\nS'emit'\np2\nsS'data'\np3\nccollections\nOrderedDict\n((lp4\n(lp5\nS'password'\np6\naS'hunter2'\np7\naa"
    b"tRp8\ns.",
    json.dumps(message(data={"password": {"a": "hunter2"}})),
    # The attachment of a hidden placeholder: base64 of "hunter2".
    json.dumps(message(binary=True, data=[[{"password": {"_placeholder": True, "num": 1}, "b": {"_placeholder": True, "num": 0}}],
                                          "QQ==", "aHVudGVyMg=="])),
    b"\x80\x04hunter2",
    b"cos\nsystem\n(dS'password'\nS'hunter2'\nstR.",
]


@pytest.mark.parametrize("arguments", [
    ["--output", "python"], ["--output", "pretty"], ["--output", "json"], ["--output", "table"], ["--audit"],
    ["--format", "%d %D %j %p\n"], ["--output", "python", "--color", "always"]])
def test_redact_hides_values_at_any_depth(subspy, quiet_redis, arguments):
    spy = listening(quiet_redis, subspy(*arguments, "--redact", "password", "--count", len(SECRETS), redis=quiet_redis))
    publish(quiet_redis, *SECRETS)
    text = "\n".join(spy.rest())
    assert spy.code() == 0
    for secret in ("hunter2", "aHVudGVyMg", b"hunter2".hex()):
        assert secret not in text
    assert "audit" in arguments[0] or text.count("***") >= len(SECRETS)


# Terminals

HOSTILE = "\x1b[2J\x1b]0;title\x07\x9b31m\x00\x08\r\n\x7f\u202e\u2066\u200b\u2028\ud800"
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028\u202a-\u202e\u2066-\u2069]")
FORMS = [["--output", "python"], ["--output", "pretty"], ["--output", "json"], ["--output", "table"], ["--hex"], ["--opcodes"],
         ["--audit"], ["--format", "%m %e %r %n %k %i %h %d %D %j %p %s %f %c %N %x\\n"]]


def hostile_payloads():
    values = {key: HOSTILE for key in ("method", "event", "room", "namespace", "skip_sid", "sid", "host_id", "data")}
    yield from (pickle.dumps({**values, "method": method, HOSTILE: [HOSTILE, HOSTILE.encode("utf-8", "surrogatepass")]}, protocol)
                for protocol in range(6) for method in ("emit", "callback", HOSTILE))
    yield json.dumps({**values, "method": "emit", HOSTILE: HOSTILE})
    yield json.dumps({**values, HOSTILE: HOSTILE})
    yield HOSTILE.encode("utf-8", "surrogatepass")
    evil = b"\x1b[31m\xc2\x9b\xe2\x80\xae\xff"
    for opcode in (b"S'%s'\n", b"V%s\n", b"I%s\n", b"L%sL\n", b"F%s\n", b"c%s\nx\n", b"cx\n%s\n", b"P%s\n", b"g%s\n", b"(i%s\nx\n",
                   b"U\x0d%s", b"X\x0d\0\0\0%s", b"C\x0d%s", b"T\x0d\0\0\0%s"):
        yield opcode % evil + b"."
        yield b"(dS'method'\nS'emit'\nsS'event'\n" + opcode % evil + b"sS'room'\n" + opcode % evil + b"s."
    yield b'{"a\x1b": 1}'
    yield b"\x1b[31m"


@pytest.mark.parametrize("arguments", FORMS, ids=lambda arguments: arguments[-1][:9].strip("-%"))
def test_no_text_from_the_channel_is_a_control_character(subspy, quiet_redis, arguments):
    payloads = list(hostile_payloads())
    spy = listening(quiet_redis, subspy("--pattern", "*", *arguments, "--count", len(payloads), redis=quiet_redis), channel=None)
    publish(quiet_redis, *payloads, channel="evil\x1b[31m\x9b")
    lines = spy.rest()
    assert spy.code() == 0
    assert len(lines) >= len(payloads)
    for line in lines:
        line.encode("utf-8")
        assert not CONTROLS.search(line), line


def test_a_terminal_gets_the_pretty_form_in_colour(terminal, quiet_redis):
    spy = terminal("--count", "3", redis=quiet_redis, columns=60, env={"TZ": "UTC"})
    eventually(lambda: quiet_redis.subscribers() == 1, "subspy subscribes")
    publish(quiet_redis, pickle.dumps(message(data={"time": 1, "names": ["a" * 20, "b" * 20, (1,)]}), 4), b"oops",
            json.dumps({"method": "disconnect", "sid": "s", "namespace": "/chat"}))
    assert spy.code() == 0
    spy.wait_for("3 messages")
    lines = [re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "TIME", line) for line in spy.plain.split("\r\n")]
    assert lines[:-3] == [
        "TIME  update → time  225 bytes, pickle 4, from ce56fbc1…",
        "  {",
        "    'time': 1,",
        "    'names': [",
        f"      '{'a' * 20}',",
        f"      '{'b' * 20}',",
        "      (1,)",
        "    ]",
        "  }",
        "TIME  undecodable  4 bytes",
        "  pickle: byte 0: OBJ: no MARK on the stack",
        "  b'oops'",
        "TIME  disconnect s  namespace /chat  58 bytes, JSON",
    ]
    assert "\x1b[36m'time'\x1b[0m: \x1b[33m1\x1b[0m" in spy.text


@pytest.mark.parametrize("arguments, env, colored", [
    ([], {}, True), ([], {"NO_COLOR": "1"}, False), ([], {"NO_COLOR": ""}, True), ([], {"TERM": "dumb"}, False),
    (["--color", "never"], {}, False), (["--color", "always"], {"NO_COLOR": "1"}, True), (["--output", "python"], {}, True)])
def test_colour_on_terminals(terminal, quiet_redis, arguments, env, colored):
    spy = terminal("--count", "1", *arguments, redis=quiet_redis, env=env)
    eventually(lambda: quiet_redis.subscribers() == 1, "subspy subscribes")
    publish(quiet_redis, json.dumps(TIME))
    assert spy.code() == 0
    spy.wait_for("1 message,")
    assert ("\x1b[" in spy.text) == colored


def test_pipes_get_colour_only_when_asked(subspy, quiet_redis):
    assert lines_of(subspy, quiet_redis, ["--output", "pretty", "--format", "%e\n"][2:], [json.dumps(TIME)]) == ["update"]
    line = lines_of(subspy, quiet_redis, ["--output", "python", "--color", "always"], ["[1, null, {\"a\": \"b\"}]"])[2]
    assert line == "[\x1b[33m1\x1b[0m, \x1b[33mNone\x1b[0m, {\x1b[36m'a'\x1b[0m: \x1b[32m'b'\x1b[0m}]"


def width(text):
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def test_a_table_has_aligned_columns_as_wide_as_asked(subspy, quiet_redis):
    payloads = [pickle.dumps(message(data={"time": 1}), 4), json.dumps(message(room="日本語の部屋と長い名前", event="x" * 30)),
                json.dumps(message(room=None)), json.dumps({"method": "close_room", "room": "r", "namespace": "/"}), b"oops"]
    lines = lines_of(subspy, quiet_redis, ["--output", "table"], payloads, env={"COLUMNS": "90"})
    assert [re.sub(r"^\d\d:\d\d:\d\d\.\d{3}", "HH:MM:SS.mmm", line) for line in lines] == [
        "TIME         EVENT      ROOM       NS     BYTES FORMAT       DATA",
        "HH:MM:SS.mmm update     time       /        162 pickle 4     {'time': 1}",
        "HH:MM:SS.mmm xxxxxxxxx… 日本語の…  /        270 JSON 5.14.0  {'time': 1639178370}",
        "HH:MM:SS.mmm update     (everyone) /        182 JSON 5.14.0  {'time': 1639178370}",
        "HH:MM:SS.mmm (close_ro… r          /         55 JSON         ",
        "HH:MM:SS.mmm" + " " * 34 + "4 undecodable  undecodable, 4 bytes: pickle…",
    ]
    assert {width(line) for line in lines if "…" in line[60:]} <= {90}


@pytest.mark.parametrize("columns", [20, 40, 72, 100, 200])
def test_a_table_is_never_wider_than_the_terminal(terminal, quiet_redis, columns):
    spy = terminal("--output", "table", "--count", "2", "--color", "never", redis=quiet_redis, columns=columns)
    eventually(lambda: quiet_redis.subscribers() == 1, "subspy subscribes")
    publish(quiet_redis, json.dumps(message(data="😀日本語 " * 100)), b"oops")
    assert spy.code() == 0
    spy.wait_for("2 messages,")
    lines = spy.plain.split("\r\n")[:3]
    # A wide character that would stand half outside isn't shown.
    assert columns - 1 <= width(lines[1]) <= columns
    assert all(width(line) <= columns for line in lines)


def test_raw_does_not_go_to_a_terminal(terminal):
    spy = terminal("--raw")
    assert spy.code() == 64
    spy.wait_for("subspy: --raw on a terminal could make it do anything; use --hex, or pipe it to xxd")
