"""make install and make deb: what they put where, and that it works on a Debian of its own, under its own systemd."""
import json
import os
import pty
import re
import select
import shutil
import subprocess

import pytest

from support.debian import (Debian, built_package, copy_of_a_bare_debian, documented_commands, documented_sections,
                            make)
from support.processes import ROOT, command
from support.waiting import PATIENCE

# The first test that needs them builds the programs, for which two minutes are few on a loaded machine.
pytestmark = [pytest.mark.ours, pytest.mark.timeout(1800)]
PROGRAMS = ("ws-emit", "subspy")
SETTINGS = "/etc/default/ws-emit"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that `make install` filled."""
    folder = tmp_path_factory.mktemp("installed")
    make("install", f"DESTDIR={folder}")
    return folder


@pytest.fixture(scope="module")
def package():
    return built_package()


@pytest.fixture(scope="module")
def shared_machine(package):
    """A Debian with the package, for tests that leave it as it was."""
    with Debian() as debian:
        debian.run("apt-get install -y ./dist/ws-emit_*.deb")
        yield debian


@pytest.fixture
def machine(package):
    """A bare Debian of the test's own."""
    with Debian() as debian:
        yield debian


def command_tree(dump, parents=()):
    """Each command of `--experimental-dump-help` with its full name."""
    yield (*parents, dump["commandName"]), dump
    for one in dump.get("subcommands", []):
        if one["commandName"] != "help":
            yield from command_tree(one, (*parents, dump["commandName"]))


def commands(installed, program):
    said = subprocess.run([installed / "usr/local/bin" / program, "--experimental-dump-help"], capture_output=True, check=True)
    return list(command_tree(json.loads(said.stdout)["command"]))


# make install

def test_make_install_puts_everything_in_its_place(installed):
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if not path.is_dir()}
    pages = {f"usr/local/share/man/man1/{'-'.join(names)}.1" for p in PROGRAMS for names, _ in commands(installed, p)}
    assert files == pages | {
        "usr/local/bin/ws-emit", "usr/local/bin/subspy", "usr/local/bin/ws-emit.py", "etc/default/ws-emit",
        "usr/local/lib/systemd/system/ws-emit.service", "usr/local/share/man/man1/ws-emit.py.1",
        *(f"usr/local/share/bash-completion/completions/{p}" for p in PROGRAMS),
        *(f"usr/local/share/zsh/site-functions/_{p}" for p in PROGRAMS),
        *(f"usr/local/share/fish/vendor_completions.d/{p}.fish" for p in PROGRAMS)}


@pytest.mark.parametrize("name", ["ws-emit", "ws-emit.py", "subspy"])
def test_the_programs_run_without_a_toolchain(installed, name):
    program = installed / "usr/local/bin" / name
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    assert "swift" not in libraries and "hiredis" in libraries
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, env={}).stdout
    assert re.fullmatch(r"(ws-emit|subspy) \d+\.\d+\.\d+\n", version)


def test_each_setting_has_its_comment_and_nobody_else_reads_the_secret(installed):
    file = installed / "etc/default/ws-emit"
    assert file.stat().st_mode & 0o777 == 0o640
    blocks = file.read_text().strip().split("\n\n")
    assert blocks[0].startswith("#")
    assert [re.fullmatch(r"(?:#.*\n)+([A-Z_]+)=(?:\".*\")?", block)[1] for block in blocks[1:]] == [
        "ADDRESS", "ADMIN_ADDRESS", "CORS", "SECRET", "REDIS", "RULES", "OPTIONS"]


def test_installing_again_keeps_the_settings_and_uninstalling_leaves_only_them(tmp_path, installed):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/ws-emit")
    settings = tmp_path / "etc/default/ws-emit"
    settings.write_text("ADDRESS=127.0.0.1:9999\n")
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/ws-emit")
    assert settings.read_text() == "ADDRESS=127.0.0.1:9999\n"
    unit = (tmp_path / "opt/ws-emit/lib/systemd/system/ws-emit.service").read_text()
    assert "ExecStart=/opt/ws-emit/bin/ws-emit $OPTIONS\n" in unit and "/usr/local" not in unit
    make("uninstall", f"DESTDIR={tmp_path}", "PREFIX=/opt/ws-emit")
    assert [p for p in tmp_path.rglob("*") if not p.is_dir()] == [settings]


def test_the_unit_is_confined(installed):
    unit = installed / "usr/local/lib/systemd/system/ws-emit.service"
    rated = subprocess.run([command("systemd-analyze"), "security", "--offline=yes", "--threshold=19", "--no-pager", unit],
                           capture_output=True, text=True)
    assert rated.returncode == 0, rated.stdout[-3000:] + rated.stderr


# Manual pages

@pytest.mark.parametrize("program", PROGRAMS)
def test_the_manual_pages_render_and_name_every_option(installed, program):
    for names, dump in commands(installed, program):
        page = installed / f"usr/local/share/man/man1/{'-'.join(names)}.1"
        shown = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True,
                               env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "MANWIDTH": "120"})
        assert shown.returncode == 0 and not shown.stderr, f"{page.name}: {shown.stderr}"
        lint = subprocess.run([command("mandoc"), "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
        assert not lint.stdout + lint.stderr, f"{page.name}: {lint.stdout}"
        for argument in dump.get("arguments", []):
            for name in argument.get("names") or []:
                option = ("--" if name["kind"] == "long" else "-") + name["name"]
                assert re.search(rf"(?m)^ +.*{re.escape(option)}\b", shown.stdout), f"{page.name} lacks {option}"


# Completions

WORDS = [
    ("ws-emit --ping-i", {"--ping-interval"}), ("ws-emit expl", {"explain"}), ("ws-emit explain --lis", {"--listen"}), ("subspy rep", {"replay"}), ("subspy emit --names", {"--namespace"}),
    ("subspy --event time --roo", {"--room"}), ("subspy --vers", {"--version"}), ("subspy --eve", {"--event"}),
]


def completion(installed, shell, program):
    return installed / "usr/local/share" / {
        "bash": f"bash-completion/completions/{program}", "zsh": f"zsh/site-functions/_{program}",
        "fish": f"fish/vendor_completions.d/{program}.fish"}[shell]


@pytest.mark.parametrize("line, words", WORDS, ids=lambda value: value if isinstance(value, str) else "")
def test_bash_completes(installed, line, words):
    program, *_, last = line.split()
    script = ('source "$1"; COMP_LINE=$2; read -ra COMP_WORDS <<< "$2"; COMP_POINT=${#2}; COMP_CWORD=$((${#COMP_WORDS[@]} - 1));'
              'function=$(complete -p "$3" | sed "s/.*-F //; s/ .*//");'
              '"$function" "$3" "$4" "${COMP_WORDS[COMP_CWORD - 1]}"; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "_", completion(installed, "bash", program), line, program, last],
                          capture_output=True, text=True)
    assert set(done.stdout.split()) == words and not done.stderr, done


@pytest.mark.parametrize("line, words", WORDS, ids=lambda value: value if isinstance(value, str) else "")
def test_fish_completes(installed, tmp_path, line, words):
    script = f"source {completion(installed, 'fish', line.split()[0])}; complete -C '{line}'"
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{installed}/usr/local/bin:{os.environ['PATH']}"}
    done = subprocess.run([command("fish"), "--no-config", "-c", script], capture_output=True, text=True, env=environment)
    assert {row.split("\t")[0] for row in done.stdout.splitlines()} == words and not done.stderr, done


def test_zsh_completes(installed, tmp_path):
    """In a terminal: zsh's completion works nowhere else."""
    environment = {**os.environ, "TERM": "dumb", "HOME": str(tmp_path), "PS1": "", "PATH":
                   f"{installed}/usr/local/bin:{os.environ['PATH']}"}
    child, terminal = pty.fork()
    if child == 0:
        os.execve(command("zsh"), ["zsh", "-f", "-i"], environment)
    shown = ""
    def type_and_wait(text, expected):
        nonlocal shown
        start = len(shown)
        os.write(terminal, text.encode())
        while expected not in re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", shown[start:]):
            assert select.select([terminal], [], [], PATIENCE)[0], f"{text!r} never gave {expected!r}: {shown[start:]!r}"
            shown += os.read(terminal, 65536).decode(errors="replace")
    try:
        type_and_wait(f"fpath=({installed}/usr/local/share/zsh/site-functions $fpath)\n", "\n")
        type_and_wait("autoload -Uz compinit; compinit -u -D; print rea''dy\n", "ready")
        for line, words in WORDS:
            # The whole word, put into the line or listed below it.
            type_and_wait("\x15" + line + "\t", *(word + " " for word in words))
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(terminal)


# The package

def test_the_package_has_the_programs_version(installed, package):
    said = subprocess.run(["dpkg-deb", "--field", package, "Version"], capture_output=True, text=True, check=True).stdout
    for program in PROGRAMS:
        version = subprocess.run([installed / "usr/local/bin" / program, "--version"], capture_output=True, text=True).stdout
        assert said.split("-")[0] == version.split()[1].strip(), f"debian/changelog says {said}, {version}"


def test_lintian_finds_neither_errors_nor_warnings(package):
    done = subprocess.run([command("lintian"), "--allow-root", "--fail-on", "error,warning", package],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_passes_its_linter():
    venv = subprocess.run([ROOT / "scripts/venv", "hadolint"], capture_output=True, text=True)
    assert venv.returncode == 0, venv.stderr
    done = subprocess.run([venv.stdout.strip() + "/bin/hadolint", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (ROOT / "Dockerfile").read_text()
    assert len(re.findall(r"(?m)^FROM \S+:\S+", text)) == 2 and re.search(r"(?m)^USER (?!root|0)", text)


# On a machine

def test_the_commands_of_the_documentation(machine):
    """docs/install.md from its first command to its last, on one machine; every section with commands is here."""
    done = []
    def follow(section, count=None):
        done.append(section)
        for block in documented_commands("install.md", section):
            yield machine.run(block)

    # The package is there: `make deb` finds nothing to do but to pack, which needs a machine with debhelper.
    assert documented_commands("install.md", "Build the package") == ["make deb\n"]
    done.append("Build the package")

    install, settings, tries = follow("Install the package")
    assert "Active: active (running)" in install.stdout
    assert '0{"sid":' in tries.stdout and "OK\n" in tries.stdout and "ws-emit started on" in tries.stdout

    machine.run("systemctl stop nginx")  # it has port 80
    list(follow("What the service may do"))
    machine.wait_for_journal("0.0.0.0:80")
    assert '0{"sid":' in machine.says("curl -sS 'http://localhost/socket.io/?EIO=4&transport=polling'")
    eventually_subscribed(machine)
    machine.wait_for_journal("redis=unix:///run/redis/redis-server.sock")

    list(follow("Upgrade and remove the package"))
    assert not machine.run("command -v ws-emit", check=False).stdout

    machine.run("rm -r /etc/systemd/system/ws-emit.service.d")
    without_package = follow("Install without a package")
    next(without_package)
    assert machine.says("systemctl is-active ws-emit; systemctl is-enabled ws-emit") == "active\nenabled"
    next(without_package)
    assert not machine.run("command -v ws-emit", check=False).stdout

    machine.write(SETTINGS, PYTHON_SETTINGS)
    machine.write("/etc/systemd/system/ws-emit.service", PYTHON_UNIT)
    machine.run("systemctl daemon-reload; systemctl enable ws-emit")
    list(follow("Upgrade from the Python ws-emit"))
    assert machine.says(f"cat {SETTINGS}") == PYTHON_SETTINGS.strip()
    assert machine.says("systemctl is-active ws-emit; systemctl is-enabled ws-emit") == "active\nenabled"
    assert sorted(done) == sorted(documented_sections("install.md"))


def eventually_subscribed(machine):
    machine.run("for _ in $(seq 600); do [ \"$(redis-cli pubsub numsub flask-socketio | tail -1)\" -ge 1 ] && exit; sleep 0.1;"
                "done; exit 1")


PYTHON_SETTINGS = """\
# an old file
ADDRESS="127.0.0.1:9977"
CORS=http://one.example http://two.example
SECRET='s 3'
"""
PYTHON_UNIT = """\
[Unit]
Description=the unit of a Python installation
[Service]
DynamicUser=yes
WorkingDirectory=/tmp
EnvironmentFile=-/etc/default/ws-emit
ExecStart=/usr/local/bin/ws-emit.py
[Install]
WantedBy=multi-user.target
"""


def test_a_python_installation_goes_on_with_ours_in_its_place(machine):
    """Its unit, its file, the name it starts: all unchanged, read as systemd reads them."""
    machine.write(SETTINGS, PYTHON_SETTINGS)
    machine.write("/etc/systemd/system/ws-emit.service", PYTHON_UNIT)
    machine.run("make install; systemctl daemon-reload; systemctl enable --now ws-emit")
    assert machine.says(f"cat {SETTINGS}") == PYTHON_SETTINGS.strip()
    machine.wait_for_journal("ws-emit started on 127.0.0.1:9977")
    def status(*arguments):
        return machine.says(f"curl -sS -o /dev/null -w '%{{http_code}}' {' '.join(arguments)}")
    poll = "'http://127.0.0.1:9977/socket.io/?EIO=4&transport=polling'"
    assert [status("-H", f"'Origin: http://{name}.example'", poll) for name in ("one", "two", "three")] == ["200", "200", "400"]
    emit = ("-H 'Content-Type: application/json'", "http://127.0.0.1:9977/emit")
    assert status("""-d '{"event":"x","secret":"s 3"}'""", *emit) == "200"
    assert status("""-d '{"event":"x","secret":"s3"}'""", *emit) == "403"


def test_the_service_is_valid_confined_and_stops_at_once(shared_machine):
    machine = shared_machine
    assert machine.says("systemctl is-active ws-emit; systemctl is-enabled ws-emit") == "active\nenabled"
    assert machine.run("systemd-analyze verify ws-emit.service").stderr == ""
    machine.run("systemd-analyze security --threshold=19 ws-emit.service")
    process = machine.says("systemctl show -P MainPID ws-emit")
    status = dict(re.findall(r"(?m)^(\w+):\s+(.*)$", machine.says(f"cat /proc/{process}/status")))
    assert status["Uid"].split()[0] != "0" and status["CapEff"] == "0" * 16 and status["Seccomp"] == "2"
    assert machine.says("systemctl show -P LimitNOFILE ws-emit") == "65536"
    assert "thread priority" not in machine.journal()
    machine.run("systemctl restart ws-emit")
    assert "ws-emit stopped" in machine.journal() and machine.says("systemctl show -P Result ws-emit") == "success"


def test_explain_needs_no_options_beside_the_service(shared_machine):
    """As docs/troubleshooting.md writes it."""
    machine = shared_machine
    machine.run("systemctl restart redis-server ws-emit")
    eventually_subscribed(machine)
    said = machine.run("ws-emit explain --room time", check=False)
    assert said.returncode == 1 and "at 127.0.0.1:8898 listens to flask-socketio" in said.stdout, said
    assert "[nobody_connected]" in said.stdout and "[redis_unreachable]" not in said.stdout, said
    answer = machine.run("ws-emit explain --room time --listen 100ms --output json", check=False)
    assert [f["code"] for f in json.loads(answer.stdout)["findings"]] == ["nobody_connected", "nothing_published"]


def test_it_waits_for_redis_and_delivers_through_it(shared_machine):
    machine = shared_machine
    machine.run("systemctl stop redis-server; systemctl restart ws-emit")
    assert machine.says("systemctl is-active ws-emit") == "active"
    machine.wait_for_journal("Redis is away")
    entry, *_ = [json.loads(line) for line in machine.says("journalctl --unit=ws-emit --output=json").splitlines()
                 if "Redis is away" in line]
    assert entry["PRIORITY"] == "4" and entry["MESSAGE"].startswith("Redis is away"), entry
    machine.run("systemctl start redis-server")
    eventually_subscribed(machine)
    said = machine.says("subspy emit update --room time --data '{\"time\": 1}'")
    assert "1" in said


def test_whatever_ends_it_starts_it_again_and_a_hangup_or_a_wrong_setting_does_not(shared_machine):
    machine = shared_machine
    for number in ("SEGV", "TERM", "KILL"):
        before = machine.says("systemctl show -P MainPID ws-emit")
        machine.run(f"systemctl kill --signal={number} ws-emit")
        machine.run(f"for _ in $(seq 300); do p=$(systemctl show -P MainPID ws-emit); [ $p != 0 ] && [ $p != {before} ] &&"
                    " systemctl is-active ws-emit && exit; sleep 0.1; done; exit 1")
    before = machine.says("systemctl show -P MainPID ws-emit")
    machine.run("systemctl kill --signal=HUP ws-emit")
    machine.wait_for_journal("SIGHUP is ignored")
    assert machine.says("systemctl show -P MainPID ws-emit") == before
    machine.run(f"cp -p {SETTINGS} /srv/kept; echo ADDRESS=nowhere >> {SETTINGS}")
    machine.run("systemctl restart ws-emit", check=False)
    machine.run("for _ in $(seq 300); do [ $(systemctl is-failed ws-emit) = failed ] && exit; sleep 0.1; done; exit 1")
    assert machine.says("systemctl show -P NRestarts ws-emit") == "0"
    machine.wait_for_journal("ADDRESS nowhere is no address")
    machine.run(f"cp -p /srv/kept {SETTINGS}")
    assert machine.run("systemctl restart ws-emit", check=False).returncode == 0, machine.journal()


def test_more_options_come_from_the_settings_too(shared_machine):
    machine = shared_machine
    machine.run(f"cp -p {SETTINGS} /srv/kept; sed -i 's|^OPTIONS=.*|OPTIONS=\"--max-connections 5000 -v\"|' {SETTINGS}")
    machine.run("systemctl restart ws-emit")
    process = machine.says("systemctl show -P MainPID ws-emit")
    assert machine.says(f"tr '\\0' ' ' < /proc/{process}/cmdline") == "/usr/bin/ws-emit --max-connections 5000 -v"
    machine.run(f"cp -p /srv/kept {SETTINGS}; systemctl restart ws-emit")


def newer(package, folder):
    """The same package with a higher version and another default file."""
    subprocess.run(["dpkg-deb", "-R", package, folder / "content"], check=True)
    control = folder / "content/DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*", "Version: 99.0-1", control.read_text()))
    settings = folder / "content/etc/default/ws-emit"
    settings.write_text(settings.read_text() + "# new in 99\n")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", folder / "content", folder / "newer.deb"], check=True,
                   stdout=subprocess.DEVNULL)
    return folder / "newer.deb"


def test_the_package_upgrades_and_purges_cleanly(machine, package, tmp_path):
    machine.run("apt-get install -y ./dist/ws-emit_*.deb")
    machine.run(f"echo 'SECRET=mine' >> {SETTINGS}")
    old = machine.says("systemctl show -P MainPID ws-emit")
    shutil.copy(newer(package, tmp_path), machine.root / "srv/newer.deb")
    machine.run("apt-get install -y -o Dpkg::Options::=--force-confold /srv/newer.deb")
    assert machine.says(f"tail -1 {SETTINGS}") == "SECRET=mine"
    assert machine.says("systemctl is-active ws-emit") == "active"
    assert machine.says("systemctl show -P MainPID ws-emit") not in (old, "0"), "upgraded and not restarted"

    machine.run("apt-get remove -y ws-emit")
    assert machine.says(f"tail -1 {SETTINGS}") == "SECRET=mine"
    assert machine.run("systemctl is-active ws-emit", check=False).stdout.strip() == "inactive"
    machine.run("apt-get install -y -o Dpkg::Options::=--force-confold ./dist/ws-emit_*.deb")
    assert machine.says("systemctl is-active ws-emit; systemctl is-enabled ws-emit") == "active\nenabled"

    machine.run("apt-get purge -y ws-emit")
    left = machine.says("find / -xdev -name '*ws-emit*' -not -path '/usr/src/*' -not -path '/proc/*' -not -path \"$HOME/*\""
                        " -not -path '/var/log/journal/*'")
    assert not left, left
    assert machine.says("systemctl --failed --no-legend") == ""


def test_the_package_installs_where_no_systemd_runs(package, tmp_path):
    """As while an image is built: in a chroot, nothing is started and nothing fails."""
    root = copy_of_a_bare_debian(tmp_path / "root")
    shutil.copy(package, root / "ws-emit.deb")
    for arguments in (["-i", "/ws-emit.deb"], ["-P", "ws-emit"]):
        done = subprocess.run(["chroot", root, "dpkg", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        if arguments[0] == "-i":
            assert (root / "etc/systemd/system/multi-user.target.wants/ws-emit.service").is_symlink()
    assert not (root / "etc/default/ws-emit").exists()
