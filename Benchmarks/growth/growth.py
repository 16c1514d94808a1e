#!/usr/bin/env python3
"""What a delivery costs as sockets, rooms, rooms of a socket and messages grow; memory; pauses; event loops.

Prints one table for each. Costs are CPU time of the server, medians of several runs. Standard library only.

usage: growth.py --ours PATH [--only sockets,rooms,memberships,bytes,nobody,memory,pauses,slow,loops] [--runs N] [--most N]
"""
import argparse
import random
import resource
import signal
import statistics
import sys

from load import Load, message
from pauses import pauses
from slow import slow


def table(title, columns, rows):
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'--:|' * len(columns)}", flush=True)
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)


def cost(load, rounds, runs, units, make):
    """Median CPU microseconds of one of the `units` deliveries that a round makes, after a round to warm up."""
    load.round(*make())
    results = []
    for _ in range(runs):
        before = load.cpu()
        for _ in range(rounds):
            load.round(*make())
        results.append((load.cpu() - before) / (rounds * units) * 1e6)
    return statistics.median(results)


def everybody(load, size=100):
    one = ([message("bench", size)], [load.clients])
    return lambda: one


def sockets(program, runs, most):
    with Load(program) as load:
        for count in (10, 100, 1000, 5000, 10000, 19000):
            if count > most:
                break
            load.connect(count - len(load.clients))
            deliveries = cost(load, max(5, min(500, 30000 // count)), runs, count, everybody(load))
            yield f"{count:,}", f"{deliveries:.2f} us"


def rooms(program, runs, most):
    """100 clients in rooms of their own, 64 messages to different rooms at once."""
    with Load(program) as load:
        load.connect(min(100, most))
        members = {}
        for count in (100, 1000, 10000, 100000):
            names = [f"room-{number:06}" for number in range(len(members), count)]
            for index, client in enumerate(load.clients):
                mine = names[index::len(load.clients)]
                client.join(mine)
                members.update((name, client) for name in mine)
            every = list(members)

            def make():
                chosen = random.sample(every, 64)
                return [message(name, 100) for name in chosen], [[members[name]] for name in chosen]

            yield f"{count:,}", f"{cost(load, 100, runs, 64, make):.2f} us"


def memberships(program, runs, most):
    """100 clients that all are in the same rooms; one message to one of these at a time."""
    with Load(program) as load:
        load.connect(min(100, most))
        joined = 0
        for count in (1, 10, 100, 1000):
            for client in load.clients:
                client.join([f"room-{number:04}" for number in range(joined, count)])
            joined = count

            def make():
                return [message(f"room-{random.randrange(count):04}", 100)], [load.clients]

            yield f"{count:,}", f"{cost(load, 200, runs, len(load.clients), make):.2f} us"


def size(program, runs, most):
    """100 clients in a room, messages of growing length."""
    with Load(program, options=["--max-queue", "16777216"]) as load:
        load.connect(min(100, most))
        for count in (100, 1000, 10000, 100000, 1000000):
            deliveries = cost(load, max(5, min(200, 5000000 // count)), runs, len(load.clients), everybody(load, count))
            yield f"{count:,}", f"{deliveries:.2f} us", f"{deliveries * 1000 / count:.2f} ns"


def nobody(program, runs):
    """What an instance pays for messages that concern only others: 1,000 at once, and one to know that they were read."""
    with Load(program) as load:
        load.connect(1)
        for size in (100, 1000, 10000):
            messages = [message(f"empty-{number:04}", size) for number in range(1000)] + [message("bench", size)]
            receivers = [[]] * 1000 + [load.clients]
            yield f"{size:,}", f"{cost(load, 10, runs, 1000, lambda: (messages, receivers)):.2f} us"


def memory(program, most):
    count = min(10000, most)
    with Load(program) as load:
        load.connect(count)
        of_socket = (load.memory() - load.memory_empty) / count
        yield "socket, joined to one room", f"{of_socket:.0f} B", f"{count:,} clients in one room"
    with Load(program) as load:
        load.connect(min(1000, most))
        before = load.memory()
        for client in load.clients:
            client.join([f"shared-{number:04}" for number in range(100)])
        of_membership = (load.memory() - before) / (100 * len(load.clients))
        yield "membership", f"{of_membership:.0f} B", "1,000 clients in the same 100 rooms"
        before = load.memory()
        for index, client in enumerate(load.clients):
            client.join([f"own-{index:06}-{number:04}" for number in range(100)])
        of_room = (load.memory() - before) / (100 * len(load.clients)) - of_membership
        yield "room", f"{of_room:.0f} B", "100,000 rooms of one client, without the membership"
    with Load(program) as load:
        yield "server without clients", f"{load.memory_empty / 1e6:.1f} MB", ""


def loops(program, runs, most):
    """One event loop on one core, and two on both, where the clients compete with them."""
    count = min(1000, most)
    for threads, cores in ((1, (0,)), (2, (0, 1))):
        with Load(program, threads, cores) as load:
            load.connect(count)
            make = everybody(load)
            load.round(*make())
            results = []
            for _ in range(runs):
                before = load.thread_cpu()
                for _ in range(50):
                    load.round(*make())
                used = [now - before.get(task, 0) for task, now in load.thread_cpu().items()]
                results.append((sum(used), max(used)))
            total = statistics.median(one for one, _ in results) / (50 * count) * 1e6
            busiest = statistics.median(one for _, one in results) / 50 * 1e3
            yield threads, f"{total:.2f} us", f"{busiest:.2f} ms"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", required=True)
    parser.add_argument("--only", default="sockets,rooms,memberships,bytes,nobody,memory,pauses,slow,loops")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--most", type=int, help="clients at most; default: what the descriptor limit allows")
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Ended from outside, the server and Redis end too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    program, runs, most = arguments.ours, arguments.runs, arguments.most or hard - 1000
    tables = {
        "sockets": lambda: table("Sockets in one room, 100 B", ["sockets", "CPU time per delivery"],
                                 sockets(program, runs, most)),
        "rooms": lambda: table("Rooms, each with one of 100 clients, 64 messages at once", ["rooms", "CPU time per delivery"],
                               rooms(program, runs, most)),
        "memberships": lambda: table("Rooms of each of 100 clients", ["rooms per socket", "CPU time per delivery"],
                                     memberships(program, runs, most)),
        "bytes": lambda: table("Length of a message to 100 clients", ["bytes", "CPU time per delivery", "per byte"],
                               size(program, runs, most)),
        "nobody": lambda: table("Messages for rooms with nobody here", ["bytes", "CPU time per message"], nobody(program, runs)),
        "memory": lambda: table("Memory (PSS, without the kernel's)", ["of one", "bytes", "measured with"],
                                memory(program, most)),
        "pauses": lambda: table(
            "Many at once: how long a message and a ping of others waited",
            ["clients", "operation", "CPU time per client", "work before a message", "a message by the clock",
             "work before a ping"],
            ((f"{count:,}", operation, f"{used:.1f} us" if operation != "nothing" else "",
              f"{work:.1f} ms", f"{wait:.1f} ms", f"{ping:.1f} ms")
             for count in (1000, 10000) if count < most for operation, used, work, wait, ping in pauses(program, count))),
        "slow": lambda: table(
            f"{min(10000, most):,} clients, one in ten doesn't read; 1 kB messages",
            ["policy", "p99, readers alone", "p99, among all", "ratio", "memory during the run", "closed", "packets dropped"],
            slow(program, min(10000, most), 200)),
        "loops": lambda: table("Event loops, 1,000 clients in one room",
                               ["event loops", "CPU time per delivery", "busiest loop, per message"],
                               loops(program, runs, most)),
    }
    for name in arguments.only.split(","):
        if name not in tables:
            sys.exit(f"growth.py: no table {name!r}; there are {', '.join(tables)}")
        tables[name]()


if __name__ == "__main__":
    main()
