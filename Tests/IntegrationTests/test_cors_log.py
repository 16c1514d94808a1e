"""A page from an origin that isn't allowed sees only a 400: the log says which, and how to allow it."""
import pytest
import websocket

from support.clients import http_request
from support.waiting import PATIENCE

pytestmark = pytest.mark.ours
POLL = "/socket.io/?EIO=4&transport=polling"


def refused(bridge, origin):
    assert http_request(bridge, "GET", POLL, headers={"Origin": origin}).status == 400


def lines_about(bridge, text):
    return [line for line in bridge.running.lines if text in line]


def test_a_page_of_127_0_0_1_where_localhost_is_allowed(start_bridge, page_server, page):
    """The usual mistake, in a browser; what the log says is then followed to the letter."""
    port = page_server.origin.rsplit(":", 1)[1]
    bridge = start_bridge(None, "--redis", "none", origins=[f"http://localhost:{port}", "https://shop.example"])
    page.open(bridge.url, reconnectionDelay=50)
    assert page.next()[1] == "connect_error"
    line = bridge.running.wait_for_line(f"the Origin {page_server.origin} is refused")
    assert line.endswith(
        f"if that page or app is yours, allow it with --cors http://localhost:{port} https://shop.example {page_server.origin}"
        f' or CORS="http://localhost:{port} https://shop.example {page_server.origin}"'
        " (127.0.0.1 and localhost are different origins, though the same machine); logged once a minute")

    option = line.split("allow it with --cors ")[1].split(" or CORS=")[0]
    bridge.stop()
    follower = start_bridge(None, "--redis", "none", origins=option.split(" "), port=bridge.port)
    while page.next()[1] != "connect":
        pass
    variable = line.split(' or CORS="')[1].split('"')[0]
    follower.stop()
    again = start_bridge(None, "--redis", "none", env={"CORS": variable}, port=bridge.port)
    while page.next()[1] != "connect":
        pass
    assert not lines_about(again, "is refused")


def test_each_origin_is_named_once_however_often_and_by_whatever_way_it_comes(start_bridge):
    bridge = start_bridge(None, "--redis", "none", "--threads", "4", origins=["http://localhost:7788"])
    for _ in range(40):
        refused(bridge, "http://one.example")
    with pytest.raises(websocket.WebSocketBadStatusException):
        websocket.create_connection(bridge.websocket_url(), timeout=PATIENCE, origin="http://two.example")
    for origin in ("http://one.example", "http://two.example"):
        bridge.running.wait_for_line(f"the Origin {origin} is refused")
    bridge.stop()
    assert len(lines_about(bridge, "is refused")) == 2
    assert "origins_refused=41" in bridge.running.output


def test_an_origin_can_not_write_into_the_log_or_a_shell(start_bridge):
    bridge = start_bridge(None, "--redis", "none", origins=["http://localhost:7788"])
    for origin in ("http://a;reboot", "$(reboot)", "x" * 4000, "http://a\tb", "http://é"):
        refused(bridge, origin.encode())
    refused(bridge, "http://\x1b[2Ja")  # by the HTTP parser already: control characters make no header
    bridge.stop()
    lines = lines_about(bridge, "is refused")
    assert len(lines) == 5 and not any("--cors" in line for line in lines)
    assert all(line.isascii() or "…" in line for line in lines) and all(len(line) < 400 for line in lines)


@pytest.mark.parametrize("origin", ["file://", "wss://ws.example:443", "null", "http://ws.example:80"])
def test_the_option_shown_lets_an_app_in(start_bridge, origin):
    bridge = start_bridge(None, "--redis", "none", origins=["http://localhost:7788"])
    refused(bridge, origin)
    line = bridge.running.wait_for_line(f"the Origin {origin} is refused")
    assert "send no Origin" in line
    bridge.stop()
    follower = start_bridge(None, "--redis", "none", origins=line.split(" with --cors ")[1].split(" or CORS=")[0].split(" "))
    assert http_request(follower, "GET", POLL, headers={"Origin": origin}).status == 200
    assert not lines_about(follower, "no browser") or origin == "http://ws.example:80"


def test_many_origins_fill_neither_the_log_nor_memory(start_bridge):
    bridge = start_bridge(None, "--redis", "none", origins=["http://localhost:7788"])
    for number in range(100):
        refused(bridge, f"http://host-{number}.example")
    bridge.running.wait_for_line("others are only counted")
    bridge.stop()
    assert len(lines_about(bridge, "is refused")) == 64
    assert "refused_origins_unnamed=36" in bridge.running.output
