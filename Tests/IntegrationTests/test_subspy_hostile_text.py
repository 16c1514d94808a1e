"""Texts from outside that would move a terminal's cursor, colour it, reverse a line or begin a new one: none is printed as it is."""
import json
import os
import pickle
import pty
import re
import subprocess

import pytest

from support.subspy import TIME, listening, program, quiet_redis, subspy, subspy_redis  # noqa: F401 (fixtures)
from test_subspy_convert import recording

# ESC and BEL of a title, CSI of C1, a line feed with a forged line, a reversal, a line separator, a tab.
EVIL = "\x1b]0;x\x07\x9b31m\nsubspy: forged\u202eb\u2028c\t\x7f"
DANGEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]|\t|^subspy: forged", re.M)


def is_clean(spy, code=None):
    """All of its output has nothing but printable characters and its own lines."""
    lines, ended = spy.rest(), spy.code()
    text = "\n".join(lines) + "\n" + spy.error
    assert code is None or ended == code, spy.error
    assert not DANGEROUS.search(text), repr(text)
    return text


def message(**changes):
    return pickle.dumps({**TIME, **changes}, 4)


EVERYWHERE = message(event=EVIL, room=EVIL, namespace="/" + EVIL, host_id=EVIL, skip_sid=EVIL, data={EVIL: [EVIL, EVIL.encode()]})
PAYLOADS = [EVERYWHERE, json.dumps({**TIME, "method": EVIL, "event": EVIL, EVIL: EVIL}).encode(), EVIL.encode(), b"{" + EVIL.encode(),
            b"c" + EVIL.encode().split(b"\n")[0] + b"\n" + EVIL.encode().split(b"\n")[1] + b"\n)R.", message(method=EVIL), message(room={EVIL: 1}),
            message(event=None, data=EVIL), message(data={(EVIL,): 1}), pickle.dumps({**TIME, "method": "callback", "args": (EVIL,)})]


def test_recordings_are_rehearsed_compared_and_converted(subspy, tmp_path):
    one = recording(tmp_path / "one", *PAYLOADS, channel=EVIL)
    two = recording(tmp_path / "two", message(event="x", data={EVIL: 1}), *PAYLOADS[1:], channel=EVIL)
    three = recording(tmp_path / "three", message(event="x", data={EVIL: 2}), *PAYLOADS[1:], channel=EVIL)
    assert "\\x1b]0;x" in is_clean(subspy("replay", one, "--dry-run", "--speed", "max"), 0)
    assert "\\x1b]0;x" in is_clean(subspy("diff", one, two), 1)
    assert "~ 1 1 data.\\x1b]0;x" in is_clean(subspy("diff", two, three), 1)
    is_clean(subspy("convert", one, "-"), 0)
    is_clean(subspy("record", "-", "--redis", "redis://127.0.0.1:1/0", "--no-wait", "--channel", EVIL), 69)
    is_clean(subspy("replay", one, "--redis", "redis://127.0.0.1:1/0", "--no-wait"), 69)


@pytest.mark.parametrize("arguments, code", [
    (["decode", "{file}"], 66), (["encode", "@{file}"], 66), (["convert", "{file}", "-"], 66), (["convert", "{no}", "-"], 66), (["diff", "{file}", "{file}"], 2),
    (["replay", "{file}", "--dry-run"], 66), (["--" + EVIL], 64), (["--event", "/(" + EVIL + "/"], 64), (["--format", "%" + EVIL], 64),
    (["--redis", EVIL], 64), (["emit", "x", "--data", EVIL], 64), (["encode", "{" + EVIL], 65), (["encode", json.dumps({"$" + EVIL: 1})], 65),
    (["--password-file", "{file}"], 64), (["--output", EVIL], 64), ([EVIL], 64), (["replay", "x", "--to-http", "http://127.0.0.1:1/" + EVIL], 64)])
def test_errors_name_files_keys_and_options(subspy, tmp_path, arguments, code):
    spy = subspy(*(one.replace("{file}", f"{tmp_path}/{EVIL}").replace("{no}", str(tmp_path)) for one in arguments))
    text = is_clean(spy)
    assert spy.code() not in (0, None) and text.count("\n") == 2 and text.startswith("\nsubspy: "), text


@pytest.mark.parametrize("form", [[], ["--json"], ["--opcodes"], ["--audit"]])
@pytest.mark.parametrize("payload", PAYLOADS)
def test_payloads_are_decoded(subspy, payload, form):
    is_clean(subspy("decode", *form, stdin=payload))


@pytest.mark.parametrize("arguments", [
    ["--stats", "1h", "--output", "pretty"], ["top", "--once", "--by", "event"],
    ["top", "--once", "--by", "room"], ["top", "--once", "--by", "sender"], ["top", "--once", "--by", "namespace"]])
def test_messages_are_shown(subspy, quiet_redis, arguments):
    stop = ["--every", "1s"] if "top" in arguments else ["--count", len(PAYLOADS)]
    spy = listening(quiet_redis, subspy(*arguments, *stop, "--pattern", "*", redis=quiet_redis), None)
    for payload in PAYLOADS:
        quiet_redis.client.publish(EVIL, payload)
    is_clean(spy, 0)


def test_a_pickle_is_not_written_to_a_terminal():
    master, slave = pty.openpty()
    try:
        for form, code in [([], 64), (["--hex"], 0), (["--base64"], 0), (["--as", "json"], 0)]:
            ended = subprocess.run([program(), "encode", json.dumps(EVIL), *form], stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.PIPE)
            assert ended.returncode == code and (b"--hex or --base64" in ended.stderr) == (code == 64)
    finally:
        os.close(master)
        os.close(slave)
