#!/usr/bin/env python3
"""Server CPU time per delivered message and memory per client: ws-emit beside what else there is, in one run.

Clients join one room; messages are published one after the other, the next when all clients have the last. The servers take
turns within each run. CPU time is user and system time of the server's whole process tree from the first publish to the last
delivery, read from /proc, so that a busy machine disturbs it less than throughput. Standard library only.

usage: fanout.py --ours PATH [--original COMMAND] [--python-socketio PYTHON] [--nchan] [--transport websocket|polling|mixed]
                 [--clients N] [--messages N] [--runs N] [--svg FILE]
"""
import argparse
import os
import pathlib
import re
import select
import shutil
import socket
import statistics
import sys
import tempfile
import time

from chart import chart
from clients import PollingClient, WebSocketClient
from servers import HERE, Nchan, Redis, SocketIO


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for_port(port, process, what):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{what} ended with code {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            select.select([], [], [], 0.05)
    sys.exit(f"{what} did not open port {port}")


def tree(pid):
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children") as children:
                    found += [int(child) for child in children.read().split()]
        except OSError:
            pass
    return found


def cpu_seconds(pid):
    """User and system time of a process tree, from the scheduler's nanoseconds."""
    total = 0.0
    for process in tree(pid):
        for task in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{task}/schedstat") as stat:
                total += int(stat.read().split()[0]) / 1e9
    return total


def memory_bytes(pid):
    total = 0
    for process in tree(pid):
        with open(f"/proc/{process}/smaps_rollup") as rollup:
            total += int(re.search(r"^Pss:\s+(\d+) kB", rollup.read(), re.M)[1]) * 1024
    return total


def measure(name, server, transport, count, messages):
    """CPU microseconds for each delivery, and bytes for each client."""
    folder = tempfile.mkdtemp(prefix="fanout-")
    redis = Redis(free_port(), folder)
    wait_for_port(redis.port, redis.process, "redis-server")
    port = free_port()
    process = server.start(port, redis, folder)
    kinds = {"websocket": [WebSocketClient], "polling": [PollingClient], "mixed": [WebSocketClient, PollingClient]}[transport]
    try:
        wait_for_port(port, process, name)
        empty = memory_bytes(process.pid)
        connected = [kinds[index % len(kinds)](port, server) for index in range(count)]
        memory = (memory_bytes(process.pid) - empty) / count
        poll = select.epoll()
        clients = {client.socket.fileno(): client for client in connected}
        for descriptor in clients:
            poll.register(descriptor, select.EPOLLIN)
        publisher = server.publisher(port, redis)
        deliver(publisher, poll, clients, 0)  # warm
        before = cpu_seconds(process.pid)
        for number in range(1, messages + 1):
            deliver(publisher, poll, clients, number)
        return (cpu_seconds(process.pid) - before) / (messages * count) * 1e6, memory
    finally:
        for one in (process, redis.process):
            one.terminate()
            one.wait()
        shutil.rmtree(folder, ignore_errors=True)


def deliver(publisher, poll, clients, number):
    """Publishes one message and waits until every client has it, once."""
    publisher.publish(number)
    marker = b'"number":%d,' % number
    waiting = set(clients)
    deadline = time.monotonic() + 60
    while waiting:
        if time.monotonic() > deadline:
            sys.exit(f"{len(waiting)} clients did not get message {number}")
        for descriptor, _ in poll.poll(1):
            if clients[descriptor].readable(marker):
                if descriptor not in waiting:
                    sys.exit(f"message {number} came twice")
                waiting.remove(descriptor)


def servers(arguments):
    redis = "redis://127.0.0.1:{redis}/0"
    options = ["-a", "127.0.0.1:{port}", "--cors", "*", "--redis", redis]
    found = {"ws-emit": SocketIO([arguments.ours, *options])}
    if arguments.nchan:
        found["nginx with nchan"] = Nchan()
    if arguments.original:
        found["the original"] = SocketIO([*arguments.original.split(), *options], relative_messages=0.2)
    if arguments.python_socketio:
        command = [arguments.python_socketio, "-m", "uvicorn", "--app-dir", str(HERE), "python_socketio_app:app", "--host",
                   "127.0.0.1", "--port", "{port}", "--loop", "uvloop", "--http", "httptools", "--ws", "websockets",
                   "--ws-per-message-deflate", "false", "--backlog", "4096", "--no-access-log", "--log-level", "critical"]
        found["python-socketio"] = SocketIO(command, {"REDIS": redis}, relative_messages=0.2)
    return {name: server for name, server in found.items() if arguments.transport in server.transports}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True)
    parser.add_argument("--original", help="ws-emit.py with its interpreter, as one word or two")
    parser.add_argument("--python-socketio", help="a Python with python-socketio and uvicorn")
    parser.add_argument("--nchan", action="store_true")
    parser.add_argument("--transport", choices=("websocket", "polling", "mixed"), default="websocket")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--svg", type=pathlib.Path)
    arguments = parser.parse_args()

    compared = servers(arguments)
    results = {name: [] for name in compared}
    for run in range(arguments.runs):
        for name, server in compared.items():
            messages = max(5, int(arguments.messages * server.relative_messages))
            results[name].append(measure(name, server, arguments.transport, arguments.clients, messages))
            print(f"run {run + 1} {name}: {results[name][-1][0]:.2f} us/delivery", file=sys.stderr, flush=True)

    cpu = {name: statistics.median(one for one, _ in runs) for name, runs in results.items()}
    memory = {name: statistics.median(one for _, one in runs) for name, runs in results.items()}
    print(f"{arguments.clients} {arguments.transport} clients in one room, one message under way; medians of {arguments.runs} runs\n")
    print("| | CPU time per delivery | times ours | memory per client |\n|---|--:|--:|--:|")
    for name in compared:
        print(f"| {name} | {cpu[name]:.1f} us | {cpu[name] / cpu['ws-emit']:.1f} | {memory[name] / 1000:.1f} kB |")
    if arguments.svg:
        title = f"CPU time to deliver one message to one of {arguments.clients:,} {arguments.transport} clients"
        arguments.svg.write_text(chart(title, list(cpu.items()), "us"))


if __name__ == "__main__":
    main()
