"""What subspy counts: --stats, the summary at the end, and subspy top on pipes and on terminals."""
import json
import pickle
import re
import signal
import subprocess

import pytest

from support.processes import RedisServer
from support.subspy import (TIME, listening, program, publish, quiet_redis, sniff, subspy,  # noqa: F401 (fixtures)
                            subspy_redis)
from support.terminal import terminal  # noqa: F401 (a fixture)
from support.waiting import PATIENCE, eventually, free_port

RATE = r"[\d,.]+ messages/s, [\d.]+ [kMG]?B/s"


def message(**changes):
    return {**TIME, **changes}


MIXED = [pickle.dumps(TIME, 4), pickle.dumps(TIME, 4), pickle.dumps(TIME, 2), json.dumps(message(binary=False, data=[1])),
         json.dumps({"method": "close_room", "room": "time", "namespace": "/"}), b"oops"]
MIXED_BYTES = sum(map(len, MIXED))


# --stats and the summary

def test_stats_prints_lines_and_a_summary(subspy, quiet_redis):
    spy = listening(quiet_redis, subspy("--stats", "100ms", redis=quiet_redis))
    publish(quiet_redis, *MIXED)
    spy.wait_for_error("; 6 messages, ")
    spy.process.send_signal(signal.SIGINT)
    assert len(spy.rest()) == 2 + 6
    assert spy.code() == 0
    forms = "pickle 4: 2, JSON 5.15.1+: 1, JSON: 1, pickle 2: 1"
    *ticks, first, second = spy.errors
    assert all(re.fullmatch(f"subspy: {RATE}; \\d messages?, [\\d.]+ k?B, [01] undecodable(; .*)?\n", line) for line in ticks)
    assert ticks[-1].endswith(f"; 6 messages, {MIXED_BYTES} B, 1 undecodable; {forms}\n")
    assert re.fullmatch(f"subspy: 6 messages, {MIXED_BYTES} B, 1 undecodable in [\\d.]+ s: {RATE}\n", first)
    assert second == f"subspy: emit 4, close_room 1; {forms}\n"


def test_stats_count_what_the_filters_let_pass_also_what_a_sample_leaves_out(subspy, quiet_redis):
    spy = listening(quiet_redis, subspy("--stats", "100ms", "--method", "emit", "--sample", "0%", redis=quiet_redis))
    publish(quiet_redis, *MIXED)
    spy.wait_for_error("; 4 messages, ")
    spy.process.send_signal(signal.SIGTERM)
    assert spy.code() == 0
    assert spy.errors[-2].startswith("subspy: 4 messages, ")


def test_no_summary_in_a_pipe_without_stats(subspy, quiet_redis):
    spy = sniff(subspy, quiet_redis, "--count", 1)
    publish(quiet_redis, *MIXED)
    assert len(spy.rest()) == 1
    assert spy.code() == 0
    assert spy.error == ""


def test_a_summary_on_a_terminal(terminal, quiet_redis):
    spy = terminal("--output", "python", "--color", "never", redis=quiet_redis, columns=200)
    spy.wait_for("INT: 1")
    publish(quiet_redis, *MIXED)
    spy.wait_for("undecodable, 4 bytes")
    spy.press("\x03")
    assert spy.code() == 0
    spy.wait_for(f"subspy: 6 messages, {MIXED_BYTES} B, 1 undecodable in ")
    spy.wait_for("subspy: emit 4, close_room 1; pickle 4: 2, JSON 5.15.1+: 1, JSON: 1, pickle 2: 1")


def test_a_summary_tells_of_lost_subscriptions(subspy):
    server = RedisServer(free_port()).start()
    try:
        spy = listening(server, subspy("--stats", "1h", redis=server))
        server.kill()
        spy.wait_for_error("Redis is away")
        server.start()
        spy.wait_for_error("Redis is back")
        spy.process.send_signal(signal.SIGINT)
        assert spy.code() == 0
        assert re.fullmatch(r"subspy: the subscription was lost once, for [\d.]+ s: what was published then is missing\n",
                            spy.errors[-1])
    finally:
        server.close()


@pytest.mark.parametrize("arguments, lines", [(["--stats", "1h"], 2), (["top", "--every", "100ms"], 4)])
def test_a_closed_pipe_ends_it_without_a_word(quiet_redis, arguments, lines):
    reader = subprocess.Popen(["head", "-n", str(lines)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process = subprocess.Popen([program(), *arguments, "--redis", quiet_redis.url], stdout=reader.stdin, stderr=subprocess.PIPE)
    reader.stdin.close()
    assert reader.stdout.read().count(b"\n") == lines
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == b""
    reader.wait(PATIENCE)


# top on a pipe

def tables(spy):
    """The tables that a top prints, each as its lines; ends with the last."""
    table = []
    while (line := spy.line()) is not None:
        if line:
            table.append(line)
        else:
            yield table
            table = []
    assert table == []


def rows_of(table):
    """Name to cells of the rows, without rates and times."""
    found = {}
    for line in table[3:]:
        # Numbers have units that stand apart.
        row = re.fullmatch(r"(.+?) +([\d,.]+) +([\d.]+ k?M?B) +([\d.]+ k?B) +([\d.]+ k?B) +([\d,]+) +([\d.:]+) +([\d.:]+) (.+)", line)
        if row is None:
            found[line] = None
        else:
            name, _, _, average, maximum, total, _, _, form = row.groups()
            found[name] = (average, maximum, int(total.replace(",", "")), form)
    return found


def table_of(subspy, redis_server, payloads, *arguments):
    """The first table that has counted all messages."""
    spy = listening(redis_server, subspy("top", "--every", "100ms", *arguments, redis=redis_server))
    publish(redis_server, *payloads)
    noun = f"; {len(payloads)} messages, "
    table = next(table for table in tables(spy) if noun in table[0])
    spy.process.send_signal(signal.SIGINT)
    spy.rest()
    assert spy.code() == 0
    assert spy.error == ""
    return table


TRAFFIC = [
    pickle.dumps(message(room="a", host_id="h1", data="x" * 100), 4), pickle.dumps(message(room="a", host_id="h1"), 4),
    pickle.dumps(message(room=["a", "комната"], event="news", host_id="h2"), 2),
    json.dumps(message(room=None, namespace="/chat", host_id="h3")),
    json.dumps({"method": "close_room", "room": "a", "namespace": "/"}), b"oops",
]


def size(*numbers):
    sizes = [len(TRAFFIC[number]) for number in numbers]
    return f"{sum(sizes) // len(sizes)} B", f"{max(sizes)} B", len(sizes)


@pytest.mark.parametrize("by, expected", [
    ("room", {"a": (*size(0, 1, 2, 4), "pickle 2/4, JSON"), "комната": (*size(2), "pickle 2"),
              "(everyone)": (*size(3), "JSON 5.14.0"), "(undecodable)": (*size(5), "undecodable")}),
    ("event", {"update": (*size(0, 1, 3), "pickle 4, JSON 5.14.0"), "news": (*size(2), "pickle 2"), "(no event)": (*size(4), "JSON"),
               "(undecodable)": (*size(5), "undecodable")}),
    ("sender", {"h1": (*size(0, 1), "pickle 4"), "h2": (*size(2), "pickle 2"), "h3": (*size(3), "JSON 5.14.0"),
                "(no host id)": (*size(4), "JSON"), "(undecodable)": (*size(5), "undecodable")}),
    ("namespace", {"/": (*size(0, 1, 2, 4), "pickle 2/4, JSON"), "/chat": (*size(3), "JSON 5.14.0"),
                   "(undecodable)": (*size(5), "undecodable")}),
])
def test_top_adds_up_by(subspy, quiet_redis, by, expected):
    table = table_of(subspy, quiet_redis, TRAFFIC, "--by", by)
    assert re.fullmatch(f"{RATE}; 6 messages, {sum(map(len, TRAFFIC))} B in [\\d.]+ s; 1 undecodable", table[0])
    assert table[1] == "pickle 4: 2, JSON 5.14.0: 1, JSON: 1, pickle 2: 1"
    assert table[2].split() == [by.upper(), "▼MSG/S", "BYTES/S", "AVG", "MAX", "TOTAL", "LAST", "GAP", "FORMAT"]
    assert rows_of(table) == expected


def test_top_tells_the_dialects_of_real_senders(subspy, redis_server, emitters):
    releases = {"5.4": f"pickle {pickle.DEFAULT_PROTOCOL}", "5.13": f"pickle {pickle.DEFAULT_PROTOCOL}", "newest": "JSON 5.15.1+"}
    for release in releases:
        emitters(release)
    spy = subspy("top", "--by", "sender", "--event", "dialect", "--every", "100ms", redis=redis_server)
    def emit():
        for release in releases:
            emitters(release).emit("dialect", {"time": 1})
    next(tables(spy))
    emit()
    table = next(table for table in tables(spy) if "; 3 messages, " in table[0])
    assert sorted(row[3] for row in rows_of(table).values()) == sorted(releases.values())


def test_top_counts_what_the_filters_let_pass(subspy, quiet_redis):
    spy = listening(quiet_redis, subspy("top", "--by", "event", "--room", "a", "--grep", "news", "--every", "100ms", redis=quiet_redis))
    publish(quiet_redis, *TRAFFIC)
    table = next(table for table in tables(spy) if "; 0 messages, " not in table[0])
    assert list(rows_of(table)) == ["news"]


@pytest.mark.parametrize("arguments, count", [(["--once"], 1), (["--count", "3"], 3)])
def test_top_stops_after_some_tables(subspy, quiet_redis, arguments, count):
    spy = subspy("top", *arguments, "--every", "100ms", redis=quiet_redis)
    found = list(tables(spy))
    assert len(found) == count
    assert all(re.fullmatch(r"0\.0 messages/s, 0 B/s; 0 messages, 0 B in [\d.]+ s; 0 undecodable", table[0]) for table in found)
    assert [table[1] for table in found] == ["no messages yet"] * count
    assert spy.code() == 0


def test_top_on_a_dumb_terminal_prints_tables(terminal, quiet_redis):
    spy = terminal("top", "--every", "100ms", redis=quiet_redis, env={"TERM": "dumb"})
    spy.wait_for("no messages yet")
    spy.process.send_signal(signal.SIGINT)
    assert spy.code() == 0
    assert "\x1b" not in spy.text


def test_top_once_on_a_terminal_leaves_the_table_there(terminal, quiet_redis):
    spy = terminal("top", "--once", "--every", "100ms", redis=quiet_redis)
    assert spy.code() == 0
    spy.wait_for("no messages yet")
    assert "\x1b[?1049h" not in spy.text


# top on a terminal

def top_on(terminal, redis_server, *arguments, **size):
    spy = terminal("top", "--every", "100ms", *arguments, redis=redis_server, **size)
    spy.wait_for_frame(lambda frame: "no messages yet" in frame[1])
    return spy


def is_restored(spy):
    return spy.current_modes() == spy.modes and spy.text.rstrip().endswith("\x1b[?25h\x1b[?1049l")


def test_top_is_a_picture_that_is_redrawn(terminal, quiet_redis):
    spy = top_on(terminal, quiet_redis, columns=100, rows=20)
    assert spy.text.startswith("\x1b[?1049h\x1b[?25l")
    publish(quiet_redis, *TRAFFIC)
    frame = spy.wait_for_frame(lambda frame: "; 6 messages, " in frame[0])
    assert frame[2] == "q quits; sort: m b a x t l g n"
    assert frame[3].split() == ["ROOM", "▼MSG/S", "BYTES/S", "AVG", "MAX", "TOTAL", "LAST", "GAP", "FORMAT"]
    assert set(rows_of(frame[1:-1])) == {"a", "комната", "(everyone)", "(undecodable)"}


def test_keys_choose_the_order(terminal, quiet_redis):
    spy = top_on(terminal, quiet_redis, columns=100)
    spy.press("x")
    spy.wait_for_frame(lambda frame: "▼MAX" in frame[3])
    # Arrows and other keys change nothing.
    spy.press("\x1b[A")
    spy.press("z")
    spy.press("m")
    spy.wait_for_frame(lambda frame: "▼MSG/S" in frame[3])
    spy.press("n")
    spy.wait_for_frame(lambda frame: "▼" not in frame[3])


@pytest.mark.parametrize("columns, rows", [(20, 3), (60, 12), (200, 50)])
def test_top_fits_every_size(terminal, quiet_redis, columns, rows):
    spy = top_on(terminal, quiet_redis, columns=columns, rows=rows)
    publish(quiet_redis, *(json.dumps(message(room=f"room-{number}-日本" + "x" * 50)) for number in range(60)))
    fits = lambda frame: len(frame) <= rows and all(display_width(line) <= columns for line in frame)
    frame = spy.wait_for_frame(lambda frame: frame[1].endswith(": 60"))
    assert fits(frame), frame
    assert rows < 6 or frame[-2].endswith(" more")
    # A window of another size is filled at once.
    spy.resize(120, 30)
    frame = spy.wait_for_frame(lambda frame: len(frame) == 30 and "TOTAL" in frame[3])
    assert frame[-2] == "36 more" and all(display_width(line) <= 120 for line in frame)
    spy.resize(columns, rows)
    assert fits(spy.wait_for_frame(fits))


def display_width(text):
    return sum(2 if "\u2e80" <= character <= "\uffdc" else 1 for character in text)


@pytest.mark.parametrize("end", ["q", "Q", "\x03", "\x1c", signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_the_terminal_is_given_back_at_every_end(terminal, quiet_redis, end):
    spy = top_on(terminal, quiet_redis)
    assert spy.current_modes() != spy.modes
    if isinstance(end, str):
        spy.press(end)
    else:
        spy.process.send_signal(end)
    code = spy.code()
    assert code == {signal.SIGHUP: 129, signal.SIGQUIT: 131, "\x1c": 131}.get(end, 0)
    eventually(lambda: is_restored(spy), "the terminal is given back")


def test_the_terminal_is_given_back_while_the_program_is_stopped(terminal, quiet_redis):
    spy = top_on(terminal, quiet_redis)
    # Ctrl-Z itself needs a shell: a process without one can't be stopped that way.
    spy.process.send_signal(signal.SIGTSTP)
    eventually(lambda: is_restored(spy), "the terminal is given back")
    eventually(lambda: open(f"/proc/{spy.process.pid}/stat").read().rsplit(")", 1)[1].split()[0] == "T", "it is stopped")
    shown = len(spy.text)
    spy.process.send_signal(signal.SIGCONT)
    eventually(lambda: spy.current_modes() != spy.modes, "it goes on")
    # The next picture was due while it was stopped: it isn't drawn before the screen is its own again.
    eventually(lambda: "\x1b[H" in spy.text[shown:], "a picture is drawn")
    assert spy.text[shown:].startswith("\x1b[?1049h")
    publish(quiet_redis, json.dumps(TIME))
    spy.wait_for_frame(lambda frame: "; 1 messages, " in frame[0])
    spy.press("q")
    assert spy.code() == 0
    eventually(lambda: is_restored(spy), "the terminal is given back")


def test_an_error_is_read_after_the_picture_is_gone(terminal):
    spy = terminal("top", "--redis", f"redis://127.0.0.1:{free_port()}", "--no-wait")
    assert spy.code() == 69
    spy.wait_for("start it, or name another one")
    assert spy.text.index("\x1b[?1049l") < spy.text.index("subspy: Redis can't be reached")
    assert spy.current_modes() == spy.modes


def test_top_tells_of_a_lost_subscription(terminal):
    server = RedisServer(free_port())
    spy = terminal("top", "--every", "100ms", redis=server, columns=100)
    try:
        spy.wait_for_frame(lambda frame: frame[1] == "waiting for Redis")
        server.start()
        spy.wait_for_frame(lambda frame: frame[1] == "no messages yet")
        server.kill()
        spy.wait_for_frame(lambda frame: frame[1].startswith("Redis is away; the subscription was lost once, for "))
        server.start()
        spy.wait_for_frame(lambda frame: frame[1].startswith("the subscription was lost once, for "))
        spy.press("q")
        assert spy.code() == 0
        assert "subspy:" not in spy.text
    finally:
        server.close()
