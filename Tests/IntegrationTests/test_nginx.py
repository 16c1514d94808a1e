"""contrib/nginx/ws-emit.conf in Debian's nginx, with a certificate of the test's own, before a real browser."""
import getpass
import http.server
import re
import socket
import ssl
import subprocess
import threading

import pytest

from support.browser import Browser
from support.debian import Debian, built_package, documented_commands, documented_sections
from support.processes import ROOT, Bridge, Running, command
from support.waiting import PATIENCE, eventually, free_port
from test_browser import WAYS

pytestmark = pytest.mark.ours
NAME = "ws.example.org"
CONFIGURATION = (ROOT / "contrib/nginx/ws-emit.conf").read_text()


def replaced(text, old, new, count):
    assert text.count(old) == count, f"{old!r} is not {count} times in the configuration"
    return text.replace(old, str(new))


class Nginx:
    """One nginx with the configuration of contrib/, its ports and files replaced by the test's, before a server on a port."""

    def __init__(self, folder, upstream):
        self.http, self.https = free_port(), free_port()
        self.certificate, key = folder / "fullchain.pem", folder / "privkey.pem"
        subprocess.run([command("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", key, "-out", self.certificate],
                       check=True, capture_output=True)
        site = replaced(CONFIGURATION, "127.0.0.1:8899;", f"127.0.0.1:{upstream};", 1)
        for old, new in (("80;", self.http), ("443 ssl;", f"{self.https} ssl")):
            site = replaced(site, f"    listen {old}", f"    listen 127.0.0.1:{new}".rstrip(";") + ";", 1)
            site = replaced(site, f"    listen [::]:{old}\n", "", 1)
        site = replaced(site, "/etc/ssl/ws-emit/fullchain.pem", self.certificate, 1)
        site = replaced(site, "/etc/ssl/ws-emit/privkey.pem", key, 1)
        (folder / "site.conf").write_text(site)
        (folder / "nginx.conf").write_text(
            # Its workers write into the test's folder, which is nobody else's.
            f"user {getpass.getuser()};\ndaemon off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n"
            + "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            + f"include {folder}/site.conf;\n}}\n")
        self.running = Running([command("nginx"), "-p", folder, "-c", folder / "nginx.conf"])
        eventually(lambda: socket.create_connection(("127.0.0.1", self.https), PATIENCE).close() is None, "nginx accepts")

    @property
    def url(self):
        return f"https://{NAME}:{self.https}"

    def key_hash(self):
        """Of the certificate's public key, as Chromium's --ignore-certificate-errors-spki-list takes it."""
        script = ("openssl x509 -in \"$1\" -pubkey -noout | openssl pkey -pubin -outform der |"
                  " openssl dgst -sha256 -binary | base64")
        return subprocess.run(["sh", "-c", script, "_", self.certificate], check=True, capture_output=True, text=True
                              ).stdout.strip()

    def request(self, path, tls=True, headers=()):
        """Status and head of the answer to a GET, over a connection that trusts the certificate and nothing else."""
        with self.connection(tls) as stream:
            lines = [f"GET {path} HTTP/1.1", f"Host: {NAME}", "Connection: close", *headers]
            stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            answer = b""
            while part := stream.recv(65536):
                answer += part
        return answer.decode()

    def connection(self, tls=True):
        context = ssl.create_default_context(cafile=self.certificate)
        connection = socket.create_connection(("127.0.0.1", self.https if tls else self.http), PATIENCE)
        return context.wrap_socket(connection, server_hostname=NAME) if tls else connection

    def close(self):
        self.running.stop()


@pytest.fixture(scope="module")
def nginx(bridge, tmp_path_factory):
    server = Nginx(tmp_path_factory.mktemp("nginx"), bridge.port)
    yield server
    server.close()


@pytest.fixture(scope="module")
def trusting_browser(nginx):
    """Chromium that finds the server under its name and trusts its certificate, for which it is nobody else's."""
    browser = Browser(f"--host-resolver-rules=MAP {NAME} 127.0.0.1",
                      f"--ignore-certificate-errors-spki-list={nginx.key_hash()}")
    yield browser
    browser.close()


@pytest.fixture
def secure_page(trusting_browser, page_server):
    return trusting_browser.load(page_server.origin + "/")


def connect(page, url, **options):
    page.open(url, **options)
    awaited = {"connect"} | ({"upgrade"} if "transports" not in options else set())
    while awaited:
        _, kind, *rest = page.next()
        assert kind in awaited, (kind, rest)
        awaited.remove(kind)


@pytest.mark.parametrize("way", WAYS)
def test_a_browser_receives_what_an_emitter_sends(nginx, secure_page, some_emitter, room, way):
    connect(secure_page, nginx.url, **WAYS[way])
    assert secure_page.join(room) == [{"ok": True}]
    assert secure_page.transport() == ("polling" if way == "polling only" else "websocket")
    for number in range(3):  # each is awaited: none waits in a buffer for the next
        some_emitter.emit("update", {"time": number, "bytes": b"\x00"}, room=room)
        assert secure_page.next() == [0, "event", "update", {"time": number, "bytes": {"bytes": [0]}}]


def test_a_browser_without_trust_in_the_certificate_is_refused(nginx, page):
    page.open(f"https://127.0.0.1:{nginx.https}", transports=["websocket"], reconnection=False)
    assert page.next()[1] == "connect_error"


def test_a_large_message_passes_both_ways(nginx, secure_page, some_emitter, room):
    connect(secure_page, nginx.url, transports=["polling"])
    assert secure_page.join(room, padding="x" * 900_000) == [{"ok": True}]
    some_emitter.emit("update", "y" * 900_000, room=room)
    assert len(secure_page.next()[3]) == 900_000


def test_clients_come_back_when_ws_emit_restarts(tmp_path, redis_server, page_server):
    port = free_port()
    first = Bridge(redis_server, origins=[page_server.origin], port=port)
    own = Nginx(tmp_path, port)
    try:
        browser = Browser(f"--host-resolver-rules=MAP {NAME} 127.0.0.1",
                          f"--ignore-certificate-errors-spki-list={own.key_hash()}")
        try:
            page = browser.load(page_server.origin + "/")
            connect(page, own.url)
            first.stop()
            second = Bridge(redis_server, origins=[page_server.origin], port=port)
            try:
                assert page.next()[1] == "disconnect"
                kinds = iter(lambda: page.next()[1], "connect")
                assert set(kinds) <= {"connect_error"}
            finally:
                second.stop()
        finally:
            browser.close()
    finally:
        own.close()
        first.stop()


def test_timeouts_are_longer_than_a_healthy_client_is_silent(nginx):
    handshake = nginx.request("/socket.io/?EIO=4&transport=polling")
    interval, timeout = (int(re.search(rf'"{name}":(\d+)', handshake)[1]) for name in ("pingInterval", "pingTimeout"))
    limits = [int(seconds) for seconds in re.findall(r"proxy_(?:read|send)_timeout (\d+)s;", CONFIGURATION)]
    assert len(limits) == 2 and min(limits) * 1000 > interval + timeout


@pytest.mark.parametrize("path, headers", [
    ("/socket.io/?EIO=4&transport=websocket", ["Upgrade: websocket", "Origin: http://evil.example"]),
    ("/socket.io/?EIO=3&transport=websocket", ["Upgrade: websocket"]), ("/socket.io/?EIO=4&transport=polling", ["Upgrade: h2c"])])
def test_an_upgrade_that_is_refused_one_client_costs_the_others_nothing(nginx, path, headers):
    """The connections behind nginx are kept, so the next request on one is somebody else's."""
    for _ in range(5):
        assert re.match(r"HTTP/1\.1 [24]00 ", nginx.request(path, headers=headers))
        assert '0{"sid":' in nginx.request("/socket.io/?EIO=4&transport=polling")


def test_the_path_may_come_without_its_last_slash(nginx):
    assert '0{"sid":' in nginx.request("/socket.io?EIO=4&transport=polling")
    key = ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    with nginx.connection() as stream:
        stream.sendall("\r\n".join(["GET /socket.io?EIO=4&transport=websocket HTTP/1.1", f"Host: {NAME}", "Connection: Upgrade",
                                    *key, "", ""]).encode())
        assert stream.recv(65536).startswith(b"HTTP/1.1 101 ")
    assert nginx.request("/socket.iox").startswith("HTTP/1.1 404")


def test_plain_http_is_sent_to_https_and_emit_stays_inside(nginx):
    assert re.match(r"HTTP/1\.1 301 .*\r\nLocation: https://ws\.example\.org/socket\.io/\?EIO=4\r\n",
                    nginx.request("/socket.io/?EIO=4", tls=False), re.DOTALL)
    for path in ("/emit", "/", "/elsewhere"):
        assert nginx.request(path).startswith("HTTP/1.1 404")


def test_the_server_behind_learns_who_asks(tmp_path):
    seen = []
    class Upstream(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    nginx = Nginx(tmp_path, server.server_port)
    try:
        nginx.request("/socket.io/", headers=["Origin: https://www.example.org"])
    finally:
        nginx.close()
        server.shutdown()
        server.server_close()
    headers, = seen
    assert {name: headers[name] for name in ("Host", "Origin", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")} == {
        "Host": NAME, "Origin": "https://www.example.org", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": NAME}
    assert "Upgrade" not in headers


@pytest.mark.timeout(1800)
def test_the_commands_of_the_documentation():
    """docs/nginx.md, command by command, on a Debian with the package."""
    assert documented_sections("nginx.md") == ["Set it up", "Try it"]
    built_package()
    with Debian() as machine:
        machine.run("apt-get install -y ./dist/ws-emit_*.deb")
        for block in documented_commands("nginx.md", "Set it up"):
            machine.run(block)
        tried, = documented_commands("nginx.md", "Try it")
        # A reload of nginx is over before its new port is open.
        eventually(lambda: '0{"sid":' in machine.says(tried), "nginx answers by TLS")
        assert "ws-emit started on 127.0.0.1:8899" in machine.journal()
