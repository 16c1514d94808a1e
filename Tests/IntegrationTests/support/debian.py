"""A Debian of its own, booted with systemd in a container: what is installed there touches nothing here."""
import functools
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from .documents import script
from .processes import ROOT, command
from .waiting import PATIENCE, eventually

SOURCE = "/usr/src/ws-emit"


def make(*arguments):
    done = subprocess.run([command("make"), "-C", ROOT, *map(str, arguments)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"make {arguments}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


@functools.cache
def built_package():
    """The Debian package of this tree; built once, which takes minutes when the programs must be."""
    make("deb")
    one, = ROOT.glob("dist/ws-emit_*.deb")
    return one


def copy_of_a_bare_debian(folder):
    """A Debian in a new folder, nothing of which runs; only root can make and enter one."""
    if os.geteuid() != 0:
        pytest.skip("a Debian to install on takes root: debootstrap, systemd-nspawn")
    base = subprocess.run([ROOT / "scripts/debian-root"], capture_output=True, text=True)
    assert base.returncode == 0, f"there is no Debian to install on: {base.stderr}"
    subprocess.run(["cp", "-a", "--reflink=auto", base.stdout.strip(), folder], check=True)
    return folder


class Debian:
    """Booted from a copy of `scripts/debian-root`, with loopback as its only network. This repository is at SOURCE."""

    def __enter__(self):
        self._folder = tempfile.mkdtemp(prefix="ws-emit-debian-")
        self.root = copy_of_a_bare_debian(pathlib.Path(self._folder) / "ws-emit-test")
        self._console = open(pathlib.Path(self._folder) / "console", "w+")
        self._container = subprocess.Popen(
            [command("systemd-nspawn"), "--quiet", "--boot", "--register=no", "--keep-unit", "--private-network",
             f"--bind-ro={ROOT}:{SOURCE}", "--directory", self.root],
            stdin=subprocess.DEVNULL, stdout=self._console, stderr=subprocess.STDOUT)
        try:
            self._wait_until_booted()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_until_booted(self):
        children = pathlib.Path(f"/proc/{self._container.pid}/task/{self._container.pid}/children")
        def state():
            # Not the first child: that one only makes the namespaces.
            self._leader = (children.read_text().split() or ["0"])[-1]
            return self.run("systemctl is-system-running", check=False).stdout.strip()
        try:
            eventually(lambda: state() in ("running", "degraded"), "systemd has booted")
        except AssertionError:
            self._console.seek(0)
            raise AssertionError(f"systemd says {state()!r} after {PATIENCE} s:\n{self._console.read()[-3000:]}") from None

    def run(self, script, check=True, **environment):
        """A shell script in there, as root, in the repository; its outputs and exit code."""
        done = subprocess.run(
            [command("nsenter"), "--target", self._leader, "--all", "--", "/usr/bin/env", "-i", "HOME=/root",
             "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive",
             *(f"{k}={v}" for k, v in environment.items()), "/bin/bash", "-euc", f"cd {SOURCE}\n{script}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10 * PATIENCE)
        assert not check or done.returncode == 0, f"{script}\nended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    def says(self, script):
        return self.run(script).stdout.strip()

    def write(self, path, text):
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def journal(self, unit="ws-emit"):
        return self.says(f"journalctl --no-pager --output=cat --unit={unit}")

    def wait_for_journal(self, text, unit="ws-emit"):
        eventually(lambda: text in self.journal(unit), f"{text!r} in the journal")

    def __exit__(self, *_):
        self._container.terminate()
        try:
            self._container.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._container.kill()
            self._container.wait()
        self._console.close()
        shutil.rmtree(self._folder)


def documented_commands(document, section):
    """The shell blocks below a heading of a document in docs/, as one script each."""
    text = (ROOT / "docs" / document).read_text()
    parts = re.split(r"(?m)^#+ (.*)$", text)
    sections = dict(zip(parts[1::2], parts[2::2]))
    assert section in sections, f"{document} has no section {section!r}: {list(sections)}"
    blocks = re.findall(r"(?ms)^```sh\n(.*?)^```$", sections[section])
    assert blocks, f"the section {section!r} of {document} has no commands"
    return [script(block) for block in blocks]


def documented_sections(document):
    """The headings of those sections of a document in docs/ that have shell blocks."""
    text = (ROOT / "docs" / document).read_text()
    parts = re.split(r"(?m)^#+ (.*)$", text)
    return [heading for heading, body in zip(parts[1::2], parts[2::2]) if "```sh\n" in body]
