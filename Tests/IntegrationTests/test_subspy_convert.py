"""Recordings as JSON lines and back, two recordings compared, and single payloads read and written."""
import base64
import collections
import datetime
import gzip
import io
import json
import pickle
import pickletools
import subprocess

import pytest

from support.subspy import TIME, program, subspy  # noqa: F401 (fixture)

NAN = float("nan")


def recording(path, *payloads, channel="flask-socketio", extra=()):
    lines = [{"subspy_recording": 1, "start": "2026-01-01T00:00:00.000000Z", "start_us": 5, "channels": [channel],
              "patterns": []}]
    lines += [{"us": 1000 * n, "channel": channel, "base64": base64.b64encode(payload).decode()}
              for n, payload in enumerate(payloads)]
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, *extra]))
    return path


def lines_of(path):
    data = path.read_bytes()
    return [json.loads(line) for line in (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()]


def payloads_of(path):
    return [line["text"].encode() if "text" in line else base64.b64decode(line["base64"])
            for line in lines_of(path) if "channel" in line]


def done(spy, code=0):
    """All that a subspy prints, and what it says on standard error."""
    lines = spy.rest()
    assert spy.code() == code, spy.error
    return lines, spy.error


VALUES = [
    (None, None), (True, True), (-5, -5), (2**70, 2**70), (1.5, 1.5), (1e300, 1e300), ("комната \ud800\n", "комната \ud800\n"),
    ([1, [2]], [1, [2]]), ({"a": {"b": 1}}, {"a": {"b": 1}}), ((), {"$tuple": []}), ((1, (2,)), {"$tuple": [1, {"$tuple": [2]}]}),
    (b"A\xff", {"$bytes": "Qf8="}), (bytearray(b"A"), {"$bytearray": "QQ=="}), ({1}, {"$set": [1]}),
    (frozenset([1]), {"$frozenset": [1]}), ({1: 2, "a": 3}, {"$dict": [[1, 2], ["a", 3]]}),
    ({"$tuple": 1}, {"$dict": [["$tuple", 1]]}), ({"$a": 1, "b": 2}, {"$a": 1, "b": 2}), ({None: (1,)}, {"$dict": [[None, {"$tuple": [1]}]]}),
    (float("inf"), {"$float": "inf"}), (float("-inf"), {"$float": "-inf"}), ({}, {}), ([], []), ("", ""), (b"", {"$bytes": ""}),
]


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_become_json_lines_and_pickles_again(subspy, tmp_path, protocol):
    messages = [{**TIME, "data": value} for value, _ in VALUES]
    source = recording(tmp_path / "r", *(pickle.dumps(message, protocol) for message in messages))
    assert done(subspy("convert", source, tmp_path / "j.jsonl")) == (
        [], f"subspy: converted {len(VALUES)} messages\n")
    header, *lines = lines_of(tmp_path / "j.jsonl")
    assert header == {"subspy_messages": 1, "start": "2026-01-01T00:00:00.000000Z", "start_us": 5,
                      "channels": ["flask-socketio"], "patterns": []}
    assert [line["message"]["data"] for line in lines] == [written for _, written in VALUES]
    assert lines[1] == {"us": 1000, "channel": "flask-socketio", "format": "pickle",
                        "protocol": protocol if protocol > 1 else 0, "message": {**TIME, "data": True}}
    done(subspy("convert", tmp_path / "j.jsonl", tmp_path / "back"))
    back = payloads_of(tmp_path / "back")
    assert [repr(pickle.loads(payload)) for payload in back] == [repr(message) for message in messages]
    assert [payload[1] if payload[0] == 0x80 else 0 for payload in back] == [protocol if protocol > 1 else 0] * len(back)
    assert [line.get("us") for line in lines_of(tmp_path / "back")] == [line.get("us") for line in lines_of(source)]


JSON_TEXTS = [json.dumps(message) for message in [
    TIME, {**TIME, "data": [{"a": 1.0, "b": [None, True, -0.0, 1e22, 123456789012345678901234567890]}], "binary": False},
    {**TIME, "event": "é\ud83d\ude00\ud800", "data": {"$tuple": [1]}}, {**TIME, "data": float("inf"), "x": float("-inf")},
    {**TIME, "data": {"$": 1}}, [1, 2], "text", 5]]


def test_what_json_dumps_has_written_comes_back_byte_for_byte(subspy, tmp_path):
    source = recording(tmp_path / "r", *(text.encode() for text in JSON_TEXTS))
    done(subspy("convert", source, tmp_path / "j.gz"))
    done(subspy("convert", tmp_path / "j.gz", tmp_path / "back.gz"))
    assert [payload.decode() for payload in payloads_of(tmp_path / "back.gz")] == JSON_TEXTS


def test_what_has_no_form_in_json_keeps_its_bytes(subspy, tmp_path):
    opaque = [b"garbage", pickle.dumps({"d": datetime.date(2020, 1, 1)}), b"", pickle.dumps(collections.OrderedDict),
              pickle.dumps(10**200)]
    source = recording(tmp_path / "r", *opaque, pickle.dumps(1))
    assert done(subspy("convert", source, tmp_path / "j"))[1] == "subspy: converted 6 messages, 5 of them as bytes\n"
    done(subspy("convert", tmp_path / "j", tmp_path / "back"))
    assert payloads_of(tmp_path / "back")[:5] == opaque


def test_headers_gaps_and_channels_stay(subspy, tmp_path):
    gap = [{"us": 7, "lost": "Redis closed the connection"}, {"us": 8, "subscribed": True}]
    source = recording(tmp_path / "r", b"1", channel="c", extra=[*gap, lines_of(recording(tmp_path / "x"))[0]])
    done(subspy("convert", source, tmp_path / "j"))
    assert [sorted(line) for line in lines_of(tmp_path / "j")[2:]] == [["lost", "us"], ["subscribed", "us"], [
        "channels", "patterns", "start", "start_us", "subspy_messages"]]
    done(subspy("convert", tmp_path / "j", tmp_path / "back"))
    assert lines_of(tmp_path / "back") == [
        {**line, "text": "1"} if line.pop("base64", None) else line for line in lines_of(source)]


def test_lines_of_ones_own_are_a_recording(subspy, tmp_path):
    (tmp_path / "j").write_text('{"message": {"method": "emit", "event": "e", "data": [1]}}\n'
                                '{"us": 5, "channel": "c", "format": "pickle", "message": {"data": {"$tuple": [1]}}}\n'
                                '{"format": "pickle", "protocol": 0, "message": 1}\n')
    done(subspy("convert", tmp_path / "j", tmp_path / "r"))
    header, *_ = lines_of(tmp_path / "r")
    assert header["subspy_recording"] == 1
    assert payloads_of(tmp_path / "r") == [b'{"method": "emit", "event": "e", "data": [1]}', pickle.dumps({"data": (1,)}, 4),
                                           b"I1\n."]
    lines, _ = done(subspy("replay", tmp_path / "j", "--dry-run", "--speed", "max"))
    assert lines == ["+0.000000 flask-socketio {'method': 'emit', 'event': 'e', 'data': [1]}", "+0.000005 c {'data': (1,)}",
                     "+0.000005 flask-socketio 1"]


def test_a_line_with_a_wrong_tag_is_passed_over_with_a_warning(subspy, tmp_path):
    (tmp_path / "j").write_text('{"message": 1}\n{"message": {"$tupel": [1]}}\n{"message": 2}\n')
    lines, error = done(subspy("convert", tmp_path / "j", "-"))
    assert [json.loads(line)["text"] for line in lines[1:]] == ["1", "2"]
    assert error.splitlines()[0] == f"subspy: line 2 of {tmp_path / 'j'} can't be read and was passed over"


def test_an_output_that_is_there_takes_force(subspy, tmp_path):
    source = recording(tmp_path / "r", b"1")
    (tmp_path / "j").write_text("mine\n")
    assert done(subspy("convert", source, tmp_path / "j"), 73)[1] == (
        f"subspy: {tmp_path / 'j'} is there already: --force overwrites it\n")
    assert (tmp_path / "j").read_text() == "mine\n"
    done(subspy("convert", source, tmp_path / "j", "--force"))
    assert lines_of(tmp_path / "j")[0]["subspy_messages"] == 1


def test_a_closed_pipe_ends_a_conversion_quietly(tmp_path):
    source = recording(tmp_path / "r", *[json.dumps(TIME).encode()] * 20_000)
    process = subprocess.Popen(f"{program()} convert {source} - | head -n 1", shell=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    output, error = process.communicate()
    assert json.loads(output)["subspy_messages"] == 1 and error == b""


# What diff says.

A, B, C = ({**TIME, "event": name, "data": {"n": 1, "m": [1, 2]}} for name in "abc")


def compared(subspy, tmp_path, first, second, *arguments, code):
    one, other = recording(tmp_path / "one", *first), recording(tmp_path / "other", *second)
    lines, error = done(subspy("diff", one, other, *arguments), code)
    assert error == ""
    return lines


def pickled(*messages, protocol=4):
    return [pickle.dumps(message, protocol) for message in messages]


def test_the_same_messages(subspy, tmp_path):
    assert compared(subspy, tmp_path, pickled(A, B), pickled(A, B, protocol=0), code=0) == ["the same 2 messages"]
    assert compared(subspy, tmp_path, [json.dumps(A).encode()], [json.dumps(A, indent=1).encode()], code=0) == [
        "the same 1 message"]
    assert compared(subspy, tmp_path, [], [], code=0) == ["the same 0 messages"]


def test_missing_added_and_changed_messages(subspy, tmp_path):
    changed = {**B, "data": {"n": 2, "m": [1, 3]}, "extra": None}
    assert compared(subspy, tmp_path, [*pickled(A, B), b"odd"], pickled(B, changed, C), code=1) == [
        f"- 1 flask-socketio {A}",
        compared_line(subspy, b"odd", "- 3"),
        f"+ 2 flask-socketio {changed}", f"+ 3 flask-socketio {C}",
        "1 message the same, 2 missing, 2 added, 0 changed"]
    assert compared(subspy, tmp_path, pickled(A, B), pickled(A, changed), code=1) == [
        "~ 2 2 data.n, data.m[1], extra", f"  - flask-socketio {B}", f"  + flask-socketio {changed}",
        "1 message the same, 0 missing, 0 added, 1 changed"]


def compared_line(subspy, payload, start):
    """A payload that can't be read, as decode shows it."""
    shown, = done(subspy("decode", "--hex", payload.hex()), 65)[0]
    return f"{start} flask-socketio {shown}"


def test_order(subspy, tmp_path):
    lines = compared(subspy, tmp_path, pickled(A, B, C, C), pickled(C, A, B, C), code=1)
    assert lines == ["4 messages the same, 0 missing, 0 added, 0 changed, 1 in another order"]
    assert compared(subspy, tmp_path, pickled(A, B), pickled(B, A), "--ignore-order", code=0)[-1].endswith("in another order")


def test_senders_may_be_ignored(subspy, tmp_path):
    other = {**A, "host_id": "x"}
    assert compared(subspy, tmp_path, pickled(A), pickled(other), code=1)[0] == "~ 1 1 host_id"
    assert compared(subspy, tmp_path, pickled(A), pickled(other), "--ignore-host", code=0) == ["the same 1 message"]


def test_a_tuple_is_no_list_and_a_channel_counts(subspy, tmp_path):
    assert compared(subspy, tmp_path, pickled({**A, "data": (1,)}), pickled({**A, "data": [1]}), code=1)[0] == "~ 1 1 data"
    one, other = recording(tmp_path / "a", b"1"), recording(tmp_path / "b", b"1", channel="x")
    assert done(subspy("diff", one, other), 1)[0] == ["- 1 flask-socketio 1", "+ 1 x 1", "0 messages the same, 1 missing, 1 added, 0 changed"]


def test_many_differences_are_counted(subspy, tmp_path):
    lines = compared(subspy, tmp_path, [b"%d" % n for n in range(200)], [], "--limit", 2, code=1)
    assert lines == ["- 1 flask-socketio 0", "- 2 flask-socketio 1", "0 messages the same, 200 missing, 0 added, 0 changed",
                     "198 of the missing and added are not shown: --limit shows more"]
    assert compared(subspy, tmp_path, [b"1"], [], "--quiet", code=1) == []


@pytest.mark.parametrize("content, sentence", [(None, "No such file or directory"), ("[]\n", "is no recording: it has no header")])
def test_trouble_is_code_2(subspy, tmp_path, content, sentence):
    if content:
        (tmp_path / "x").write_text(content)
    spy = subspy("diff", recording(tmp_path / "r"), tmp_path / "x")
    lines, error = done(spy, 2)
    assert lines == [] and sentence in error and error.count("\n") == 1


# Single payloads.

@pytest.mark.parametrize("protocol", range(6))
def test_decode_from_everywhere(subspy, tmp_path, protocol):
    payload = pickle.dumps((1, b"A", "é"), protocol)
    (tmp_path / "p").write_bytes(payload)
    digits, text = payload.hex(), base64.b64encode(payload).decode()
    for spy in [subspy("decode", tmp_path / "p"), subspy("decode", stdin=payload), subspy("decode", "-", stdin=payload),
                subspy("decode", "--hex", digits), subspy("decode", "--base64", text),
                subspy("decode", "--hex", "-", stdin=b"\n".join([digits[:8].encode(), digits[8:].upper().encode()])),
                subspy("decode", "--base64", "-", stdin=text.encode() + b"\n")]:
        assert done(spy) == (["(1, b'A', 'é')"], "")
    assert done(subspy("decode", tmp_path / "p", "--json")) == (['{"$tuple":[1,{"$bytes":"QQ=="},"é"]}'], "")
    assert done(subspy("decode", tmp_path / "p", "--opcodes"))[0][-1].startswith("highest protocol among opcodes = ")


def test_decode_executes_nothing(subspy, tmp_path):
    payload = b"cos\nsystem\n(S'touch %s'\ntR." % str(tmp_path / "no").encode()
    assert done(subspy("decode", "--audit", stdin=payload)) == ([
        f"pickle, {len(payload)} bytes: imports os.system; calls os.system"], "")
    assert "system" in done(subspy("decode", stdin=payload))[0][0]
    assert "JSON can't express an object" in done(subspy("decode", "--json", stdin=payload), 65)[1]
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("payload, code, told, warning", [
    (b"\x80\x04K\x01.cos\nsystem\n(S'id'\ntR.", 65, "2 pickles, 26 bytes: imports os.system; calls os.system", "not the first pickle alone"),
    (b"cos\nsystem\n(S'id'\ntR.N.", 0, "2 pickles, 23 bytes: imports os.system; calls os.system", None),
    (b"N.]." * 3 + b"\n", 0, "6 pickles, 13 bytes: plain data", None),
    (b"N.\x01junk", 65, "2 pickles, 7 bytes: pickle: byte 2: unknown opcode", "byte 2: unknown opcode"),
    (b"\x80\x04U\x02osU\x06getpid\x93)R.", 65, "imports os.getpid; calls os.getpid; pickle: byte 14: STACK_GLOBAL", "can't vouch"),
    (b"I08\n0cos\ngetpid\n)R.", 65, "imports os.getpid; calls os.getpid; pickle: byte 0: INT", "can't vouch"),
    (b"I+1\n0F+1.5E+3\n0cos\ngetpid\n)R.", 0, "imports os.getpid; calls os.getpid", None),
    (b"\x80\x04\x95\x05\0\0\0\0\0\0\0cos\ngetpid\n)R.", 65, "imports os.getpid; calls os.getpid; pickle: byte 11: GLOBAL", "can't vouch"),
    (b"ca\x1b[31m\nb\xe2\x80\xae\n.", 0, "imports a\\x1b[31m.b\\u202e", None),
])
def test_an_audit_says_what_any_loader_would_do_and_when_it_can_not(subspy, payload, code, told, warning):
    lines, error = done(subspy("decode", "--audit", stdin=payload), code)
    assert told in lines[0] and len(lines) == 1
    assert (warning in error and error.count("\n") == 1) if warning else error == ""


@pytest.mark.parametrize("payload, value", [
    (b"F+1.5E+3\n.", "1500.0"), (b"FInf\n.", "inf"), (b"F-Inf\n.", "-inf"), (b"FNaN\n.", "nan"), (b"(I+12\nI010\nL0x1fL\nt.", "(12, 8, 31)"),
    (b"\x80\x04\x95\x02\0\0\0\0\0\0\0\x8c\x02ab.", "'ab'")])
def test_decode_reads_what_other_picklers_write(subspy, payload, value):
    assert done(subspy("decode", stdin=payload)) == ([value], "")


def test_decode_takes_a_size(subspy, tmp_path):
    (tmp_path / "p").write_bytes(pickle.dumps("x" * 20_000_000))
    (line,), _ = done(subspy("decode", tmp_path / "p"))
    assert len(line) == 20_000_002
    (tmp_path / "q").write_bytes(pickle.dumps("x" * 2_000_000))
    assert done(subspy("decode", tmp_path / "q", "--opcodes"))[0][1].endswith(" BINUNICODE '" + "x" * 2_000_000 + "'")
    for form in [], ["--opcodes"], ["--audit"], ["--json"]:
        lines, error = done(subspy("decode", tmp_path / "p", "--max-size", "10M", *form), 65)
        assert lines == [] and error == "subspy: the payload is longer than 10485760 bytes: --max-size reads more\n"
    assert done(subspy("decode", "--hex", "4e2e", "--max-size", "1"), 65)[0] == []
    assert done(subspy("decode", "--hex", "4e2e", "--max-size", "2")) == (["None"], "")


@pytest.mark.parametrize("payload", [
    b"I00\n.", b"L5L\n.", b"F1E3\n.", "V\\u20ac\\u2028\u00e9\u00ad\n.".encode("latin-1"), b"S'it\\'s\\n'\n.", b"X\x03\0\0\0\xe2\x80\xa8.", b"\x96\x01\0\0\0\0\0\0\0'."])
def test_opcodes_are_what_pickletools_prints(subspy, payload):
    listing = io.StringIO()
    pickletools.dis(payload, listing)
    assert done(subspy("decode", "--opcodes", stdin=payload)) == (listing.getvalue().splitlines(), "")


@pytest.mark.parametrize("protocol", range(6))
def test_encode_and_decode_are_each_others_inverse(subspy, protocol):
    values, written = [value for value, _ in VALUES], [written for _, written in VALUES]
    (line,), _ = done(subspy("encode", "--as", "pickle", "--protocol", protocol, "--base64", stdin=json.dumps(written).encode()))
    payload = base64.b64decode(line)
    assert repr(pickle.loads(payload)) == repr(values)
    (back,), _ = done(subspy("decode", "--json", stdin=payload))
    assert json.loads(back) == written


def test_encode(subspy, tmp_path):
    (tmp_path / "v").write_text('{"a": [1, null]}\n')
    for spy in [subspy("encode", '{"a": [1, null]}', "--as", "json"), subspy("encode", f"@{tmp_path}/v", "--as", "json"),
                subspy("encode", "--as", "json", stdin=b'{"a":[1,null]}')]:
        assert done(spy) == (['{"a": [1, null]}'], "")
    assert done(subspy("encode", "[1]", "--hex")) == ([pickle.dumps([1], 2).hex()], "")


@pytest.mark.parametrize("arguments, code, sentence", [
    (["encode", "{"], 65, "JSON: byte"), (["encode", '{"$x": 1}'], 65, "$x is no tag"), (["encode", '{"$bytes": "?"}'], 65, "base64"),
    (["encode", '{"$float": 1}'], 65, "$float"), (["encode", '{"$dict": [1]}'], 65, "pairs"), (["encode", '{"$set": 1}'], 65, "list"),
    (["encode", '{"$tuple": [1]}', "--as", "json"], 65, "tuple"), (["encode", "@/nonexistent"], 66, "No such file"),
    (["decode", "/nonexistent"], 66, "No such file"),
    (["decode", "--hex", "8"], 64, "--hex"), (["decode", "--hex", "xx"], 64, "--hex"), (["decode", "--base64", "A"], 64, "--base64"),
    (["convert", "/nonexistent", "-"], 66, "No such file")])
def test_bad_options(subspy, arguments, code, sentence):
    lines, error = done(subspy(*arguments), code)
    assert lines == [] and sentence in error and error.count("\n") == 1


def test_a_payload_that_can_not_be_read_is_shown_with_code_65(subspy):
    lines, error = done(subspy("decode", "--hex", "80054b"), 65)
    assert lines[0].startswith("undecodable, 3 bytes: ") and error.startswith("subspy: pickle: byte ")
    assert done(subspy("decode", "--hex", "80054b", "--json"), 65) == ([], error)
