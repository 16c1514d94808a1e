"""A cluster: messages come through any living node, secrets from the node that has their slot."""
import json

import pytest

from support.clients import RawClient
from support.redis_servers import Certificates, Cluster
from support.subspy import subspy  # noqa: F401: a fixture
from support.waiting import eventually

pytestmark = pytest.mark.ours


@pytest.fixture
def cluster(request):
    def made(*options, **kwargs):
        group = Cluster(*options, **kwargs)
        request.addfinalizer(group.close)
        return group
    return made


def message(room, data):
    return json.dumps({"method": "emit", "event": "x", "data": [data], "binary": False, "namespace": "/", "room": room,
                       "skip_sid": None, "callback": None, "host_id": "test"})


def home(cluster):
    """The one node that ws-emit is subscribed at."""
    return eventually(lambda: len(cluster.subscribed()) == 1 and cluster.subscribed()[0], "ws-emit subscribes")


@pytest.mark.parametrize("scheme", ["redis+cluster", "redis"])
def test_every_node_reaches_the_browser_and_every_slot_is_read(cluster, start_bridge, closing, scheme):
    group = cluster()
    # A single node's plain URL works too, as long as that node lives.
    url = f"redis://127.0.0.1:{group.nodes[0].port}" if scheme == "redis" else group.url
    bridge = start_bridge(None, redis_url=url)
    home(group)
    client = closing(RawClient(bridge))
    client.join("r")
    for number, node in enumerate(group.nodes):
        node.client.publish("flask-socketio", message("r", number))
        assert client.receive_event() == ["x", number]
    holders = {group.set(f"ws-emit::room_secret::{space}", "S3cret").port for space in "abcdefgh"}
    assert len(holders) == 3, "the spaces lie on all nodes"
    for space in "abcdefgh":
        assert client.join(f"{space}::x", secret="S3cret") == [{"ok": True}]
        assert client.join(f"{space}::y", secret="wrong") != [{"ok": True}]


def test_the_next_node_is_taken_when_one_dies(cluster, start_bridge, closing):
    group = cluster("--cluster-require-full-coverage", "no")
    bridge = start_bridge(None, redis_url=group.url)
    client = closing(RawClient(bridge))
    client.join("r")
    for number in range(2):
        node = home(group)
        other = next(n for n in group.nodes if n is not node and n.running.process.poll() is None)
        node.kill()
        assert home(group) is not node
        other.client.publish("flask-socketio", message("r", number))
        assert client.receive_event() == ["x", number]


def test_one_seed_is_enough_to_outlive_it(cluster, start_bridge):
    group = cluster()
    seed = group.nodes[0]
    seed.client.config_resetstat()
    start_bridge(None, redis_url=f"redis+cluster://127.0.0.1:{seed.port}")
    eventually(lambda: seed.subscribers() == 1, "ws-emit subscribes at the seed")
    # The nodes are asked for once the connection stands.
    eventually(lambda: any("cluster" in name for name in seed.client.info("commandstats")), "nodes asked")
    seed.kill()
    assert home(group) is not seed


def test_a_replica_takes_over_a_slot_and_its_secrets(cluster, start_bridge, closing):
    group = cluster(replicas=1)
    bridge = start_bridge(None, redis_url=group.url)
    subscribed_at = home(group)
    client = closing(RawClient(bridge))
    space, holder = next((space, node) for space in "abcdefgh" if (
        node := group.set(f"ws-emit::room_secret::{space}", "S3cret")) is not subscribed_at)
    assert client.join(f"{space}::x", secret="S3cret") == [{"ok": True}]
    eventually(lambda: holder.client.execute_command("WAIT", 1, 1000) == 1, "the replica has the secret")
    holder.kill()
    eventually(lambda: client.join(f"{space}::y", secret="S3cret") == [{"ok": True}], "the replica is asked")


def test_a_slot_on_its_way_is_asked_for_where_it_goes(cluster, start_bridge, closing):
    group = cluster()
    bridge = start_bridge(None, redis_url=group.url)
    home(group)
    source = group.set("ws-emit::room_secret::a", "old")
    target = next(node for node in group.nodes if node is not source)
    names = {node: node.client.execute_command("CLUSTER", "MYID").decode() for node in (source, target)}
    slot = source.client.execute_command("CLUSTER", "KEYSLOT", "ws-emit::room_secret::a")
    target.client.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source])
    source.client.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target])
    source.client.execute_command("MIGRATE", "127.0.0.1", target.port, "ws-emit::room_secret::a", 0, 5000)
    client = closing(RawClient(bridge))
    assert client.join("a::x", secret="old") == [{"ok": True}]


def test_tls_in_a_cluster(cluster, start_bridge, closing, tmp_path):
    certificates = Certificates(tmp_path)
    group = cluster("--tls-auth-clients", "no", tls=(*certificates.signed("server"), certificates.ca))
    url = group.url.replace("redis+", "rediss+") + f"?ssl_ca_certs={certificates.ca}"
    bridge = start_bridge(None, redis_url=url)
    home(group)
    client = closing(RawClient(bridge))
    for space in "abcdefgh":
        group.set(f"ws-emit::room_secret::{space}", "S3cret")
        assert client.join(f"{space}::x", secret="S3cret") == [{"ok": True}]


def test_subspy_sees_every_node(subspy, cluster):
    group = cluster()
    spy = subspy("--redis", group.url, "--count", "3", "--raw")
    home(group)
    for node in group.nodes:
        node.client.publish("flask-socketio", message("r", 1))
    assert spy.code() == 0
