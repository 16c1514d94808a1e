#!/usr/bin/env python3
"""Makes the payloads, measures CPython and pickle-bench on them, and prints one table of ratios.

    compare.py path/to/pickle-bench

CPU time of the thread, best of 3 rounds of 25 batches of about 10 ms each, CPython and ours in turn, so that a noisy
neighbour hits both. Ratios are CPython / ours: above 1 we are faster.
"""
import json
import os
import pickle
import platform
import random
import subprocess
import sys
import tempfile
import time


def payloads():
    rng = random.Random(1)
    host = "4f2b7f9d3c6e4a5bb1d20c9e8f7ab5c1"

    def emit(event, data):
        return {"method": "emit", "event": event, "data": data, "namespace": "/", "room": "time", "skip_sid": None,
                "callback": None, "host_id": host}

    yield "emit message", emit("update", {"time": 1700000000.25})
    yield "dashboard", emit("dashboard", {"widgets": [
        {"id": i, "title": "Widget %d" % i, "unit": "ms", "ok": i % 2 == 0,
         "values": [round(rng.random() * 100, 3) for _ in range(12)], "range": {"min": 0, "max": 100 + i}}
        for i in range(60)]})
    yield "rows", [
        {"id": i, "name": "row %d" % i, "price": round(rng.random() * 1000, 2), "qty": rng.randrange(100000),
         "active": i % 3 == 0, "city": rng.choice(["Berlin", "Paris", "Rome"]), "note": None, "score": rng.random()}
        for i in range(13100)]
    yield "ASCII str", "x" * (1 << 20)
    yield "non-ASCII str", "\u00e9" * (1 << 19)


def best(function):
    start = time.thread_time()
    function()
    once = max(time.thread_time() - start, 1e-7)
    count = max(1, min(100000, int(0.01 / once)))
    result = float("inf")
    for _ in range(25):
        start = time.thread_time()
        for _ in range(count):
            function()
        result = min(result, (time.thread_time() - start) / count)
    return result * 1e9


def ours(program, path):
    output = subprocess.run([program, path], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    return {line.split()[-2]: float(line.split()[-1]) for line in output.splitlines()}


def spelled(nanoseconds):
    for unit, size in (("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return "%.3g %s" % (nanoseconds / size, unit)
    return "%.0f ns" % nanoseconds


def main():
    program = sys.argv[1]
    print("CPython %s, protocol %d; ours / ratio CPython:ours" % (platform.python_version(), 4))
    columns = ["payload", "bytes", "loads", "value", "graph", "fields", "route", "loads+json.dumps", "to JSON", "dumps",
               "encode"]
    print("| " + " | ".join(columns) + " |")
    print("|---|" + "--:|" * (len(columns) - 1))
    with tempfile.TemporaryDirectory() as folder:
        for name, value in payloads():
            data = pickle.dumps(value, 4)
            path = os.path.join(folder, "payload")
            with open(path, "wb") as file:
                file.write(data)
            loads = both = dumps = float("inf")
            own = {}
            for _ in range(3):
                loads = min(loads, best(lambda: pickle.loads(data)))
                both = min(both, best(lambda: json.dumps(pickle.loads(data), separators=(",", ":"))))
                dumps = min(dumps, best(lambda: pickle.dumps(value, 4)))
                for key, figure in ours(program, path).items():
                    own[key] = min(own.get(key, figure), figure)

            def cell(key, reference):
                return "%s / %.1f" % (spelled(own[key]), reference / own[key]) if key in own else "-"
            print("| " + " | ".join([
                name, str(len(data)), spelled(loads), cell("value", loads), cell("graph", loads), cell("fields", loads),
                cell("route", loads), spelled(both), cell("json", both), spelled(dumps), cell("encode", dumps)]) + " |")


if __name__ == "__main__":
    main()
