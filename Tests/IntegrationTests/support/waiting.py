"""Waiting for what other processes do: always for an event or a condition, never for a guessed time."""
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


def free_port(host="127.0.0.1"):
    """A TCP port nobody listens on now, below those that the kernel gives to outgoing connections: until a server
    has taken it, none of them can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket(family) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port


_given = set()
