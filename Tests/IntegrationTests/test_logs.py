"""The log: one line an event, for people and for systemd's journal."""
import json
import os
import re
import shlex
import subprocess

import pytest

from support.processes import ws_emit_program
from support.waiting import PATIENCE, eventually, free_port

pytestmark = pytest.mark.ours
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|notice|warning|error) ws-emit: (\S.*)")


class Logged:
    """A ws-emit whose standard error is a file, which the environment may name as systemd does."""

    def __init__(self, path, *flags, journal=None):
        self.path = path
        with open(path, "wb") as file:
            status = os.fstat(file.fileno())
            stream = {"same": f"{status.st_dev}:{status.st_ino}", "other": f"{status.st_dev}:{status.st_ino + 1}"}.get(journal)
            environment = {**os.environ, **({"JOURNAL_STREAM": stream} if stream else {})}
            self.process = subprocess.Popen([ws_emit_program(), *flags], stdin=subprocess.DEVNULL, stderr=file, env=environment)

    @property
    def lines(self):
        return self.path.read_text().splitlines()

    def wait_for(self, text):
        return eventually(lambda: next((line for line in self.lines if text in line), None), f"{text!r} is logged")

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)


@pytest.fixture
def logged(tmp_path, closing):
    def start(*flags, **kwargs):
        one = Logged(tmp_path / f"log{free_port()}", "-a", f"127.0.0.1:{free_port()}", *flags, **kwargs)
        one.close = one.stop
        return closing(one)
    return start


@pytest.mark.parametrize("journal", [None, "other"])
def test_each_line_has_time_level_sentence_and_facts(logged, journal):
    one = logged("--redis", f"redis://127.0.0.1:{free_port()}/0", journal=journal)
    line = one.wait_for("Redis is away")
    one.stop()
    assert all(LINE.fullmatch(line) for line in one.lines), one.lines
    level, text = LINE.fullmatch(line).groups()
    assert level == "warning" and text.startswith("Redis is away")
    facts = dict(word.split("=", 1) for word in shlex.split(text) if "=" in word)
    assert "Connection refused" in facts["cause"] and facts["redis"].startswith("redis://127.0.0.1:")
    lost = shlex.split(one.wait_for("the subscription is lost"))
    assert any(re.fullmatch(r"from=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", word) for word in lost), lost


def test_the_journal_gets_priorities_and_no_second_time_or_label(logged):
    one = logged("--redis", f"redis://127.0.0.1:{free_port()}/0", "-v", journal="same")
    assert one.wait_for("Redis is away").startswith("<4>Redis is away")
    assert one.wait_for("ws-emit started on").startswith("<6>ws-emit started on")
    one.stop()
    assert all(re.match(r"<[3-7]>\S", line) for line in one.lines), one.lines
    assert not any(re.search(r"\d\d:\d\d:\d\d.* (info|warning) ", line) for line in one.lines)


@pytest.mark.parametrize("journal, head", [("same", "<3>"), (None, "ws-emit: ")])
def test_a_wrong_option_is_an_error_in_the_journal(logged, journal, head):
    one = logged("--cors", "nonsense", journal=journal)
    assert one.process.wait(PATIENCE) == 64
    line, = one.lines
    assert line.startswith(head + "--cors"), line


@pytest.mark.parametrize("journal", [None, "same"])
def test_what_others_send_stays_on_its_line(redis_server, logged, journal):
    one = logged("--redis", redis_server.url, journal=journal)
    one.wait_for("Connected to Redis")
    forged = "2026-11-28T00:00:00.000Z error ws-emit: forged"
    hostile = f"a\n{forged}\r<2>{forged}\u2028\u202e\x1b[31m\x9b31m b=\"c\" d='e'"
    for message in ({"method": "emit", "event": hostile, "data": 1, "room": 5, "namespace": hostile, "host_id": hostile},
                    {"method": "emit", "event": "x", "data": 1, "room": hostile, "namespace": "chat", "host_id": hostile + "2"},
                    {"method": hostile, "host_id": hostile + "3"}, {hostile: 1}):
        redis_server.client.publish("flask-socketio", json.dumps(message))
    redis_server.client.publish("flask-socketio", b"\x80\x04\x8c\x02os\x8c\x0ba\nb\x1b[31m\xe2\x80\xae\x93.")
    redis_server.client.publish("flask-socketio", json.dumps({"method": "emit", "event": "e", "data": 1, "host_id": "last"}))
    one.wait_for("host_id=last")
    one.stop()
    text = one.path.read_text()
    assert not re.search(r"[^\n -~…]", text), text
    shape = LINE if journal is None else re.compile(r"<[3-7]>.+")
    assert all(shape.fullmatch(line) for line in one.lines), text
    assert not re.search(r"(?m)^(<\d>)?(2026-11-28T00:00:00|<2>)", text), text
