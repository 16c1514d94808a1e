"""Redis from 5 on and Valkey: ws-emit and subspy work with each of these servers as with Debian's.

Only Debian's has TLS, which test_redis_tls.py, test_redis_sentinel.py and test_redis_cluster.py use; it has its sentinels and
clusters there too."""
import json
import signal
import subprocess

import pytest

from support.clients import RawClient, http_request
from support.processes import ROOT, RedisServer, redis_program, ws_emit_program
from support.redis_servers import Cluster, Sentinels, Server
from support.subspy import listening, subspy  # noqa: F401: a fixture
from support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.ours
QUICK = ("--canary-interval", "0.1", "--canary-limit", "1")
OTHERS = ["5.0", "6.2", "8.2", "valkey-9.1"]
USER = ["ws-emit", "on", ">p@ss", "resetchannels", "&flask-socketio", "~ws-emit::*", "+@pubsub", "+get", "+ping", "+select",
        "+info", "+client", "+config", "+role"]


class Release:
    """A server program and what its release can do."""

    def __init__(self, name):
        self.name = name
        if name == "debian":
            self.program = redis_program()
        else:
            made = subprocess.run([ROOT / "scripts/redis-server", name], capture_output=True, text=True)
            assert made.returncode == 0, made.stderr
            self.program = made.stdout.strip()
        self.scheme = "valkey" if name.startswith("valkey") else "redis"
        self.has_users = name != "5.0"
        self.counts_kills = name not in ("5.0", "6.2")


@pytest.fixture(scope="module", params=["debian", *OTHERS])
def release(request):
    return Release(request.param)


@pytest.fixture(scope="module", params=OTHERS)
def other_release(request):
    return Release(request.param)


@pytest.fixture
def server(release):
    server = RedisServer(program=release.program).start()
    yield server
    server.close()


def message(room, data):
    return json.dumps({"method": "emit", "event": "x", "data": [data], "binary": False, "namespace": "/", "room": room,
                       "skip_sid": None, "callback": None, "host_id": "test"})


def works(bridge, server, closing):
    """Checks readiness, delivery, a room-space, and that other subscribers receive an HTTP emit."""
    bridge.admin.wait_until_ready()
    assert bridge.admin.readiness()[1]["canary"]["round_trip_seconds"] > 0
    server.client.set("ws-emit::room_secret::dir", "S3cret")
    client = closing(RawClient(bridge))
    assert client.join("r") == [{"ok": True}]
    assert client.join("dir::x", secret="S3cret") == [{"ok": True}]
    assert client.join("dir::y", secret="wrong") != [{"ok": True}]
    with server.client.pubsub(ignore_subscribe_messages=True) as ear:
        ear.subscribe("flask-socketio")
        assert eventually(lambda: ear.get_message(timeout=1) is None and ear.subscribed, "the ear is subscribed")
        server.client.publish("flask-socketio", message("r", "from Redis"))
        assert client.receive_event() == ["x", "from Redis"]
        body = json.dumps({"event": "x", "room": "r", "data": "from HTTP", "secret": "123"})
        assert http_request(bridge, "POST", "/emit", body, {"Content-Type": "application/json"}).status == 200
        assert client.receive_event() == ["x", "from HTTP"]
        eventually(lambda: b"from HTTP" in ((ear.get_message(timeout=1) or {}).get("data") or b""), "it is published")


def test_messages_and_secrets_come_and_emits_go(release, server, start_bridge, closing):
    url = f"{release.scheme}://127.0.0.1:{server.port}/0"
    works(start_bridge(None, *QUICK, redis_url=url, admin=True), server, closing)


def test_a_unix_socket_works_as_well(release, start_bridge, closing, tmp_path):
    server = Server("--unixsocket", tmp_path / "redis.sock", program=release.program).start()
    try:
        works(start_bridge(None, *QUICK, redis_url=f"unix://{tmp_path}/redis.sock", admin=True), server, closing)
    finally:
        server.close()


@pytest.fixture
def locked_server(release):
    """Asks for a login: that of a user, or on Redis 5, which has none, the password alone."""
    server = Server("--requirepass", "p@ss", program=release.program).start(password="p@ss")
    if release.has_users:
        server.client.execute_command("ACL", "SETUSER", *USER)
    yield server
    server.close()


def test_a_user_is_logged_in_and_where_there_are_none_the_password_counts(
        release, locked_server, start_bridge, closing):
    """As redis-py does with the same URLs."""
    for login in ("ws-emit:p%40ss", ":p%40ss"):
        url = f"redis://{login}@127.0.0.1:{locked_server.port}/0"
        works(start_bridge(None, *QUICK, redis_url=url, admin=True), locked_server, closing)
    refused = start_bridge(None, redis_url=f"redis://ws-emit:wrong@127.0.0.1:{locked_server.port}/0")
    line = refused.running.wait_for_line("Redis refused AUTH")
    assert "check the user and password" in line and "number of arguments" not in line


def losses(bridge):
    return [gap["cause"] for gap in bridge.admin.readiness()[1]["gaps"]]


def test_a_loss_is_told_with_its_cause(release, server, start_bridge):
    server.client.config_set("client-output-buffer-limit", "pubsub 1mb 0 0")
    bridge = start_bridge(server, *QUICK, "--verbose", admin=True)
    bridge.admin.wait_until_ready()
    causes = []
    def is_told(cause):
        # The server is asked for it once it is back.
        causes.append(cause)
        eventually(lambda: losses(bridge) == causes, f"the causes of the losses are {causes}")
        eventually(lambda: server.subscribers() == 1, "ws-emit subscribes again")
    def questions():
        # The counts must be known before they can grow.
        return server.client.info("commandstats")["cmdstat_info"]["calls"]
    asked = questions()
    eventually(lambda: questions() > asked, "INFO is asked for")
    server.client.client_kill_filter(_type="pubsub")
    is_told("killed" if release.counts_kills else "closed")
    if not release.counts_kills:
        # It can't tell what it was, so both are named.
        line = bridge.running.wait_for_line("The subscription was lost")
        assert "warning" in line and "CLIENT KILL" in line and "client-output-buffer-limit pubsub 1mb 0 0" in line, line
    bridge.running.send_signal(signal.SIGSTOP)
    # Small messages: Valkey 9 counts little of large ones. The kernel's buffers take some megabytes of them.
    payloads = [message("nobody", "x" * 4000)] * 250
    while server.subscribers() == 1:
        with server.client.pipeline(transaction=False) as pipeline:
            for payload in payloads:
                pipeline.publish("flask-socketio", payload)
            pipeline.execute()
    bridge.running.send_signal(signal.SIGCONT)
    is_told("output_buffer_full")
    line = bridge.running.wait_for_line("too much output waited for it")
    assert "client-output-buffer-limit pubsub 1mb 0 0" in line and "CONFIG SET client-output-buffer-limit" in line, line
    server.kill()
    server.start()
    is_told("restarted")
    assert bridge.admin.metric("ws_emit_subscription_gaps_total", cause="output_buffer_full") == 1


def test_explain_asks_it(release, server, start_bridge, closing):
    bridge = start_bridge(server, *QUICK, admin=True)
    bridge.admin.wait_until_ready()
    client = closing(RawClient(bridge))
    client.join("time")
    running = subprocess.Popen(
        [ws_emit_program(), "explain", "--room", "time", "--redis", server.url, "--admin-address",
         f"127.0.0.1:{bridge.admin.port}", "--listen", "1"], stdout=subprocess.PIPE, text=True)
    eventually(lambda: server.client.publish("socketio", message("time", 1)) > 0, "explain listens")
    said = running.communicate(timeout=PATIENCE)[0]
    assert running.returncode == 1 and "seen on socketio, but ws-emit listens to flask-socketio" in said, said
    assert "unreachable" not in said


def test_subspy_sniffs_and_records(release, server, subspy, tmp_path):
    file = tmp_path / "recording"
    spies = [subspy("--raw", "--count", "1", redis=server), subspy("record", file, "--count", "1", redis=server)]
    listening(server, spies[1], count=2)
    server.client.publish("flask-socketio", message("r", "sniffed"))
    assert "sniffed" in spies[0].line() and spies[0].code() == 0
    assert spies[1].code() == 0, spies[1].error
    assert b"sniffed" in file.read_bytes()


def test_its_sentinels_are_asked_and_followed(other_release, start_bridge, closing):
    group = Sentinels(program=other_release.program)
    try:
        bridge = start_bridge(None, redis_url=group.url(scheme=f"{other_release.scheme}+sentinel"))
        eventually(lambda: group.master.subscribers() == 1, "ws-emit subscribes")
        client = closing(RawClient(bridge))
        client.join("r")
        new, _ = group.fail_over()
        eventually(lambda: new.subscribers() == 1, "ws-emit subscribes at the new master")
        new.client.publish("flask-socketio", message("r", 1))
        assert client.receive_event() == ["x", 1]
    finally:
        group.close()


def test_a_demoted_master_of_redis_5_is_not_heard_as_well(start_bridge, closing):
    """Its sentinels leave it its subscribers, and as a replica it passes on what the new master publishes."""
    group = Sentinels(program=Release("5.0").program)
    try:
        bridge = start_bridge(None, redis_url=group.url())
        eventually(lambda: group.master.subscribers() == 1, "ws-emit subscribes")
        client = closing(RawClient(bridge))
        client.join("r")
        new, old = group.fail_over()
        eventually(lambda: new.subscribers() == 1, "ws-emit subscribes at the new master")
        old.client.publish("flask-socketio", message("r", "an emitter stays at the old one"))
        assert client.receive_event() == ["x", "an emitter stays at the old one"]
        eventually(lambda: old.client.info("replication").get("master_link_status") == "up", "the old master is a replica")
        for number in range(3):
            new.client.publish("flask-socketio", message("r", number))
        assert [client.receive_event()[1] for _ in range(3)] == [0, 1, 2]
        assert old.subscribers() == 0
    finally:
        group.close()


def test_its_cluster_brings_all_messages_and_secrets(other_release, start_bridge, closing):
    group = Cluster(program=other_release.program)
    try:
        bridge = start_bridge(None, redis_url=group.url.replace("redis+", f"{other_release.scheme}+"))
        eventually(group.subscribed, "ws-emit subscribes")
        client = closing(RawClient(bridge))
        client.join("r")
        for number, node in enumerate(group.nodes):
            node.client.publish("flask-socketio", message("r", number))
            assert client.receive_event() == ["x", number]
        assert len({group.set(f"ws-emit::room_secret::{space}", "S3cret").port for space in "abcdefgh"}) == 3
        for space in "abcdefgh":
            assert client.join(f"{space}::x", secret="S3cret") == [{"ok": True}]
    finally:
        group.close()


def test_kept_messages_are_stored_and_taken_over(server, start_bridge, closing):
    keep = ("--keep", "r", *QUICK)
    first, second = start_bridge(server, *keep), start_bridge(server, *keep)
    server.client.publish("flask-socketio", message("r", 1))
    lease = "{ws-emit:kept:flask-socketio}:writer"
    eventually(lambda: server.client.hlen("{ws-emit:kept:flask-socketio}") == 1, "the value is stored")
    before = server.client.get(lease)
    for bridge in (first, second):
        bridge.running.stop(signal.SIGKILL)
        server.client.publish("flask-socketio", message("r", 2))
        fresh = start_bridge(server, *keep)
        client = closing(RawClient(fresh))
        assert client.join("r")[0]["ok"] and client.receive_event()[0] == "x"
    eventually(lambda: server.client.get(lease) not in (None, before), "another server writes")
