"""What strangers name never becomes more than a part of one line: in the log, and in the metrics."""
import json
import pickle
import re
import unicodedata

import pytest

from support.clients import RawClient, http_request

pytestmark = pytest.mark.ours

NAMES = {
    "a line feed": "a\n2026-11-28T00:00:00+0000 error ws-emit: forged", "a carriage return": "a\rforged", "escapes": "\x1b[31m\x1b]0;t\x07",
    "C1 controls": "\x9b31m\x85\x90", "line separators": "a\u2028b\u2029c", "a reversed text": "\u202egnp.exe\u2066\u200f",
    "what can't be seen": "a\u200bb\ufeff\u00ad\u3164\U000e0041", "a lone surrogate": "a\ud800b", "a quote": 'a"} 1\nforged{b="',
    "a long text": "x" * 100_000, "marks": "e" + "\u0301" * 5000, "NUL": "\0a",
}  # fmt: skip


def is_clean(line):
    return all(unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp", "Cs", "Cn", "Co") for c in line)


@pytest.mark.parametrize("case", NAMES)
def test_a_name_from_outside_is_a_part_of_one_line(case, own_redis, start_bridge, closing):
    name = NAMES[case]
    bridge = start_bridge(own_redis)
    client = closing(RawClient(bridge))
    good = {"method": "emit", "event": "x", "data": 1, "namespace": "/", "room": None, "skip_sid": None, "callback": None}
    short = name[:100]
    for message in (
        {**good, "host_id": short}, {**good, "host_id": short + "\n"}, {**good, "host_id": name}, {**good, "host_id": short, "room": 5},
        {**good, "host_id": short, "namespace": name}, {"method": "emit", "event": "x", name: 1, "host_id": short},
        {**good, "host_id": short, "event": name, "data": {1, 2}}, {**good, "host_id": short, "method": name},
    ):  # fmt: skip
        own_redis.client.publish("flask-socketio", pickle.dumps(message, 4))
        own_redis.client.publish("flask-socketio", json.dumps(message, default=list))
    http_request(bridge, "GET", "/socket.io/?EIO=4&transport=polling&sid=" + "x" * 20, headers={"Origin": "http://" + re.sub(
        r"[^\x21-\x7e]", "!", short)})
    client.send("42" + json.dumps(["join", {"room": name + "::" + name, "secret": name}]))
    client.send("40/" + re.sub(r"[,\ud800]", "", short) + ",")
    own_redis.client.publish("flask-socketio", json.dumps({**good, "event": "marker", "host_id": "end"}))
    while client.receive() != '42["marker",1]':
        pass
    bridge.running.wait_for_line("host_id=end")
    lines = bridge.running.lines
    assert all(is_clean(line) and len(line) < 3000 for line in lines), [line for line in lines if not is_clean(line)]
    assert not [line for line in lines if line.startswith(("2026-11-28T00:00:00+0000 error", "forged"))]
    page = http_request(bridge, "GET", "/metrics").body.decode()
    assert all(is_clean(line) for line in page.split("\n"))
    series = [line.rsplit(" ", 1)[0] for line in page.split("\n") if line and not line.startswith("#")]
    assert len(series) == len(set(series))
    assert all(re.fullmatch(r'[a-z0-9_]+(\{([a-z_]+="([^"\\]|\\["\\n])*",?)*\})?', one) for one in series), series
