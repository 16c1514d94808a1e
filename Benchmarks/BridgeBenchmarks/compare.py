#!/usr/bin/env python3
"""Runs bridge-bench and prints each figure beside the committed baseline, as ratios: below 1 is better than the baseline.

usage: compare.py PROGRAM [--update]             --update writes what was measured as the new baseline
       compare.py PROGRAM --profile OPERATION    instructions of an operation by function, the dearest first

Allocations are counted and the same everywhere. Instructions, if valgrind is installed, are counted in user space only.
CPU time is compared as multiples of a fixed piece of work measured in the same run.
"""
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

BASELINE = pathlib.Path(__file__).resolve().parent / "baseline.json"
# Hashes seeded alike give tables, and counts, that are alike.
ENVIRONMENT = {**os.environ, "SWIFT_DETERMINISTIC_HASHING": "1"}


def measured(program, runs=3):
    """operation -> parts, nanoseconds, multiples of the reference, allocations; medians."""
    found = {}
    for _ in range(runs):
        output = subprocess.run([program], env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True).stdout
        for line in output.splitlines():
            name, *figures = line.split("\t")
            found.setdefault(name, []).append([float(figure) for figure in figures])
    return {name: [statistics.median(column) for column in zip(*rows)] for name, rows in found.items()}


def collect(program, name, count, out):
    """Instructions in user space of an operation done `count` times; where they were is written to `out`."""
    errors = subprocess.run(
        ["valgrind", "--tool=callgrind", "--toggle-collect=*repeatForProfiler*", f"--callgrind-out-file={out}",
         program, name, str(count)],
        env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True).stderr
    return int(re.search(r"Collected : (\d+)", errors)[1])


def instructions(program, name, parts):
    """Instructions of one operation's part."""
    count = max(10, 500 // parts)
    with tempfile.NamedTemporaryFile() as out:
        return collect(program, name, count, out.name) / (count * parts)


def profile(program, name):
    with tempfile.NamedTemporaryFile() as out:
        total = collect(program, name, 100, out.name)
        lines = subprocess.run(["callgrind_annotate", "--threshold=100", out.name], check=True,
                               stdout=subprocess.PIPE, text=True).stdout.splitlines()
    functions = {}
    for line in lines:
        if found := re.match(r" *([\d,]+) \(.*?%\) +\S*?:(\S.*?)(?:'\d+)?(?: \[.*\])?$", line):
            count = int(found[1].replace(",", ""))
            functions[found[2]] = functions.get(found[2], 0) + count
    names = subprocess.run(["swift", "demangle", "--simplified"], input="\n".join(functions), check=True,
                           stdout=subprocess.PIPE, text=True).stdout.splitlines()
    print(f"{total / 100:.0f} instructions: {name}")
    for (count, function) in sorted(zip(functions.values(), names), reverse=True)[:25]:
        print(f"{100 * count / total:5.1f} %  {count / 100:10.0f}  {function[:100]}")


def ratio(now, before):
    if before is None:
        return "new"
    if before == 0:
        return "1.00" if now == 0 else "from 0"
    return f"{now / before:.2f}"


def main():
    program, *options = sys.argv[1:]
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        # valgrind can't read Swift's debug information.
        stripped = os.path.join(folder, "bridge-bench")
        subprocess.run(["strip", "--strip-debug", "-o", stripped, program], check=True)
        if "--profile" in options:
            return profile(stripped, options[options.index("--profile") + 1])
        counts = shutil.which("valgrind") is not None
        print("| operation | CPU time | / baseline | allocations | / baseline | instructions | / baseline |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        for name, (parts, nanoseconds, multiples, allocations) in measured(program).items():
            now = {"cpu": round(multiples, 5), "allocations": round(allocations, 3)}
            if counts:
                now["instructions"] = round(instructions(stripped, name, int(parts)))
            results[name] = now
            before = baseline.get(name, {})
            print(f"| {name} | {nanoseconds:.0f} ns | {ratio(now['cpu'], before.get('cpu'))} | {now['allocations']:g} | "
                  f"{ratio(now['allocations'], before.get('allocations'))} | {now.get('instructions', '-')} | "
                  f"{ratio(now['instructions'], before.get('instructions')) if counts else '-'} |", flush=True)
    if "--update" in options:
        BASELINE.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
