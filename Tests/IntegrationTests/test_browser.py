"""The stock JavaScript client in headless Chromium, by each way it can connect."""
import pytest
import requests

WAYS = {"websocket only": {"transports": ["websocket"]}, "polling only": {"transports": ["polling"]}, "upgrade": {}}


def connect(page, bridge, path="", **options):
    """Opens a socket and waits until it is connected, and upgraded where it will be. Returns its sid."""
    expected = ["connect"] + (["upgrade"] if "transports" not in options else [])
    socket = page.open(bridge.url + path, **options)
    sid = None
    while expected:
        number, kind, *rest = page.next()
        assert number == socket and kind in expected, (kind, rest)
        expected.remove(kind)
        sid = rest[0] if kind == "connect" else sid
    return sid


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


def test_a_browser_receives_what_an_emitter_sends(page, bridge, emitter, way, room):
    connect(page, bridge, **way)
    page.join(room)
    assert page.transport() == ("polling" if way.get("transports") == ["polling"] else "websocket")
    emitter.emit("update", {"time": 1, "text": "é😀"}, room=room)
    assert page.next() == [0, "event", "update", {"time": 1, "text": "é😀"}]
    emitter.emit("pair", (1, [2]), room=room)
    assert page.next() == [0, "event", "pair", 1, [2]]
    emitter.emit("nothing", room=room)
    assert page.next() == [0, "event", "nothing"]


def test_a_browser_receives_bytes(page, bridge, emitter, way, room):
    connect(page, bridge, **way)
    page.join(room)
    emitter.emit("file", {"name": "a", "content": b"\x00\xff", "more": [b"\x01"]}, room=room)
    assert page.next() == [0, "event", "file",
                           {"name": "a", "content": {"bytes": [0, 255]}, "more": [{"bytes": [1]}]}]
    emitter.emit("empty", b"", room=room)
    assert page.next() == [0, "event", "empty", {"bytes": []}]
    emitter.emit("after", room=room)
    assert page.next() == [0, "event", "after"]


def test_a_burst_keeps_its_order(page, bridge, some_emitter, way, room):
    connect(page, bridge, **way)
    page.join(room)
    for number in range(100):
        some_emitter.emit("x", number, room=room)
    assert [page.next()[3] for _ in range(100)] == list(range(100))


def test_namespaces_share_a_connection(page, bridge, some_emitter):
    main = connect(page, bridge, transports=["websocket"])
    chat = page.run("""
        const chat = sockets[0].io.socket("/chat");
        sockets.push(chat);
        chat.on("connect", () => hear(1, "connect", chat.id));
        chat.onAny((event, ...args) => hear(1, "event", event, ...args));
        return 1""")
    number, kind, sid = page.next()
    assert (number, kind) == (chat, "connect") and sid != main
    some_emitter.emit("x", 1, namespace="/chat")
    some_emitter.emit("y", 2, room=main)
    assert page.next() == [1, "event", "x", 1]
    assert page.next() == [0, "event", "y", 2]


@pytest.mark.ours
def test_join_answers_the_page(page, bridge, redis_server, way):
    redis_server.client.set("ws-emit::room_secret::page", "S3cret")
    connect(page, bridge, **way)
    assert page.join("page-room") == [{"ok": True}]
    assert page.join("page::room", secret="S3cret") == [{"ok": True}]
    answer, = page.join("page::room", secret="bad")
    assert answer["ok"] is False and answer["error"]


def test_a_browser_answers_the_server_that_asked(page, bridge, emitter, way):
    sid = connect(page, bridge, **way)
    emitter.server("emit", "question", {"n": 1}, room=sid, callback=True)
    assert page.next() == [0, "event", "question", {"n": 1}]
    assert emitter.acknowledged() == ("from the browser", 1)


def test_a_large_event_reaches_the_browser(page, bridge, some_emitter, way, room):
    connect(page, bridge, **way)
    page.join(room)
    some_emitter.emit("x", "y" * 300_000, room=room)
    number, kind, event, text = page.next()
    assert (event, len(text)) == ("x", 300_000)


@pytest.mark.ours
def test_what_json_cannot_say_keeps_the_browser_connected(page, bridge, emitters, room):
    connect(page, bridge, transports=["websocket"])
    page.join(room)
    emitters("5.13").server("emit", "x", [1.5, None], room=room)
    assert page.next() == [0, "event", "x", [1.5, None]]
    requests.post(bridge.url + "/emit", headers={"Content-Type": "application/json"}, timeout=10,
                  data=f'{{"event":"x","room":"{room}","data":[NaN,-Infinity],"secret":"123"}}').raise_for_status()
    assert page.next() == [0, "event", "x", [None, None]]


def test_a_page_of_another_origin_is_refused(page, redis_server, start_bridge, way):
    bridge = start_bridge(redis_server, origins=["http://good.example"], subscribes=False)
    page.open(bridge.url, reconnection=False, **way)
    number, kind, message = page.next()
    assert kind == "connect_error", (kind, message)


@pytest.mark.ours
@pytest.mark.parametrize("options", [{"addTrailingSlash": False}, {"protocols": ["v2.engine.io", "x"]}], ids=["no last slash", "subprotocols"])
def test_a_page_connects_with_unusual_options(page, bridge, options, way):
    connect(page, bridge, **options, **way)
    assert page.join("any") == [{"ok": True}]


@pytest.mark.ours
def test_a_page_reads_that_its_namespace_is_refused(page, page_server, redis_server, start_bridge):
    bridge = start_bridge(redis_server, "--namespace", "/", origins=[page_server.origin], subscribes=False)
    page.open(bridge.url + "/other", reconnection=False, transports=["websocket"])
    assert page.next()[1:] == ["connect_error", "Unable to connect"]


def test_a_star_accepts_every_page(page, redis_server, start_bridge, way):
    connect(page, start_bridge(redis_server, origins=["*"], subscribes=False), **way)


def test_the_browser_comes_back_after_a_restart_of_ws_emit(page, page_server, redis_server, start_bridge, some_emitter, way):
    bridge = start_bridge(redis_server, origins=[page_server.origin])
    first = connect(page, bridge, **way)
    bridge.stop()
    number, kind, reason = page.next()
    assert kind == "disconnect", (kind, reason)
    # The same port again: the page knows no other.
    start_bridge(redis_server, origins=[page_server.origin], port=bridge.port)
    while (event := page.next())[1] != "connect":
        assert event[1] in ("connect_error", "disconnect"), event
    assert event[2] != first
    some_emitter.emit("x", room=event[2])
    while (event := page.next())[1] != "event":
        assert event[1] == "upgrade", event
    assert event == [0, "event", "x"]


def test_closing_a_page_ends_its_session(page, bridge, some_emitter, raw, way, room):
    connect(page, bridge, **way)
    page.join(room)
    page.run("sockets[0].disconnect()")
    assert page.next() == [0, "disconnect", "io client disconnect"]
    page.run("sockets[0].connect()")
    while (event := page.next())[1] != "connect":
        pass
    some_emitter.emit("x", room=room)
    some_emitter.emit("marker", room=event[2])
    while (event := page.next())[1] != "event":
        assert event[1] == "upgrade", event
    assert event == [0, "event", "marker"]
