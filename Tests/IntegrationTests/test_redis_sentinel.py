"""ws-emit follows the master that sentinels name, whatever happens to it."""
import json
import signal
import subprocess
import time

import pytest

from support.clients import RawClient
from support.processes import ws_emit_program
from support.redis_servers import Certificates, Sentinels, Server
from support.subspy import subspy  # noqa: F401: a fixture
from support.waiting import eventually, free_port

pytestmark = pytest.mark.ours


@pytest.fixture
def sentinels(request):
    def made(*options, **kwargs):
        group = Sentinels(*options, **kwargs)
        request.addfinalizer(group.close)
        return group
    return made


def message(room, data):
    return json.dumps({"method": "emit", "event": "x", "data": [data], "binary": False, "namespace": "/", "room": room,
                       "skip_sid": None, "callback": None, "host_id": "test"})


def subscribed(server):
    eventually(lambda: server.subscribers() == 1, f"ws-emit subscribes at {server.port}")


def test_a_failover_is_followed_and_the_old_master_left(sentinels, start_bridge, closing):
    group = sentinels()
    bridge = start_bridge(None, redis_url=group.url())
    client = closing(RawClient(bridge))
    client.join("r")
    master = group.master
    subscribed(master)
    master.client.set("ws-emit::room_secret::dir", "S3cret")
    assert client.join("dir::x", secret="S3cret") == [{"ok": True}]
    assert master.client.publish("flask-socketio", message("r", "before")) == 1
    assert client.receive_event() == ["x", "before"]
    new, old = group.fail_over()
    begun = time.monotonic()
    subscribed(new)
    assert time.monotonic() - begun < 5
    eventually(lambda: old.subscribers() == 0, "the old master is left")
    new.client.publish("flask-socketio", message("r", "after"))
    assert client.receive_event() == ["x", "after"]
    eventually(lambda: client.join("dir::y", secret="S3cret") == [{"ok": True}], "the new master is asked for secrets")


def test_a_killed_master_is_replaced(sentinels, start_bridge, closing):
    group = sentinels()
    bridge = start_bridge(None, redis_url=group.url())
    client = closing(RawClient(bridge))
    client.join("r")
    old = group.master
    subscribed(old)
    old.kill()
    new = next(server for server in group.servers if server is not old)
    eventually(new.is_master, "the replica is promoted")
    subscribed(new)
    new.client.publish("flask-socketio", message("r", 1))
    assert client.receive_event() == ["x", 1]


def test_a_stopped_master_is_replaced_although_its_connections_stay(sentinels, start_bridge):
    group = sentinels()
    bridge = start_bridge(None, redis_url=group.url())
    old = group.master
    subscribed(old)
    old.send_signal(signal.SIGSTOP)
    new = next(server for server in group.servers if server is not old)
    eventually(new.is_master, "the replica is promoted")
    begun = time.monotonic()
    subscribed(new)
    assert time.monotonic() - begun < 5
    old.send_signal(signal.SIGCONT)
    eventually(lambda: old.subscribers() == 0, "nobody of us is left at the old master")
    bridge.running.wait_for_line("Another master is followed")


def test_a_demoted_master_that_nobody_cut_us_off_from_is_left(sentinels, start_bridge):
    """Sentinel kills the clients of a master that it demotes; a master that it can't reach keeps them."""
    group = sentinels()
    bridge = start_bridge(None, redis_url=group.url())
    old = group.master
    subscribed(old)
    # The old master takes no orders: it neither becomes a replica nor drops its clients.
    for order in ("REPLICAOF", "SLAVEOF", "CLIENT", "EXEC"):
        old.client.execute_command("ACL", "SETUSER", "default", f"-{order.lower()}")
    new = next(server for server in group.servers if server is not old)
    group.sentinels[0].client.execute_command("SENTINEL", "FAILOVER", group.service)
    eventually(new.is_master, "the replica is promoted")
    subscribed(new)
    assert old.is_master()
    eventually(lambda: old.subscribers() == 0, "the old master, which still says it is one, is left")


def test_sentinels_that_die_are_passed_over(sentinels, start_bridge):
    group = sentinels()
    bridge = start_bridge(None, redis_url=group.url(query="?client_name=us"))
    subscribed(group.master)
    asked = lambda: [s for s in group.sentinels if s.running.process.poll() is None and b" name=us " in
                     s.client.execute_command("CLIENT", "LIST")]
    for _ in range(2):
        eventually(asked, "a sentinel is asked")
        asked()[0].kill()
    eventually(asked, "the last sentinel is asked")
    start_bridge(None, redis_url=group.url())
    master = group.master
    eventually(lambda: master.subscribers() == 2, "a sentinel that answers is found at the start too")
    asked()[0].kill()
    bridge.running.wait_for_line("No sentinel names the master, a failover would not be noticed")
    assert master.subscribers() == 2


def test_passwords_of_servers_and_of_sentinels_are_two(sentinels, start_bridge):
    group = sentinels(password="s3cret", sentinel_password="other")
    url = group.url(login=":s3cret@", query="?sentinel_password=other")
    start_bridge(None, redis_url=url)
    subscribed(group.master)
    bridge = start_bridge(None, redis_url=group.url(login=":s3cret@"))
    line = bridge.running.wait_for_line("Redis is away")
    assert "no sentinel names the master: Redis refused" in line and "s3cret" not in bridge.running.output


def test_without_a_service_every_program_names_it_as_its_channel(sentinels, start_bridge, subspy):
    group = sentinels(service="news")
    url = group.url(service="")
    bridge = start_bridge(None, "--channel", "news", redis_url=url, admin=True)
    eventually(lambda: group.master.subscribers("news") == 1, "ws-emit subscribes")
    spy = subspy("--redis", url, "--channel", "news", "--count", "1", "--raw")
    eventually(lambda: group.master.subscribers("news") == 2, "subspy subscribes")
    sent = subspy("emit", "x", "--redis", url, "--channel", "news")
    assert sent.code() == 0, sent.error
    assert spy.code() == 0, spy.error
    bridge.admin.wait_until_ready()
    told = subprocess.run([ws_emit_program(), "explain", "--room", "r", "--channel", "news", "--redis", url, "--listen", "0",
                           "--admin-address", f"127.0.0.1:{bridge.admin.port}"], capture_output=True, text=True)
    assert "[redis_unreachable]" not in told.stdout and "[other_redis]" not in told.stdout, told


def test_a_service_nobody_knows_is_told(sentinels, start_bridge):
    group = sentinels()
    bridge = start_bridge(None, redis_url=group.url(service="yourmaster"))
    assert "the sentinels know no master named yourmaster" in bridge.running.wait_for_line("Redis is away")


def test_sentinels_that_are_away_are_told_and_found_later(start_bridge):
    ports = free_port(), free_port()
    bridge = start_bridge(None, redis_url="redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port in ports) + "/0/m")
    line = bridge.running.wait_for_line("Redis is away")
    assert "no sentinel names the master: Redis can't be reached: Connection refused" in line
    master = Server().start()
    sentinel = Server(port=ports[1], configuration=f"sentinel monitor m 127.0.0.1 {master.port} 1\n").start()
    try:
        subscribed(master)
    finally:
        sentinel.close()
        master.close()


def test_tls_to_sentinels_and_master(sentinels, start_bridge, tmp_path):
    certificates = Certificates(tmp_path)
    group = sentinels("--tls-auth-clients", "no", tls=(*certificates.signed("server"), certificates.ca))
    start_bridge(None, redis_url=group.url(scheme="rediss+sentinel", query=f"?ssl_ca_certs={certificates.ca}"))
    subscribed(group.master)
    new, _ = group.fail_over()
    subscribed(new)


def test_subspy_follows_too(subspy, sentinels):
    group = sentinels()
    spy = subspy("--redis", group.url(), "--count", "1", "--raw")
    subscribed(group.master)
    new, _ = group.fail_over()
    subscribed(new)
    new.client.publish("flask-socketio", message("r", 1))
    assert spy.code() == 0
