"""Clients that don't read, among others that do: the memory that they take, and how long the others wait for a message.

One in ten clients of a room stops reading. Each round publishes one message to the room of the readers alone, one to the room
of all, and a burst to the room of those that don't read. So the two latencies are of the same clients and the same minute.
"""
import array
import os
import re
import socket
import statistics
import sys
import tempfile
import time
import urllib.request

from load import Load, message

POLICIES = ("disconnect", "drop-oldest", "latest")
SIZE = 1000
BURST = 20


def rules(policy):
    """The path of a file with the one rule."""
    descriptor, path = tempfile.mkstemp(prefix="slow-rules-")
    with os.fdopen(descriptor, "w") as file:
        file.write(f"* slow={policy}\n")
    return path


def latencies(load, room, readers, times):
    """Publishes one message and notes when each of the readers has it."""
    payload, size = message(room, SIZE)
    waiting = {client.socket.fileno(): size for client in readers}
    start = time.monotonic()
    load.publish([payload])
    while waiting:
        ready = load.epoll.poll(60)
        if not ready:
            sys.exit(f"{len(waiting)} clients did not get their message")
        for descriptor, _ in ready:
            count = load.by_descriptor[descriptor].socket.recv_into(load.buffer)
            if count == 0 or descriptor not in waiting:
                sys.exit("a client that reads was disconnected, or got more than it should")
            waiting[descriptor] -= count
            if waiting[descriptor] == 0:
                del waiting[descriptor]
                times.append(time.monotonic() - start)


def p99(times):
    return sorted(times)[int(len(times) * 0.99)] * 1000


def counters(load):
    with urllib.request.urlopen(f"http://127.0.0.1:{load.port}/metrics") as page:
        text = page.read().decode()
    dropped = sum(float(value) for value in re.findall(
        r'^ws_emit_packets_dropped_slow_total\{.*\} (\S+)$', text, re.M))
    return int(float(re.search(r"^ws_emit_slow_clients_closed_total (\S+)$", text, re.M)[1])), int(dropped)


def slow(program, count, rounds):
    """(policy, p99 of the readers' room, of the room of all, their ratio, memory at four times, closed, dropped)"""
    for policy in POLICIES:
        path = rules(policy)
        with Load(program, options=["--rules", path]) as load:
            load.connect(count)
            # Spread over the room, so that readers come after them.
            deaf, readers = load.clients[::10], [c for i, c in enumerate(load.clients) if i % 10]
            for clients, room in ((deaf, "slow"), (readers, "reading")):
                for client in clients:
                    client.join([room])
            for client in deaf:
                load.epoll.unregister(client.socket.fileno())
                # As little as possible waits in the kernel instead of the server.
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            alone, beside = array.array("d"), array.array("d")
            memory = []
            for number in range(rounds):
                for room, times in ((("reading", alone), ("bench", beside))[::1 if number % 2 else -1]):
                    latencies(load, room, readers, times)
                load.publish([message("slow", SIZE)[0]] * BURST)
                if (number + 1) % (rounds // 4) == 0:
                    memory.append(load.memory() / 1e6)
            closed, dropped = counters(load)
            # Round by round, so that a busy minute of the machine counts once.
            ratios = [p99(beside[i:i + len(readers)]) / p99(alone[i:i + len(readers)])
                      for i in range(0, len(alone), len(readers))]
            yield (policy, f"{p99(alone):.0f} ms", f"{p99(beside):.0f} ms", f"{statistics.median(ratios):.3f}",
                   " / ".join(f"{one:.0f}" for one in memory) + " MB", f"{closed:,}", f"{dropped:,}")
        os.unlink(path)
