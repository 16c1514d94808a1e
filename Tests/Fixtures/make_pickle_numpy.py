#!/usr/bin/env python3
"""Writes records of pickle-numpy.jsonl: pip install numpy==1.26.4 (then 2.4.6), make_pickle_numpy.py >> pickle-numpy.jsonl"""

import base64
import json
import pickle
import sys

import numpy


class Foreign:
    """A scalar as a machine of the other byte order pickles it."""

    def __init__(self, code, data):
        self.parts = numpy.dtype(code), data

    def __reduce__(self):
        return numpy.float64(0).__reduce__()[0], self.parts


DELIVERED = {
    "float64": [numpy.float64(v) for v in (1.5, 0.1, -0.0, 1e22, 5e-324, float("nan"), float("-inf"))],
    "str_": [numpy.str_(v) for v in ("", "x", "x\u00e9\u20ac\U0001f680", "a\0b", "\ud800", 'q"\\\n')],
    "bytes_": {"file": numpy.bytes_(b"\x01\0\x02")},
    "other byte order": [Foreign(">f8", b"\x3f\xf8" + bytes(6)), Foreign(">U3", "\u00e9\U0001f680".encode("utf-32-be") + bytes(4))],
    "keys": {numpy.float64(1.5): 1, numpy.float64("inf"): 2, numpy.str_("k\u00e9"): numpy.str_("v")},
    "arguments": (numpy.str_("one"), numpy.float64(2)),
    "alone": numpy.float64(3),
}
REFUSED = {
    "bool": numpy.bool_(True), "int8": numpy.int8(1), "int64": [numpy.int64(7)], "uint16": numpy.uint16(7),
    "float16": numpy.float16(1.5), "float32": {"v": numpy.float32(1.5)}, "longdouble": numpy.longdouble(1),
    "complex128": numpy.complex128(1j), "datetime64": numpy.datetime64("2024-01-02"), "timedelta64": numpy.timedelta64(3, "s"),
    "void": numpy.array([(1, 2.0)], dtype="i4,f8")[0], "ndarray": numpy.array([1, 2]), "key": {numpy.int64(1): 1},
}  # fmt: skip


def placeholders(value, found):
    """As python-socketio takes bytes out of the data."""
    if isinstance(value, bytes):
        found.append(bytes(value))
        return {"_placeholder": True, "num": len(found) - 1}
    if isinstance(value, (list, tuple)):
        return [placeholders(item, found) for item in value]
    if isinstance(value, dict):
        return {key: placeholders(item, found) for key, item in value.items()}
    return value


def record(name, data, protocol):
    room = numpy.str_("r\u00f6\u00f6m")
    message = {
        "method": "emit", "event": numpy.str_("e"), "data": data, "namespace": "/", "room": room, "skip_sid": None,
        "callback": None, "host_id": "ab" * 16,
    }  # fmt: skip
    payload = pickle.dumps(message, protocol)
    line = {"id": f"{name} of numpy {numpy.__version__} at protocol {protocol}", "pickle_b64": base64.b64encode(payload).decode()}
    read = pickle.loads(payload)
    arguments = read["data"] if isinstance(read["data"], tuple) else (read["data"],)
    found = []
    try:
        event = json.dumps(placeholders([read["event"], *arguments], found), separators=(",", ":"))
        line |= {"event": event, "attachments": [data.hex() for data in found]}
    except TypeError as error:
        line["refused"] = str(error)
    print(json.dumps(line), file=sys.stdout)


for name, data in DELIVERED.items():
    for protocol in range(6):
        record(name, data, protocol)
for name, data in REFUSED.items():
    for protocol in (2, 4):
        record(name, data, protocol)
