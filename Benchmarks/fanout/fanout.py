#!/usr/bin/env python3
"""Server CPU time per delivered message: ws-emit beside the original Python service, in one run.

1,000 websocket clients join one room; pickled messages as python-socketio 5.4 writes them are published one after the
other, the next when all clients have the last. Servers take turns within each run. CPU time is user and system time of
the server's whole process tree between the first publish and the last delivery, from /proc, so that a busy machine
disturbs it less than throughput. Standard library only.

usage: fanout.py --ours PATH [--original PATH-OF-PYTHON] [--clients N] [--messages N] [--runs N]
"""
import argparse
import os
import pickle
import re
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOM = "bench"


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
    """User and system time of a process tree; nanoseconds where the kernel keeps them."""
    total = 0.0
    for process in tree(pid):
        for task in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{task}/schedstat") as stat:
                total += int(stat.read().split()[0]) / 1e9
    return total


def memory_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return int(re.search(r"^Pss:\s+(\d+) kB", rollup.read(), re.M)[1]) * 1024


class Client:
    """One websocket in one room, as far as counting frames needs it."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.sendall(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
        self.received = b""
        self.expect(b'"sid"')
        self.send(b"40")
        self.expect(b"40{")
        self.send(b'420["join",{"room":"%s"}]' % ROOM.encode())
        self.expect(b"430[")
        self.received = b""

    def send(self, text):
        # A mask of zeros leaves the text as it is.
        self.socket.sendall(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)

    def expect(self, marker):
        while marker not in self.received:
            part = self.socket.recv(65536)
            if not part:
                sys.exit(f"a client was disconnected before {marker!r}")
            self.received += part
        self.received = self.received[self.received.index(marker) + len(marker):]


class Redis:
    def __init__(self, folder):
        self.port = free_port()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL)
        wait_for_port(self.port, self.process, "redis-server")
        self.socket = socket.create_connection(("127.0.0.1", self.port))

    def publish(self, payload):
        channel = b"flask-socketio"
        self.socket.sendall(
            b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(channel), channel, len(payload), payload))
        return int(self.socket.recv(64)[1:])


def message(number):
    return pickle.dumps({
        "method": "emit", "event": "update", "data": {"number": number, "text": "x" * 100}, "namespace": "/",
        "room": ROOM, "skip_sid": None, "callback": None, "host_id": "0" * 32}, 4)


def measure(command, clients, messages):
    folder = tempfile.mkdtemp(prefix="fanout-")
    redis = Redis(folder)
    port = free_port()
    server = subprocess.Popen(
        [part.format(port=port, redis=redis.port) for part in command],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, server, command[0])
        empty = memory_bytes(server.pid)
        connected = [Client(port) for _ in range(clients)]
        for client in connected:
            client.socket.setblocking(False)
        memory = (memory_bytes(server.pid) - empty) / clients
        poll = select.epoll()
        by_descriptor = {client.socket.fileno(): client for client in connected}
        for descriptor in by_descriptor:
            poll.register(descriptor, select.EPOLLIN)
        deliver(redis, poll, by_descriptor, 0)  # warm
        before = cpu_seconds(server.pid)
        for number in range(1, messages + 1):
            deliver(redis, poll, by_descriptor, number)
        spent = cpu_seconds(server.pid) - before
        return spent / (messages * clients) * 1e6, memory
    finally:
        for process in (server, redis.process):
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def deliver(redis, poll, clients, number):
    """Publishes one message and waits until every client has it, complete and once."""
    if redis.publish(message(number)) != 1:
        sys.exit("the server has not subscribed")
    marker = b'"number":%d,' % number
    waiting = dict.fromkeys(clients, b"")
    deadline = time.monotonic() + 60
    while waiting:
        if time.monotonic() > deadline:
            sys.exit(f"{len(waiting)} clients did not get message {number}")
        for descriptor, _ in poll.poll(1):
            received = waiting.get(descriptor, b"") + clients[descriptor].socket.recv(65536)
            if marker in received and received.endswith(b"]"):
                if descriptor not in waiting:
                    sys.exit(f"message {number} came twice")
                del waiting[descriptor]
            elif descriptor in waiting:
                waiting[descriptor] = received


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True)
    parser.add_argument("--original", help="ws-emit.py with its interpreter, as one word or two")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()

    options = ["-a", "127.0.0.1:{port}", "--cors", "*", "--redis", "redis://127.0.0.1:{redis}/0"]
    servers = {"ws-emit": [arguments.ours, *options]}
    if arguments.original:
        servers["original"] = [*arguments.original.split(), *options]
    results = {name: [] for name in servers}
    for run in range(arguments.runs):
        for name, command in servers.items():
            # The original needs a hundred times as long; its figure is steady after a few messages.
            messages = arguments.messages if name == "ws-emit" else max(5, arguments.messages // 5)
            results[name].append(measure(command, arguments.clients, messages))
            print(f"run {run + 1} {name}: {results[name][-1][0]:.2f} us/delivery", flush=True)

    print(f"\n{arguments.clients} websocket clients in one room, one message under way, medians of {arguments.runs} runs")
    print(f"{'server':10}{'CPU us/delivery':>17}{'bytes/client':>14}")
    medians = {name: statistics.median(cpu for cpu, _ in runs) for name, runs in results.items()}
    for name, runs in results.items():
        print(f"{name:10}{medians[name]:17.2f}{statistics.median(memory for _, memory in runs):14,.0f}")
    if "original" in medians:
        print(f"ratio: the original needs {medians['original'] / medians['ws-emit']:.1f} times the CPU time")


if __name__ == "__main__":
    main()
