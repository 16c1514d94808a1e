"""Writes subspy-values.jsonl: payloads, Python's repr of what they hold, and the JSON that subspy shows of it.

The repr is this Python's own; the JSON with tags is written out below. Run it with CPython 3.11 or later:

    python3 Tests/Fixtures/make_subspy_values.py > Tests/Fixtures/subspy-values.jsonl
"""
import base64
import collections
import datetime
import json
import pickle

TIME = {"method": "emit", "event": "update", "data": {"time": 1639178370}, "namespace": "/", "room": "time",
        "skip_sid": None, "callback": None, "host_id": "ce56fbc176624c7e8511a583cd5030a8"}


class Point(collections.namedtuple("Point", "x y")):
    pass


ring = [1]
ring.append(ring)
knot = {"l": ring}
knot["k"] = (knot, [knot])

# Values whose repr subspy prints; nothing is said about their JSON.
REPRS = [
    TIME,
    {"text": ["it's", '"', "it's \"both\"", "\\ \t\r\n\0\x7f", "é \xa0\xad\u2028 комната-😀 \U000e0001 \ud800", ""]},
    {"numbers": [0, -1, True, False, None, 2**63, -2**64, 10**99, 0.0, -0.0, 1.5, 1e-05, 1e16, 1.7976931348623157e308,
                 5e-324, float("inf"), -float("inf"), float("nan")]},
    {"bytes": [b"", b"A'\"\\\n\x00\xff", b"it's", bytearray(b"x'")]},
    {"containers": [(), (1,), (1, (2,)), [], [[]], {}, {"a": {}}, set(), {7}, frozenset(), frozenset({7})],
     1: 2, None: 3, (4, 5): 6, 1.5: 7, b"k": 8},
    [1, 2], 5, None, ring, knot,
]

# Values with their JSON; `decode --json` writes the same, and `encode` reads it.
VALUES = [
    (None, "null"), (True, "true"), (-5, "-5"), (2**70, str(2**70)), (1e300, "1e+300"), ([], "[]"), ({}, "{}"), ("", '""'),
    ((1, (2,)), '{"$tuple":[1,{"$tuple":[2]}]}'), ((), '{"$tuple":[]}'),
    ({"$tuple": [1]}, '{"$dict":[["$tuple",[1]]]}'), ({"$a": 1, "b": 2}, '{"$a":1,"b":2}'),
    (b"\x00A", '{"$bytes":"AEE="}'), (bytearray(b""), '{"$bytearray":""}'), ({7}, '{"$set":[7]}'),
    (frozenset({7}), '{"$frozenset":[7]}'),
    ([1.5, -0.0, 1e16, float("nan"), float("inf"), -float("inf")],
     '[1.5,-0.0,1e+16,{"$float":"nan"},{"$float":"inf"},{"$float":"-inf"}]'),
    ([2**63, -2**64, 10**99], f"[{2**63},{-2**64},{10**99}]"),
    ({"a": 1, 2: {"b": None}}, '{"$dict":[["a",1],[2,{"b":null}]]}'),
    ({b"k": (True, False)}, '{"$dict":[[{"$bytes":"aw=="},{"$tuple":[true,false]}]]}'),
    ({None: (1,)}, '{"$dict":[[null,{"$tuple":[1]}]]}'),
    (ring, '[1,{"$cycle":true}]'),
    ("é 😀 \" \\ \n\t\r\x1b\x7f\u202e\ud800", '"é 😀 \\" \\\\ \\n\\t\\r\\u001b\\u007f\\u202e\\ud800"'),
    ("\U000e0001", '"\\udb40\\udc01"'),
]

# Objects: Python's repr is another, so that only the JSON is said.
OBJECTS = [
    (collections.OrderedDict(b=1, a=2), '{"b":1,"a":2}'), (collections.Counter("aab"), '{"a":2,"b":1}'),
    (datetime.date(2021, 12, 10), '{"$object":"<datetime.date(b\'\\\\x07\\\\xe5\\\\x0c\\\\n\')>"}'),
    (len, '{"$object":"<builtins.len>"}'), (Point(1, 2), "[1,2]"),
]

# JSON payloads: the repr is that of what json.loads makes of them.
TEXTS = [
    json.dumps(TIME).encode(), json.dumps(TIME, ensure_ascii=False).encode("utf-16"), b'{"a": -0, "b": 1.10, "c": 1E5}',
    b'{"k": 1, "x": "it\'s \\ud83d\\ude00 \\ud800", "k": [NaN, -Infinity, 1e999, true, null]}', b"[]",
]


def rows():
    for value in REPRS:
        for protocol in range(6):
            yield pickle.dumps(value, protocol), repr(value), None
    for value, text in VALUES:
        for protocol in range(6):
            yield pickle.dumps(value, protocol), repr(value), text
    for value, text in OBJECTS:
        yield pickle.dumps(value, 4), None, text
    for text in TEXTS:
        yield text, repr(json.loads(text)), None
    yield b'{"a": -0, "b": 1.10, "c": [NaN, -Infinity], "d": "\\u00e9\\ud83d\\ude00", "a": 1}', None, \
        '{"a":1,"b":1.1,"c":[{"$float":"nan"},{"$float":"-inf"}],"d":"é😀"}'


seen = set()
for payload, shown, text in rows():
    if (payload, text) not in seen:
        seen.add((payload, text))
        print(json.dumps({"payload_b64": base64.b64encode(payload).decode(), "repr": shown, "json": text}))
