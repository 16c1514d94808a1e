"""Waiting for what other processes do: always for an event or a condition, never for a guessed time."""
import os
import queue
import random
import socket
import threading
import time

PATIENCE = 30.0
"""Seconds after which something that should happen counts as not happening. Passing tests never wait this long."""


def eventually(condition, what):
    """Returns the first true value of `condition()`; an exception counts as not yet."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    last = None
    while time.monotonic() < deadline:
        try:
            if value := condition():
                return value
        except (OSError, AssertionError) as problem:
            last = problem
        pause.wait(0.02)
    raise AssertionError(f"never happened: {what}" + (f" ({last})" if last else ""))


def take(events, what="an event"):
    """The next item of a queue that another thread fills."""
    try:
        return events.get(timeout=PATIENCE)
    except queue.Empty:
        raise AssertionError(f"nothing came while waiting for {what}") from None


def free_port(host="127.0.0.1", also=0):
    """A TCP port nobody listens on now, below those that the kernel gives to outgoing connections: until a server
    has taken it, none of them can.

    `also`: how far behind it a second port lies that must be free too, as the bus of a Redis Cluster."""
    while True:
        # Each process that runs tests has a range of its own, so that none takes a port that another is about to use.
        start = 10_000 + 2_000 * _WORKER
        port = random.randrange(start, start + 2_000)
        wanted = {port, port + also}
        if not wanted & _given and all(_is_free(host, number) for number in wanted):
            _given.update(wanted)
            return port


def _is_free(host, port):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 6
_given = set()
