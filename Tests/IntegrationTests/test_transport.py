"""Engine.IO over HTTP and websocket, request by request: CORS, handshakes, sessions, polling, upgrades, closing."""
import json
import threading

import pytest
import websocket

from support.clients import PollingClient, RawClient, http_request
from support.waiting import PATIENCE, eventually

POLL = "/socket.io/?EIO=4&transport=polling"
ALLOWED = "http://good.example"


def open_packet(answer):
    assert answer.status == 200 and answer.text.startswith("0{"), answer
    return json.loads(answer.text[1:])


# Handshakes

@pytest.mark.parametrize("headers", [{}, {"Origin": ""}])
def test_a_handshake_without_an_origin(bridge, headers):
    answer = http_request(bridge, "GET", POLL, headers=headers)
    opened = open_packet(answer)
    assert opened["upgrades"] == ["websocket"]
    assert (opened["pingInterval"], opened["pingTimeout"]) == (25000, 20000)
    assert answer.headers["Content-Type"].lower() == "text/plain; charset=utf-8"
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.ours
def test_a_handshake_announces_the_largest_payload(bridge):
    assert open_packet(http_request(bridge, "GET", POLL))["maxPayload"] == 1_000_000


def test_each_session_has_its_own_sid(bridge):
    sids = {open_packet(http_request(bridge, "GET", POLL))["sid"] for _ in range(50)}
    assert len(sids) == 50


def test_a_handshake_from_an_allowed_origin(bridge):
    answer = http_request(bridge, "GET", POLL, headers={"Origin": ALLOWED})
    open_packet(answer)
    assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


REFUSED = ["http://evil.example", "https://good.example", "http://good.example/", "http://GOOD.example", "null",
           "http://good.example.evil", "*", "http://good.example, http://evil.example"]


@pytest.mark.parametrize("origin", REFUSED)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_another_origin_is_refused(bridge, method, origin):
    answer = http_request(bridge, method, POLL, headers={"Origin": origin})
    assert answer.status == 400 and "not an accepted origin" in answer.text.lower(), answer
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_own_address_is_another_origin(bridge):
    assert http_request(bridge, "GET", POLL, headers={"Origin": bridge.url}).status == 400


def test_another_origin_is_refused_on_a_session(bridge, polling):
    client = polling()
    for method in ("GET", "POST"):
        assert client.request(method, body=b"" if method == "POST" else None,
                              headers={"Origin": "http://evil.example"}).status == 400
    assert client.join("room") is not None


def test_another_origin_is_refused_a_websocket(bridge):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        RawClient(bridge, origin="http://evil.example")
    assert refused.value.status_code == 400


def test_an_allowed_origin_gets_a_websocket(raw, room):
    assert raw(origin=ALLOWED).join(room) is not None


def test_a_preflight_from_an_allowed_origin(bridge):
    answer = http_request(bridge, "OPTIONS", POLL, headers={
        "Origin": ALLOWED, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-One, X-Two"})
    assert (answer.status, answer.body) == (200, b"OK")
    assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED
    assert answer.headers["Access-Control-Allow-Methods"] == "OPTIONS, GET, POST"
    assert answer.headers["Access-Control-Allow-Headers"] == "X-One, X-Two"
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.ours
def test_a_public_page_may_reach_a_server_in_its_users_network(bridge):
    for origin, granted in ((ALLOWED, "true"), ("http://evil.example", None), ("", None)):
        answer = http_request(bridge, "OPTIONS", POLL, headers={
            "Origin": origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Private-Network": "true"})
        assert answer.headers["Access-Control-Allow-Private-Network"] == granted


@pytest.mark.ours
@pytest.mark.parametrize("method, path, status", [
    ("PUT", POLL, 405), ("GET", "/socket.io/?EIO=3", 400), ("GET", "/elsewhere/?EIO=4&transport=polling", 404),
    ("POST", POLL + "&sid=nope", 400)])
def test_every_answer_to_a_page_can_be_read_by_it(bridge, method, path, status):
    answer = http_request(bridge, method, path, b"" if method == "POST" else None, headers={"Origin": ALLOWED})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (status, ALLOWED)
    answer = http_request(bridge, method, path, b"" if method == "POST" else None, headers={"Origin": "http://evil.example"})
    assert answer.headers["Access-Control-Allow-Origin"] is None


def test_a_preflight_without_an_origin(bridge):
    answer = http_request(bridge, "OPTIONS", POLL)
    assert (answer.status, answer.body) == (200, b"OK")
    assert answer.headers["Access-Control-Allow-Methods"] == "OPTIONS, GET, POST"
    assert "Access-Control-Allow-Origin" not in answer.headers


# Bad requests

@pytest.mark.parametrize("query", ["transport=polling", "EIO=3&transport=polling", "EIO=5&transport=polling",
                                   "EIO=&transport=polling", ""])
def test_another_protocol_version_is_refused(bridge, query):
    answer = http_request(bridge, "GET", "/socket.io/?" + query)
    assert answer.status == 400
    assert answer.text == '"The client is using an unsupported version of the Socket.IO or Engine.IO protocols"'


def test_an_unknown_transport_is_refused(bridge):
    answer = http_request(bridge, "GET", "/socket.io/?EIO=4&transport=foo")
    assert answer.status == 400 and answer.text.startswith('"Invalid transport'), answer


def test_a_websocket_without_upgrade_is_refused(bridge):
    answer = http_request(bridge, "GET", "/socket.io/?EIO=4&transport=websocket")
    assert answer.status == 400 and answer.text.startswith('"Invalid '), answer


def test_a_missing_transport_is_polling(bridge):
    open_packet(http_request(bridge, "GET", "/socket.io/?EIO=4"))


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("sid", ["nope", "A" * 20, "%22", "x" * 3000])
def test_an_unknown_session_is_refused(bridge, method, sid):
    answer = http_request(bridge, method, POLL + "&sid=" + sid, b"40" if method == "POST" else None)
    assert answer.status == 400 and answer.text.startswith('"Invalid session'), answer


def test_a_post_without_a_session_is_refused(bridge):
    answer = http_request(bridge, "POST", POLL, b"40")
    assert answer.status == 400 and answer.text.startswith('"Invalid session'), answer


def test_a_websocket_for_an_unknown_session_is_refused(bridge):
    with pytest.raises((websocket.WebSocketException, ConnectionError)):
        socket = websocket.create_connection(bridge.websocket_url("EIO=4&transport=websocket&sid=nope"),
                                             timeout=PATIENCE, suppress_origin=True)
        socket.recv()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_not_allowed(bridge, method):
    answer = http_request(bridge, method, POLL)
    assert (answer.status, answer.body) == (405, b"Method Not Found"), answer


@pytest.mark.ours
@pytest.mark.parametrize("path", ["/socket.io", "/live", "/a/b"])
def test_the_path_may_come_without_its_last_slash(redis_server, start_bridge, closing, path):
    bridge = start_bridge(redis_server, "--path", path, subscribes=False)
    query = "?EIO=4&transport=polling"
    sid = open_packet(http_request(bridge, "GET", path + query))["sid"]
    assert http_request(bridge, "POST", f"{path}{query}&sid={sid}", b"40").text == "OK"
    assert http_request(bridge, "GET", f"{path}{query}&sid={sid}").text.startswith("40{")
    assert http_request(bridge, "OPTIONS", path + query).text == "OK"
    assert closing(RawClient(bridge, path=path)).join("a") == [{"ok": True}]
    assert http_request(bridge, "GET", path + "x" + query).status == 404


def test_paths_below_are_the_same_page(bridge):
    open_packet(http_request(bridge, "GET", "/socket.io/anything?EIO=4&transport=polling"))
    assert http_request(bridge, "GET", "/socket.io/socket.io.js").status == 400


def test_jsonp_wraps_the_packets(bridge):
    answer = http_request(bridge, "GET", POLL + "&j=0")
    assert answer.status == 200
    assert answer.text.startswith('___eio[0]("0{\\"sid\\":') and answer.text.endswith('");'), answer
    answer = http_request(bridge, "GET", POLL + "&j=x")
    assert (answer.status, answer.text) == (400, '"Invalid JSONP index number"')


# Polling

def test_a_post_is_answered_ok(polling):
    client = polling()
    answer = client.post("3")
    assert (answer.status, answer.body) == (200, b"OK") and answer.headers["Content-Type"].startswith("text/plain")


def test_queued_packets_come_in_one_answer(some_emitter, polling, raw, room):
    client, witness = polling(), raw()
    client.join(room)
    witness.join(room)
    for number in range(2):
        some_emitter.emit("update", number, room=room)
    assert [witness.receive_event()[1] for _ in range(2)] == [0, 1]
    got = []
    while len(got) < 2:
        got += [p for p in client.get().text.split("\x1e") if p.startswith("42")]
    assert got == ['42["update",0]', '42["update",1]']


@pytest.mark.ours
@pytest.mark.parametrize("kind", [PollingClient, RawClient])
@pytest.mark.parametrize("count, size", [(3, 600_000), (30, 100_000), (2, 16_000_000)])
def test_a_burst_waits_for_a_client_that_pauses(emitter, redis_server, start_bridge, closing, kind, count, size):
    bridge = start_bridge(redis_server, "--stall-timeout", "100")
    client, witness = closing(kind(bridge)), closing(RawClient(bridge))
    client.join("burst")
    witness.join("burst")
    for number in range(count):
        emitter.emit("x", [number, "x" * size], room="burst")
    for number in range(count):
        assert witness.receive_event()[1][0] == number
    assert [json.loads(client.receive()[2:])[1] for _ in range(count)] == [[n, "x" * size] for n in range(count)]


@pytest.mark.ours
@pytest.mark.parametrize("kind", [PollingClient, RawClient])
def test_a_client_that_takes_nothing_for_the_stall_timeout_is_closed(redis_server, start_bridge, closing, emitter, kind):
    bridge = start_bridge(redis_server, "--stall-timeout", "0.5")
    client, witness = closing(kind(bridge)), closing(RawClient(bridge))
    for one in (client, witness):
        one.join("stall")
    for number in range(12):
        emitter.emit("x", [number, "x" * 1_000_000], room="stall")
        assert witness.receive_event()[1][0] == number
    line = bridge.running.wait_for_line("client too slow")
    assert "warning" in line and "--stall-timeout" in line
    emitter.emit("x", "after", room="stall")
    assert witness.receive_event() == ["x", "after"]


@pytest.mark.ours
def test_a_full_queue_is_a_warning_that_names_its_flag(redis_server, start_bridge, closing, emitter):
    bridge = start_bridge(redis_server, "--max-queue", "1000")
    closing(PollingClient(bridge)).join("full")
    for _ in range(3):
        emitter.emit("x", "x" * 900, room="full")
    line = bridge.running.wait_for_line("client too slow")
    assert "warning" in line and "--max-queue" in line


@pytest.mark.ours
def test_an_answer_carries_at_most_sixteen_packets(some_emitter, polling, raw, room):
    client, witness = polling(), raw()
    client.join(room)
    witness.join(room)
    for number in range(40):
        some_emitter.emit("x", number, room=room)
    for number in range(40):
        assert witness.receive_event()[1] == number
    got, sizes = [], []
    while len(got) < 40:
        packets = client.get().text.split("\x1e")
        sizes.append(len(packets))
        got += [json.loads(p[2:])[1] for p in packets if p.startswith("42")]
    assert got == list(range(40)) and max(sizes) <= 16


@pytest.mark.ours
def test_a_post_of_many_packets_is_processed(some_emitter, polling, room):
    client = polling()
    client.post(*[f'42["join",{{"room":"{room}-{n}"}}]' for n in range(30)], f'42{7}["join",{{"room":"{room}"}}]')
    assert client.receive() == '437[{"ok":true}]'
    some_emitter.emit("x", room=room + "-29")
    assert client.receive() == '42["x"]'


@pytest.mark.ours
def test_a_chunked_post_is_processed(polling):
    client = polling()
    client.connection.request("POST", "/socket.io/?" + client.query, iter([b'420["jo', b'in",{"room":"a"}]']),
                              {"Content-Type": "text/plain", "Transfer-Encoding": "chunked"}, encode_chunked=True)
    answer = client.connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"OK")
    assert client.receive() == '430[{"ok":true}]'


@pytest.mark.ours
def test_a_post_over_the_limit_is_answered_at_once(polling):
    client = polling()
    answer = client.request("POST", body=b"4" * 1_000_001, headers={"Content-Type": "text/plain"})
    assert answer.status == 413, answer


def test_a_post_at_the_limit_is_taken(polling):
    client = polling()
    head = '420["join",{"room":"a","pad":"'
    assert client.post(head + "x" * (1_000_000 - len(head) - 3) + '"}]').status == 200
    assert client.receive().startswith("430[")


def test_a_binary_event_over_polling(polling, some_emitter, room):
    client = polling()
    client.post('451-["anything",{"_placeholder":true,"num":0}]', "bAP8=")
    client.join(room)
    some_emitter.emit("x", room=room)
    assert client.receive() == '42["x"]'


@pytest.mark.ours
def test_a_second_get_at_once_ends_the_session(bridge, polling):
    client = polling()
    answers = []
    first = threading.Thread(target=lambda: answers.append(client.get()))
    first.start()
    # Nothing tells from outside when the first GET has arrived: so ask until one of the two is refused.
    def refused():
        second = http_request(bridge, "GET", "/socket.io/?" + client.query)
        return second.status == 400
    eventually(refused, "the second GET is refused")
    first.join(PATIENCE)
    assert not first.is_alive() and answers, "the pending GET was never answered"
    assert http_request(bridge, "POST", "/socket.io/?" + client.query, b"3").status == 400


def test_a_close_packet_ends_the_session(bridge, polling):
    client = polling()
    client.post("1")
    eventually(lambda: client.get().status in (400, 500), "the session is gone")


@pytest.mark.ours
@pytest.mark.parametrize("packet", ["x", "9", "4", "4x", "47", '42["join"', "42[]", "42{}", "44{}", "bnot base64!", "",
                                    '42[null]', '451-["x"]\x1e42["y"]', '4' + '9' * 200])
def test_an_invalid_packet_ends_the_session(bridge, polling, packet):
    client = polling()
    client.post(packet)
    eventually(lambda: http_request(bridge, "POST", "/socket.io/?" + client.query, b"3").status == 400,
               "the session is gone")


# Websocket

def test_a_websocket_has_nothing_to_upgrade_to(raw):
    assert raw().handshake["upgrades"] == []


@pytest.mark.ours
@pytest.mark.parametrize("frame", ["x", "9", "4", "4x", "47", '42["join"', "42[]", "42{}", "44{}", "",
                                   b"binary without an event", '42[null]', '4' + '9' * 200], ids=repr)
def test_an_invalid_packet_closes_the_websocket(raw, frame):
    client = raw()
    client.send(frame)
    client.wait_for_close()


@pytest.mark.ours
def test_a_close_packet_closes_the_websocket(raw):
    client = raw()
    client.send("1")
    client.wait_for_close()


@pytest.mark.ours
def test_a_frame_over_the_limit_closes_the_websocket(raw):
    client = raw()
    try:
        client.send("4" + "x" * 1_000_001)
        client.wait_for_close()
    except ConnectionError:  # closed while we were still sending
        pass


def test_fragments_are_one_message(raw):
    client = raw()
    frame = websocket.ABNF
    for part, code, last in (('420["jo', frame.OPCODE_TEXT, 0), ('in",{"ro', frame.OPCODE_CONT, 0),
                             ('om":"a"}]', frame.OPCODE_CONT, 1)):
        client.socket.send_frame(frame.create_frame(part, code, last))
    assert client.receive().startswith("430[")


def test_a_websocket_ping_is_answered(raw):
    client = raw()
    client.socket.ping("abc")
    opcode, payload = client.socket.recv_data(control_frame=True)
    assert (opcode, payload) == (websocket.ABNF.OPCODE_PONG, b"abc")


# Heartbeat

@pytest.mark.ours
def test_pings_keep_a_client_and_silence_ends_it(redis_server, start_bridge, closing):
    bridge = start_bridge(redis_server, "--ping-interval", "0.2", "--ping-timeout", "0.3")
    client = closing(RawClient(bridge))
    assert (client.handshake["pingInterval"], client.handshake["pingTimeout"]) == (200, 300)
    for _ in range(4):
        assert client.socket.recv() == "2"
        client.send("3")
    client.wait_for_close() if client.socket.recv() == "2" else pytest.fail("no ping")


@pytest.mark.ours
def test_a_poller_that_never_comes_back_is_forgotten(redis_server, start_bridge, closing):
    bridge = start_bridge(redis_server, "--ping-interval", "0.2", "--ping-timeout", "0.3")
    client = closing(PollingClient(bridge))
    assert client.get().text == "2"
    eventually(lambda: http_request(bridge, "POST", "/socket.io/?" + client.query, b"4").status == 400, "forgotten")


# Namespaces

def test_a_second_connect_to_a_namespace(raw):
    client = raw()
    client.send("40")
    try:
        assert client.receive().startswith("44")
    except websocket.WebSocketConnectionClosedException:
        pass


def test_connect_with_authentication_data(raw):
    client = raw(namespaces=())
    client.send('40{"token":1}')
    assert client.receive().startswith('40{"sid":')


@pytest.mark.ours
def test_after_disconnect_the_namespace_may_be_opened_again(raw, some_emitter, room):
    client = raw()
    client.join(room)
    first = client.sid
    client.send("41")
    client.connect()
    assert client.sid != first
    some_emitter.emit("x", room=room)
    some_emitter.emit("marker", room=client.sid)
    assert client.receive() == '42["marker"]'


@pytest.mark.ours
def test_only_listed_namespaces_open(redis_server, start_bridge, closing):
    bridge = start_bridge(redis_server, "--namespace", "/", "--namespace", "/chat")
    client = closing(RawClient(bridge, namespaces=("/", "/chat")))
    client.send("40/other,")
    assert client.receive().startswith("44/other,")
    assert client.join("room") == [{"ok": True}]


@pytest.mark.ours
def test_another_path(redis_server, start_bridge, closing):
    bridge = start_bridge(redis_server, "--path", "/live/", subscribes=False)
    assert closing(RawClient(bridge, path="/live/")).join("a") == [{"ok": True}]
    assert http_request(bridge, "GET", POLL).status == 404


# Upgrade

class Upgrading:
    def __init__(self, bridge, client):
        self.client = client
        self.socket = websocket.create_connection(
            bridge.websocket_url("EIO=4&transport=websocket&sid=" + client.sid), timeout=PATIENCE, suppress_origin=True)

    def probe(self):
        self.socket.send("2probe")
        assert self.socket.recv() == "3probe"


def test_an_upgrade_moves_the_session(bridge, polling, some_emitter, room):
    client = polling()
    client.join(room)
    upgrade = Upgrading(bridge, client)
    pending = []
    poll = threading.Thread(target=lambda: pending.append(client.get()))
    poll.start()
    upgrade.probe()
    poll.join(PATIENCE)
    assert pending and pending[0].text == "6", pending
    upgrade.socket.send("5")
    some_emitter.emit("x", 1, room=room)
    frame = upgrade.socket.recv()
    while frame == "6":  # the original sends a stray one
        frame = upgrade.socket.recv()
    assert frame == '42["x",1]'
    upgrade.socket.close()


def test_what_is_sent_during_an_upgrade_is_not_lost(bridge, polling, raw, some_emitter, room):
    client, witness = polling(), raw()
    client.join(room)
    witness.join(room)
    upgrade = Upgrading(bridge, client)
    upgrade.probe()
    for number in range(20):
        some_emitter.emit("x", number, room=room)
    assert [witness.receive_event()[1] for _ in range(20)] == list(range(20))
    upgrade.socket.send("5")
    got = []
    while len(got) < 20:
        frame = upgrade.socket.recv()
        if frame.startswith("42"):
            got.append(json.loads(frame[2:])[1])
    assert got == list(range(20))
    upgrade.socket.close()


@pytest.mark.ours
def test_a_probe_that_goes_away_leaves_polling_alive(bridge, polling, some_emitter, room):
    client = polling()
    client.join(room)
    upgrade = Upgrading(bridge, client)
    upgrade.probe()
    upgrade.socket.close()
    some_emitter.emit("x", room=room)
    assert client.receive() == '42["x"]'


@pytest.mark.ours
def test_polling_after_the_upgrade_is_refused(bridge, polling):
    client = polling()
    upgrade = Upgrading(bridge, client)
    upgrade.probe()
    upgrade.socket.send("5")
    upgrade.socket.send('420["join",{"room":"a"}]')
    while not upgrade.socket.recv().startswith("430"):
        pass
    assert http_request(bridge, "GET", "/socket.io/?" + client.query).status == 400
    upgrade.socket.close()
