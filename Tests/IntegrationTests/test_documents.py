"""The documents: their commands work as they stand, and their links lead somewhere.

Fenced blocks that begin with ```sh run from the top of the tree, with `ws-emit` and `subspy` on the PATH, in a separate network
namespace where a Redis listens on localhost:6379 and a ws-emit with the secret 123 on localhost:8899. So the addresses in the
documents are right, and two runs don't collide. If a block can't run that way, the `sh` is followed by the test file that runs
it; each of its lines must be in that file. Lines that begin with `$ ` are commands; the lines below are their output, in which
`…` matches anything. A command must end with 0, or with the code in `  # exit 1` after it.
"""
import os
import pathlib
import re
import signal
import subprocess
import tempfile

import pytest

from support.documents import commands, script
from support.processes import ROOT, Running, command, ws_emit_program
from support.subspy import program as subspy_program
from support.waiting import PATIENCE, eventually

DOCUMENTS = sorted(path.relative_to(ROOT) for pattern in ("*.md", "docs/**/*.md", "example/**/*.md", "Tests/Fixtures/README.md")
                   for path in ROOT.glob(pattern) if ".build" not in path.parts)
ON_A_MACHINE_OF_ITS_OWN = ["docs/install.md", "docs/nginx.md"]
"""Documents that change the machine: test_install.py and test_nginx.py run them on a Debian that they boot."""
BLOCK = re.compile(r"^```(\w+)[ \t]*([^\n]*)\n(.*?)^```$", re.M | re.S)
REFUSED = 7
"""The code of curl while a server that the document has started in the background doesn't listen yet."""


def documents_with_commands():
    """Each document with its shell blocks, which may build on one another: the file behind `sh`, if any, and the text."""
    for document in DOCUMENTS:
        found = [(match[2].strip(), match[3]) for match in BLOCK.finditer((ROOT / document).read_text()) if match[1] == "sh"]
        if found and str(document) not in ON_A_MACHINE_OF_ITS_OWN:
            yield pytest.param(found, id=str(document))


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """Runs shell commands in the namespace of the documents."""
    folder = tmp_path_factory.mktemp("machine")
    programs = folder / "bin"
    programs.mkdir()
    (programs / "ws-emit").symlink_to(os.path.abspath(ws_emit_program()))
    (programs / "subspy").symlink_to(os.path.abspath(subspy_program()))
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), "XDG_CACHE_HOME": os.environ.get(
        "XDG_CACHE_HOME", os.path.expanduser("~/.cache"))}
    # A process namespace ends background processes of the documents. It has its own /proc, because Dispatch stops a program
    # that doesn't find its threads there. Without root, it needs a user namespace.
    own_users = [] if os.geteuid() == 0 else ["--map-root-user"]
    inside = Running(["unshare", "--net", "--pid", "--mount-proc", "--fork", "--kill-child", *own_users,
                      "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"])
    inside.wait_for_line("up")
    first, = pathlib.Path(f"/proc/{inside.process.pid}/task/{inside.process.pid}/children").read_text().split()
    enter = ["nsenter", f"--target={first}", "--net", "--pid", "--mount", f"--wdns={ROOT}",
             *(["--user", "--preserve-credentials"] if own_users else [])]
    started = [inside]

    def run(text):
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run([*enter, "bash", "-euo", "pipefail", "-c", text], cwd=ROOT,
                                  env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=output,
                                  stderr=subprocess.STDOUT, timeout=4 * PATIENCE)
            output.seek(0)
            done.stdout = output.read()
            return done
    try:
        started.append(Running([*enter, command("redis-server"), "--save", "", "--dir", folder]))
        eventually(lambda: "PONG" in run("redis-cli ping").stdout, "the Redis of the documents answers")
        started.append(Running([*enter, programs / "ws-emit", "--secret", "123"], env=environment))
        started[-1].wait_for_line("Connected to Redis")
        yield run
    finally:
        # The end of the first process ends the whole namespace. It ignores SIGTERM.
        os.kill(int(first), signal.SIGKILL)
        for process in started:
            process.stop()


@pytest.mark.parametrize("blocks", list(documents_with_commands()))
def test_a_command_works_as_it_stands(blocks, request):
    for held_by, text in blocks:
        if held_by:
            where = (ROOT / "Tests/IntegrationTests" / held_by).read_text()
            missing = [line for line in commands(text) if line not in where]
            assert not missing, f"{held_by} does not run: {missing}"
        else:
            follow(text, request.getfixturevalue("machine"))


def follow(text, run):
    """Runs a block as it stands, and compares the output of each command that has one."""
    def machine(text):
        return eventually(lambda: (done := run(text)).returncode != REFUSED and done, "the server answers")
    steps = re.split(r"^\$ ", text, flags=re.M)
    if len(steps) == 1:
        done = machine(script(text))
        assert done.returncode == 0, f"{text}{done.stdout}"
        return
    assert not steps[0].strip(), "output before the first command"
    for step in steps[1:]:
        # A command continues after a backslash.
        line = re.match(r"(.*\\\n)*.*\n?", step)[0]
        done = machine(script(line))
        assert done.returncode == 0, f"{line}{done.stdout}"
        expected = ".*".join(re.escape(part) for part in step[len(line):].strip().split("…"))
        assert re.fullmatch(expected, done.stdout.strip(), re.S), f"{line} printed:\n{done.stdout}"


def test_a_command_with_another_code_than_the_one_beside_it_fails(machine):
    assert machine(script("false  # exit 1: why")).returncode == 0
    assert machine(script("printf x; exit 3 | cat  # exit 3")).returncode == 0
    for wrong in ("true  # exit 1", "false", "(exit 2)  # exit 1\necho"):
        assert machine(script(wrong)).returncode != 0, wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_no_command_hides_its_failure(document):
    for block in BLOCK.finditer((ROOT / document).read_text()):
        assert block[1] != "sh" or not re.search(r"\|\| *(true|:)|; *(true|:) *$|set \+e", block[3], re.M), block[3]


def test_each_format_of_subspy_is_one_that_it_takes(machine):
    formats = [(document, text) for document in DOCUMENTS
               for text in re.findall(r"--format\s+'([^']+)'", (ROOT / document).read_text())]
    assert len(formats) > 2
    for document, text in formats:
        done = machine(f"subspy --duration 1ms --format '{text}'")
        assert done.returncode == 0, f"{document}: {done.stdout}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_a_link_leads_to_something_in_the_tree(document):
    text = re.sub(r"```.*?```", "", (ROOT / document).read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = ((ROOT / document).parent / path) if path else ROOT / document
        assert file.exists(), f"{document}: {target}"
        if anchor and file.suffix == ".md":
            titles = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in anchors, f"{document}: {target}"


def test_the_tests_that_hold_the_promises_are_there():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/compatibility.md").read_text()))
    defined = {name for file in (ROOT / "Tests/IntegrationTests").glob("test_*.py")
               for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)}
    assert named and named <= defined, named - defined
