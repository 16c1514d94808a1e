"""TLS with Redis: verified by default, and every failure says what to fix."""
import json
import pathlib
import subprocess
import urllib.parse

import pytest

from support.clients import RawClient
from support.processes import ws_emit_program
from support.redis_servers import Certificates, Server
from support.subspy import subspy  # noqa: F401: a fixture
from support.waiting import eventually

pytestmark = pytest.mark.ours


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def good(certificates):
    return certificates.signed("server")


@pytest.fixture
def start(request):
    """Starts a redis-server with TLS; ended with the test."""
    def started(certificate, ca, *options, **kwargs):
        server = Server(*options, tls=(*certificate, ca), **kwargs)
        request.addfinalizer(server.close)
        return server.start()
    return started


@pytest.fixture
def tls_server(start, good, certificates):
    return start(good, certificates.ca, "--tls-auth-clients", "no")


def url(server, query="", scheme="rediss", host="127.0.0.1"):
    return f"{scheme}://{host}:{server.port}/0{query}"


def message(room, data):
    return json.dumps({"method": "emit", "event": "x", "data": [data], "binary": False, "namespace": "/", "room": room,
                       "skip_sid": None, "callback": None, "host_id": "test"})


def delivers(server, bridge, closing, room="r"):
    """A published message arrives at a browser, and a secret is read."""
    eventually(lambda: server.subscribers() == 1, "ws-emit subscribes")
    server.client.set("ws-emit::room_secret::dir", "S3cret")
    client = closing(RawClient(bridge))
    eventually(lambda: client.join("dir::x", secret="S3cret") == [{"ok": True}], "the secret can be read")
    client.join(room)
    assert server.client.publish("flask-socketio", message(room, 1)) == 1
    return client.receive_event() == ["x", 1]


@pytest.mark.parametrize("scheme, host", [("rediss", "127.0.0.1"), ("valkeys", "localhost")])
def test_messages_and_secrets_come_encrypted(tls_server, certificates, start_bridge, closing, scheme, host):
    bridge = start_bridge(None, redis_url=url(tls_server, f"?ssl_ca_certs={certificates.ca}", scheme, host))
    assert delivers(tls_server, bridge, closing)


def test_the_CA_may_stand_in_the_URL(tls_server, certificates, start_bridge, closing, good):
    authority = pathlib.Path(certificates.ca).read_text()
    bridge = start_bridge(None, redis_url=url(tls_server, f"?ssl_ca_data={urllib.parse.quote(authority)}"))
    assert delivers(tls_server, bridge, closing)
    done = subprocess.run([ws_emit_program(), "--redis", url(tls_server, "?ssl_ca_data=none")], capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == 64 and "ssl_ca_data of the Redis URL holds no certificate" in done.stderr


def test_a_client_certificate_is_shown(start, good, certificates, start_bridge, closing):
    server = start(good, certificates.ca, "--tls-auth-clients", "yes")
    ours, key = certificates.signed("client", password="open sesame")
    bridge = start_bridge(None, redis_url=url(server, f"?ssl_ca_certs={certificates.ca}&ssl_certfile={ours}"
                                                      f"&ssl_keyfile={key}&ssl_password=open+sesame"))
    assert delivers(server, bridge, closing)


def test_large_messages_come_through_whole(tls_server, certificates, start_bridge, closing):
    bridge = start_bridge(None, redis_url=url(tls_server, f"?ssl_ca_certs={certificates.ca}"))
    eventually(lambda: tls_server.subscribers() == 1, "ws-emit subscribes")
    client = closing(RawClient(bridge))
    client.join("r")
    for size in (1, 16_384, 400_000):
        tls_server.client.publish("flask-socketio", message("r", "x" * size))
        assert client.receive_event() == ["x", "x" * size]


def refusals(certificates, good):
    expired = certificates.signed("expired", days=-1)
    other_host = certificates.signed("other-host", names="DNS:redis.example")
    ca = f"?ssl_ca_certs={certificates.ca}"
    return {
        "expired": (expired, ca, "it expired on 20"),
        "unknown CA": (good, f"?ssl_ca_certs={certificates.other_ca}", "no trusted CA has signed it; name the file of its CA"),
        "system's CAs": (good, "", "no trusted CA has signed it"),
        "other host": (other_host, ca, "does not name 127.0.0.1"),
        "other server name": (other_host, ca + "&ssl_server_name=example.redis", "does not name example.redis"),
    }


@pytest.mark.parametrize("case", ["expired", "unknown CA", "system's CAs", "other host", "other server name"])
def test_a_certificate_that_does_not_verify_is_refused_with_the_reason(
        case, start, good, certificates, start_bridge):
    certificate, query, sentence = refusals(certificates, good)[case]
    server = start(certificate, certificates.ca, "--tls-auth-clients", "no")
    bridge = start_bridge(None, redis_url=url(server, query))
    line = bridge.running.wait_for_line("TLS with Redis failed")
    assert sentence in line, line


@pytest.mark.parametrize("query", ["ssl_cert_reqs=none", "ssl_ca_certs={ca}&ssl_check_hostname=false",
                                   "ssl_ca_certs={ca}&ssl_server_name=redis.example"])
def test_verification_can_be_loosened_by_name(query, start, certificates, start_bridge):
    example = certificates.signed("example", names="DNS:redis.example")
    server = start(example, certificates.ca, "--tls-auth-clients", "no")
    bridge = start_bridge(None, redis_url=url(server, "?" + query.format(ca=certificates.ca)))
    bridge.running.wait_for_line("Connected to Redis")


def test_no_client_certificate_where_one_is_wanted(start, good, certificates, start_bridge):
    server = start(good, certificates.ca, "--tls-auth-clients", "yes")
    bridge = start_bridge(None, redis_url=url(server, f"?ssl_ca_certs={certificates.ca}"))
    assert "name one with ssl_certfile and ssl_keyfile" in bridge.running.wait_for_line("TLS with Redis failed")


def test_a_client_certificate_of_a_stranger(start, good, certificates, start_bridge):
    server = start(good, certificates.ca, "--tls-auth-clients", "yes")
    ours, key = certificates.signed("stranger", ca="other-ca")
    bridge = start_bridge(None, redis_url=url(
        server, f"?ssl_ca_certs={certificates.ca}&ssl_certfile={ours}&ssl_keyfile={key}"))
    assert "does not accept our certificate" in bridge.running.wait_for_line("TLS with Redis failed")


def test_a_plain_server_behind_rediss(own_redis, start_bridge):
    bridge = start_bridge(None, redis_url=f"rediss://127.0.0.1:{own_redis.port}/0?socket_connect_timeout=2")
    line = bridge.running.wait_for_line("TLS with Redis failed")
    assert "redis://" in line or "TLS port" in line, line


def test_a_tls_server_behind_redis(tls_server, start_bridge):
    bridge = start_bridge(None, redis_url=url(tls_server, scheme="redis"))
    assert "write rediss:// instead of redis://" in bridge.running.wait_for_line("Redis is away")


def test_a_renewed_certificate_is_used_without_a_restart(start, good, certificates, start_bridge, tmp_path, closing):
    server = start(good, certificates.ca, "--tls-auth-clients", "no")
    trusted = tmp_path / "ca.pem"
    trusted.write_bytes(certificates.other_ca.read_bytes())
    bridge = start_bridge(None, redis_url=url(server, f"?ssl_ca_certs={trusted}"))
    bridge.running.wait_for_line("no trusted CA has signed it")
    trusted.write_bytes(certificates.ca.read_bytes())
    assert delivers(server, bridge, closing)


@pytest.mark.parametrize("query, sentence", [
    ("ssl_ca_certs=/nonexistent", "the option ssl_ca_certs of the Redis URL: /nonexistent: No such file or directory"),
    ("ssl_ca_certs={key}", "it holds no certificate in PEM"),
    ("ssl_certfile={certificate}&ssl_keyfile={certificate}", "it holds no key in PEM that opens with ssl_password"),
    ("ssl_certfile={certificate}&ssl_keyfile={locked}&ssl_password=wrong", "opens with ssl_password"),
    ("ssl_certfile={certificate}&ssl_keyfile={other}", "does not fit ssl_certfile"),
])
def test_a_file_that_is_no_use_is_an_error_at_the_start(query, sentence, good, certificates):
    certificate, key = good
    query = query.format(certificate=certificate, key=key, locked=certificates.signed("locked", password="right")[1],
                         other=certificates.signed("another")[1])
    done = subprocess.run([ws_emit_program(), "-a", "127.0.0.1:0", "--redis", f"rediss://h?{query}"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 64 and sentence in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_subspy_speaks_tls_too(subspy, tls_server, certificates):
    spy = subspy("--redis", url(tls_server, f"?ssl_ca_certs={certificates.ca}"), "--count", "1", "--raw")
    eventually(lambda: tls_server.subscribers() == 1, "subspy subscribes")
    tls_server.client.publish("flask-socketio", message("r", 1))
    assert spy.line() and spy.code() == 0
