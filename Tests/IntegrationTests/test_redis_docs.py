"""docs/redis.md is true: its URLs are understood, its commands work, its user may do what ws-emit needs."""
import inspect
import re
import shlex
import subprocess

import pytest
import redis.connection

from support.clients import RawClient
from support.processes import ROOT, ws_emit_program
from support.redis_servers import Certificates
from support.subspy import program
from support.waiting import eventually

pytestmark = pytest.mark.ours
TEXT = (ROOT / "docs/redis.md").read_text()
URLS = sorted({url for url in re.findall(r"`((?:redis|valkey|unix)[a-z+]*://[^`]+)`", TEXT)})
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]


def run(server, line):
    """One line of the document, at the test's own server."""
    arguments = shlex.split(line)
    assert arguments[0] == "redis-cli"
    done = subprocess.run(["redis-cli", "-e", "-p", str(server.port), *arguments[1:]], capture_output=True, text=True)
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.parametrize("url", URLS)
def test_every_url_is_understood(url, tmp_path):
    if "/etc/ssl/redis-ca.pem" in url:
        url = url.replace("/etc/ssl/redis-ca.pem", str(Certificates(tmp_path).ca))
    done = subprocess.run([program(), "--redis", url, "--duration", "1ms", "--no-wait"], capture_output=True, text=True,
                          timeout=30)
    # 69: nobody listens there, which doesn't matter here. 64: the URL is not understood.
    assert done.returncode in (0, 69), done.stderr


def test_the_urls_were_found():
    assert len(URLS) >= 10 and len(COMMANDS) == 5


def test_every_option_is_in_the_table_and_every_one_in_the_table_is_an_option():
    done = subprocess.run([program(), "--redis", "redis://h?unknown=1"], capture_output=True, text=True)
    known = set(re.search(r"Known are ([a-z_, ]+)", done.stderr)[1].strip().split(", "))
    rows = re.search(r"\| Option \|.*?\n\n", TEXT, re.DOTALL)[0]
    assert {name for row in rows.strip().splitlines()[2:] for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])} == known


def test_every_option_that_this_redis_py_knows_is_one(own_redis, start_bridge):
    names = {name for kind in vars(redis.connection).values() if inspect.isclass(kind) and kind.__name__.endswith(("Connection", "Pool"))
             for name in inspect.signature(kind.__init__).parameters}
    # Of wrappers around connections, which no URL reaches.
    names -= {"self", "args", "kwargs", "connection_kwargs", "conn", "pool_lock", "parser",
              "connection"}
    assert len(names) > 30
    url = f"{own_redis.url}?" + "&".join(f"{name}=" for name in sorted(names))
    done = subprocess.run([program(), "--redis", url, "--duration", "1ms", "--no-wait"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_options_without_effect_are_said_once(own_redis, start_bridge):
    bridge = start_bridge(own_redis, redis_url=f"redis://127.0.0.1:{own_redis.port}/0/?max_connections=20&encoding=utf-8"
                          "&health_check_interval=0&socket_timeout=60&retry_on_timeout=true")
    line = bridge.running.wait_for_line("have no effect")
    assert "max_connections, encoding, retry_on_timeout" in line and "warning" in line
    bridge.running.wait_for_line("health_check_interval")
    assert sum("effect" in line for line in bridge.running.lines) == 1


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_the_user_of_the_document_is_enough(lines, own_redis, start_bridge, closing):
    for line in COMMANDS[:lines]:
        run(own_redis, line)
    own_redis.client.set("ws-emit::room_secret::dir", "S3cret")
    bridge = start_bridge(None, "--verbose", redis_url=f"redis://ws-emit:password@127.0.0.1:{own_redis.port}/0")
    client = closing(RawClient(bridge))
    eventually(lambda: own_redis.subscribers() == 1, "ws-emit subscribes")
    assert client.join("dir::x", secret="S3cret") == [{"ok": True}]
    own_redis.client.client_kill_filter(_type="pubsub")
    line = bridge.running.wait_for_line("The subscription was lost")
    assert ('cause="somebody ended the subscription with CLIENT KILL"' in line) == (lines >= 2), line
    if lines == 3:
        eventually(lambda: own_redis.client.info("commandstats").get("cmdstat_eval"), "stored messages are looked for")
        # Nothing that is asked was refused.
        assert own_redis.client.execute_command("ACL", "LOG") == []


@pytest.mark.parametrize("by_flag", [True, False])
def test_the_password_may_stand_in_a_file(by_flag, own_redis, start_bridge, tmp_path):
    own_redis.client.config_set("requirepass", "geheim")
    own_redis.client.execute_command("AUTH", "geheim")
    file = tmp_path / "password"
    file.write_text("geheim\n")
    bridge = start_bridge(None, *(["--redis-password-file", str(file)] if by_flag else []), redis_url=own_redis.url,
                          env={} if by_flag else {"REDIS_PASSWORD_FILE": str(file)})
    bridge.running.wait_for_line("Connected to Redis")
    assert "geheim" not in bridge.running.output


def test_a_password_file_that_is_not_there_is_an_error_at_the_start():
    done = subprocess.run([ws_emit_program(), "--redis-password-file", "/nonexistent"], capture_output=True, text=True)
    assert done.returncode == 64
    assert done.stderr == "ws-emit: --redis: the file with the password of Redis: /nonexistent: No such file or directory\n"


def test_the_limit_is_read_and_raised_as_written(own_redis):
    assert "pubsub" in run(own_redis, COMMANDS[3])
    run(own_redis, COMMANDS[4])
    assert "pubsub 134217728 33554432 60" in own_redis.client.config_get("client-output-buffer-limit").popitem()[1]
