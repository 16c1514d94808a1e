"""A running ws-emit with its Redis and clients, and rounds of messages whose cost is measured.

The server runs on core 0 and everything else on core 1, so that the two don't take each other's time.
"""
import json
import os
import pathlib
import pickle
import random
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fanout"))
from clients import Client, masked, upgrade_request
from fanout import cpu_seconds, free_port, memory_bytes, wait_for_port
from servers import Redis, SocketIO

LAST_CORE = max(os.sched_getaffinity(0))
CHANNEL = b"flask-socketio"


class GrowthClient(Client):
    """A client that counts the bytes of its messages instead of reading them."""

    def __init__(self, port):
        # One source address has too few ports for several runs of 19,000.
        source = f"127.0.{random.randrange(1, 250)}.{random.randrange(1, 250)}"
        self.socket = socket.create_connection(("127.0.0.1", port), 60, (source, 0))
        self.received = b""
        self.last_ack = 1

    def ask(self, event, rooms):
        """Sends `join` or `leave` for each of the rooms."""
        frames = []
        for room in rooms:
            self.last_ack += 1
            frames.append(masked(b'42%d["%s",{"room":"%s"}]' % (self.last_ack, event, room.encode())))
        self.socket.sendall(b"".join(frames))

    def join(self, rooms):
        self.socket.setblocking(True)
        self.ask(b"join", rooms)
        self.expect(b"43%d[" % self.last_ack)
        self.expect(b"]")
        self.settle()


class Load:
    def __init__(self, program, threads=1, cores=(0,), options=()):
        self.folder = tempfile.mkdtemp(prefix="growth-")
        os.sched_setaffinity(0, {LAST_CORE})
        self.redis = Redis(free_port(), self.folder)
        wait_for_port(self.redis.port, self.redis.process, "redis-server")
        self.port = free_port()
        # Nothing happens beside what is measured: no heartbeat of 19,000 clients in the middle of it.
        command = [program, "-a", f"127.0.0.1:{self.port}", "--cors", "*", "--redis", f"redis://127.0.0.1:{self.redis.port}/0",
                   "--threads", str(threads), "--ping-interval", "3600", "--max-rooms", "100000", *options]
        self.server = SocketIO(command)
        with open(os.path.join(self.folder, "log"), "wb") as log:
            os.sched_setaffinity(0, set(cores))
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
            os.sched_setaffinity(0, {LAST_CORE})
        wait_for_port(self.port, self.process, "ws-emit")
        self.memory_empty = self.memory()
        self.clients = []
        self.by_descriptor = {}
        self.epoll = select.epoll()
        self.buffer = bytearray(1 << 20)
        self.publisher = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.socket.close()
        for process in (self.process, self.redis.process):
            process.terminate()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def memory(self):
        return memory_bytes(self.process.pid)

    def cpu(self):
        return cpu_seconds(self.process.pid)

    def thread_cpu(self):
        """CPU seconds of each thread, by its id."""
        found = {}
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat") as stat:
                found[task] = int(stat.read().split()[0]) / 1e9
        return found

    def sessions(self):
        """Clients that the server still knows."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as page:
            return int(float(re.search(rb"^ws_emit_sessions(?:\{.*\})? (\S+)$", page.read(), re.M)[1]))

    def connect(self, count):
        """Clients that have joined the room `bench`."""
        upgrade = upgrade_request(self.server)
        # Together: one after the other would take minutes on a busy machine.
        while count > 0:
            opening = [GrowthClient(self.port) for _ in range(min(count, 1000))]
            count -= len(opening)
            for text, marker in [(upgrade, b"\r\n\r\n"), *self.server.opening]:
                for client in opening:
                    if text:
                        client.socket.sendall(text if text is upgrade else masked(text))
                for client in opening:
                    client.expect(marker)
            for client in opening:
                client.settle()
                self.clients.append(client)
                self.by_descriptor[client.socket.fileno()] = client
                self.epoll.register(client.socket.fileno(), select.EPOLLIN)

    def publish(self, payloads):
        if self.publisher is None:
            self.publisher = socket.create_connection(("127.0.0.1", self.redis.port))
        self.publisher.sendall(b"".join(
            b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(CHANNEL), CHANNEL, len(payload), payload)
            for payload in payloads))
        answers = b""
        while answers.count(b"\n") < len(payloads):
            answers += self.publisher.recv(65536)

    def round(self, messages, receivers):
        """Publishes messages at once and waits until each of the receivers has all the bytes it should get.

        `messages` are (payload, frame's bytes); `receivers` says for each message which clients are in its room.
        """
        waiting = {}
        for (_, size), clients in zip(messages, receivers):
            for client in clients:
                descriptor = client.socket.fileno()
                waiting[descriptor] = waiting.get(descriptor, 0) + size
        self.publish([payload for payload, _ in messages])
        while waiting:
            ready = self.epoll.poll(60)
            if not ready:
                sys.exit(f"{len(waiting)} clients did not get their messages")
            for descriptor, _ in ready:
                count = self.by_descriptor[descriptor].socket.recv_into(self.buffer)
                left = waiting.get(descriptor, 0) - count
                if count == 0 or left < 0:
                    sys.exit("a client was disconnected" if count == 0 else "a client got more than it should")
                if left:
                    waiting[descriptor] = left
                else:
                    del waiting[descriptor]


def message(room, size):
    """The pickle that python-socketio 5.4 to 5.13 publish, with a text of `size` bytes, and the length of its frame."""
    pickled = pickle.dumps({
        "method": "emit", "event": "update", "data": "x" * size, "namespace": "/", "room": room, "skip_sid": None,
        "callback": None, "host_id": "0" * 32}, 4)
    text = len("42" + json.dumps(["update", "x" * size], separators=(",", ":")))
    return pickled, text + (2 if text < 126 else 4 if text < 65536 else 10)


def command(method, **keys):
    """A message that acts on rooms."""
    return pickle.dumps({"method": method, "namespace": "/", "host_id": "0" * 32, **keys}, 4)
