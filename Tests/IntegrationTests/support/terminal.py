"""A program on a terminal of its own: a pseudo-terminal whose size, keys and modes the test holds."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading

import pytest

from .subspy import program
from .waiting import PATIENCE, eventually

COLORS = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """One program with all its streams on a pseudo-terminal."""

    def __init__(self, arguments, columns=80, rows=24, env=None):
        self._master, self._slave = pty.openpty()
        self.resize(columns, rows)
        self.modes = termios.tcgetattr(self._slave)
        clean = {k: v for k, v in os.environ.items() if k not in ("REDIS", "NO_COLOR", "COLUMNS")}
        # A session of its own makes it the terminal's foreground process, as a shell would.
        self.process = subprocess.Popen(
            [str(argument) for argument in arguments], stdin=self._slave, stdout=self._slave, stderr=self._slave,
            env={**clean, "TERM": "xterm-256color", **(env or {})}, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                chunk = os.read(self._master, 1 << 16)
            except OSError:
                return
            if not chunk:
                return
            # A character may be cut; it is whole again in the bytes.
            self._bytes = getattr(self, "_bytes", b"") + chunk
            self.text = self._bytes.decode("utf-8", "replace")

    def resize(self, columns, rows):
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self._master, keys.encode())

    @property
    def plain(self):
        """The text without colours."""
        return COLORS.sub("", self.text)

    @property
    def frame(self):
        """The last whole picture of a program that paints from the upper left corner, as lines without colours."""
        pictures = re.findall(r"\x1b\[H((?:(?!\x1b\[H).)*?)\x1b\[J", self.plain, re.DOTALL)
        # The terminal itself puts a carriage return before each line feed, also where there is one.
        return [line.replace("\x1b[K", "").rstrip("\r") for line in pictures[-1].split("\r\n")] if pictures else []

    def wait_for(self, text):
        eventually(lambda: text in self.plain, f"{text!r} on the terminal: {self.plain[-2000:]!r}")

    def wait_for_frame(self, condition):
        """The first picture that the condition holds for."""
        def found():
            frame = self.frame
            return frame if frame and condition(frame) else None
        try:
            return eventually(found, "a picture")
        except AssertionError:
            raise AssertionError(f"no such picture came; the last one: {self.frame}") from None

    def current_modes(self):
        return termios.tcgetattr(self._slave)

    def code(self):
        code = self.process.wait(PATIENCE)
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._slave)
        self._reader.join(PATIENCE)
        os.close(self._master)


@pytest.fixture
def terminal():
    """Starts subspy on terminals of the test's own; ended with the test."""
    started = []
    def start(*arguments, redis=None, env=None, **size):
        env = {**(env or {}), **({"REDIS": redis.url} if redis else {})}
        started.append(Terminal([program(), *arguments], env=env, **size))
        return started[-1]
    yield start
    for one in started:
        one.close()
