"""Engine.IO v4 from outside: what the protocol's own test suite asks, then what HTTP clients do to a server."""
import base64
import http.client
import json
import socket
import threading

import pytest
import websocket

from support.clients import Answer, PollingClient, RawClient, http_request
from support.processes import Bridge
from support.waiting import PATIENCE, eventually

SEPARATOR = "\x1e"
PING_INTERVAL, PING_TIMEOUT = 0.3, 0.2
POLLING = "/socket.io/?EIO=4&transport=polling"
UNSUPPORTED = '"The client is using an unsupported version of the Socket.IO or Engine.IO protocols"'


@pytest.fixture(scope="module")
def server():
    """Without Redis, with the default heartbeat: nothing comes unasked."""
    bridge = Bridge(redis_url="none", origins=["http://good.example"])
    yield bridge
    assert bridge.stop() == 0, bridge.running.output[-3000:]


@pytest.fixture(scope="module")
def fast():
    """With the heartbeat that the protocol's test suite uses."""
    bridge = Bridge(None, "--ping-interval", str(PING_INTERVAL), "--ping-timeout", str(PING_TIMEOUT), redis_url="none")
    yield bridge
    assert bridge.stop() == 0, bridge.running.output[-3000:]


@pytest.fixture(scope="module")
def loops():
    """Several event loops, so that requests of one session arrive on different ones."""
    bridge = Bridge(None, "--threads", "4", redis_url="none")
    yield bridge
    assert bridge.stop() == 0, bridge.running.output[-3000:]


def emit(server, data, room=None, event="x", connection=None):
    message = json.dumps({"event": event, "room": room, "data": data, "secret": "123"})
    headers = {"Content-Type": "application/json"}
    if connection is None:
        answer = http_request(server, "POST", "/emit", message, headers)
    else:
        connection.request("POST", "/emit", message, headers)
        answer = Answer(connection.getresponse())
    assert (answer.status, answer.body) == (200, b"OK\n"), answer


class Wire:
    """A TCP connection to the server, for requests no HTTP library would make."""

    def __init__(self, server):
        self.socket = socket.create_connection((server.host, server.port), PATIENCE)
        self.reader = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def head(self):
        """Status, and headers by lower-case name, of the next response."""
        line = self.reader.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        headers = {}
        while (field := self.reader.readline().rstrip(b"\r\n")):
            name, _, value = field.decode().partition(":")
            headers[name.lower()] = value.strip()
        return int(line.split()[1]), headers

    def answer(self):
        """Status, headers and body of the next response."""
        status, headers = self.head()
        return status, headers, self.reader.read(int(headers.get("content-length", 0)))

    def is_closed(self):
        """Waits for the end of the stream."""
        try:
            return self.reader.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.reader.close()
        self.socket.close()


@pytest.fixture
def wire(closing):
    return lambda server: closing(Wire(server))


def get(target, **headers):
    lines = [f"GET {target} HTTP/1.1", "Host: x", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines) + "\r\n\r\n"


def post(target, body, **headers):
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"POST {target} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}",
             *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def hold_poll(wire, client, server):
    """A GET of this session that waits; returns when the server has it."""
    poll = wire(server).send(get("/socket.io/?" + client.query))
    # The loop of this connection answers in order: a 404 behind the held GET would not come, so another session's
    # request on a new connection is no proof. What is: the session takes packets for it.
    poll.socket.settimeout(0.05)
    try:
        assert poll.socket.recv(1, socket.MSG_PEEK) == b"", "the poll was answered at once"
    except TimeoutError:
        pass
    poll.socket.settimeout(PATIENCE)
    return poll


def is_gone(client):
    """Whether the session ended. Asked by POST, because a GET could end it itself."""
    answer = client.post("3")
    if answer.status == 200:
        return False
    assert (answer.status, answer.text) == (400, f'"Invalid session {client.sid}"')
    return True


# Handshake

def test_a_polling_handshake_announces_the_session(fast):
    answer = http_request(fast, "GET", POLLING)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert answer.text[0] == "0"
    value = json.loads(answer.text[1:])
    assert len(value.pop("sid")) == 20
    assert value == {"upgrades": ["websocket"], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000}


def test_a_websocket_handshake_offers_no_upgrade(fast, closing):
    value = closing(RawClient(fast, namespaces=())).handshake
    assert len(value.pop("sid")) == 20
    assert value == {"upgrades": [], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000}


REFUSED = {
    "no version": ("GET", "?transport=polling", 400, UNSUPPORTED),
    "version 3": ("GET", "?EIO=3&transport=polling", 400, UNSUPPORTED),
    "version 5": ("GET", "?EIO=5&transport=polling", 400, UNSUPPORTED),
    "a version that is no number": ("GET", "?EIO=abc&transport=polling", 400, UNSUPPORTED),
    "an unknown transport": ("GET", "?EIO=4&transport=abc", 400, '"Invalid transport"'),
    "a websocket without upgrade": ("GET", "?EIO=4&transport=websocket", 400, '"Invalid websocket upgrade"'),
    "an unknown sid": ("GET", "?EIO=4&transport=polling&sid=nope", 400, '"Invalid session nope"'),
    "a POST with an unknown sid": ("POST", "?EIO=4&transport=polling&sid=nope", 400, '"Invalid session nope"'),
    "a POST without sid": ("POST", "?EIO=4&transport=polling", 400, '"Invalid session None"'),
    "a JSONP index that is no number": ("GET", "?EIO=4&transport=polling&j=x", 400, '"Invalid JSONP index number"'),
    "PUT": ("PUT", "?EIO=4&transport=polling", 405, "Method Not Found"),
    "DELETE": ("DELETE", "?EIO=4&transport=polling", 405, "Method Not Found"),
    "the client script": ("GET", "socket.io.js", 400, UNSUPPORTED),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_says_why(case, server):
    method, query, status, body = REFUSED[case]
    answer = http_request(server, method, "/socket.io/" + query)
    assert (answer.status, answer.text) == (status, body)


def test_a_sid_of_the_right_form_that_nobody_has_is_unknown(server, closing):
    # Its beginning is what all sids of one process have in common.
    sid = closing(PollingClient(server, connect=False)).sid[:4] + "A" * 16
    answer = http_request(server, "GET", "/socket.io/?EIO=4&transport=polling&sid=" + sid)
    assert (answer.status, answer.text) == (400, f'"Invalid session {sid}"')


@pytest.mark.parametrize("query", ["EIO=4", "EIO=4&transport=", "EIO=4&transport=polling&sid=", "EIO=4&transport=polling&t=OxGk"])
def test_a_handshake_may_leave_out_what_has_a_default(query, server):
    answer = http_request(server, "GET", "/socket.io/?" + query)
    assert (answer.status, answer.text[:8]) == (200, '0{"sid":')


@pytest.mark.parametrize("path", ["/", "/socket.iox/?EIO=4&transport=polling", "/socket.iox", "/emit/", "/other"])
def test_other_paths_are_not_found(path, server):
    assert http_request(server, "GET", path).status == 404


@pytest.mark.parametrize("query", ["transport=websocket", "EIO=abc&transport=websocket", "EIO=4&transport=abc"])
def test_a_websocket_with_a_wrong_query_is_refused(query, server):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(server.websocket_url(query), timeout=PATIENCE, suppress_origin=True)
    assert refused.value.status_code == 400


# Long-polling

@pytest.mark.parametrize("body", ["", "abc", "9", "4", "42[", "4x", "47", "44{}", "45-", "b!!", "bAQIDBA=="])
def test_an_invalid_packet_ends_the_session(body, server, closing):
    client = closing(PollingClient(server))
    assert client.post(body).status == 400
    assert is_gone(client)


def test_bytes_that_are_no_text_end_the_session(server, closing):
    client = closing(PollingClient(server))
    assert client.request("POST", body=b'42["\xff"]').status == 400
    assert is_gone(client)


def test_what_comes_before_an_invalid_packet_has_its_effect(server, closing, room, wire):
    listener, client = closing(RawClient(server)), closing(PollingClient(server))
    poll = hold_poll(wire, client, server)
    assert client.post(f'420["join",{{"room":"{room}"}}]', "abc", '421["join",{"room":"y"}]').status == 400
    status, _, body = poll.answer()
    assert (status, body) == (200, b"1"), "the waiting poll learns of the end"
    assert is_gone(client)
    assert listener.join(room) == [{"ok": True}], "others go on"


def test_two_polls_at_once_end_the_session(server, closing, wire):
    client = closing(PollingClient(server))
    first = hold_poll(wire, client, server)
    second = client.get()
    assert second.status == 400
    assert first.answer()[::2] == (200, b"1")
    assert is_gone(client)


def test_a_poll_given_up_ends_the_session(server, closing, wire):
    client = closing(PollingClient(server))
    hold_poll(wire, client, server).close()
    eventually(lambda: is_gone(client), "the session ends")


def test_a_waiting_poll_is_answered_when_something_happens(server, closing, wire, room):
    client = closing(PollingClient(server))
    assert client.join(room) == [{"ok": True}]
    poll = hold_poll(wire, client, server)
    emit(server, {"n": 1}, room)
    status, headers, body = poll.answer()
    assert (status, body) == (200, b'42["x",{"n":1}]')
    assert headers["content-type"] == "text/plain; charset=UTF-8"
    assert headers["cache-control"] == "no-store"


def test_an_answer_holds_at_most_16_packets(server, closing, room):
    client = closing(PollingClient(server))
    client.join(room)
    for n in range(40):
        emit(server, n, room)
    answers = [client.get().text.split(SEPARATOR) for _ in range(3)]
    assert [len(packets) for packets in answers] == [16, 16, 8]
    assert sum(answers, []) == [f'42["x",{n}]' for n in range(40)]


@pytest.mark.parametrize("count", [1, 16, 17, 200])
def test_every_packet_of_a_post_counts(count, server, closing):
    client = closing(PollingClient(server))
    answer = client.post(*(f'42{n}["any"]' for n in range(count)))
    assert (answer.status, answer.text, answer.headers["Content-Type"]) == (200, "OK", "text/plain")
    assert [client.receive() for _ in range(count)] == [f"43{n}[]" for n in range(count)]


def test_a_chunked_post_is_read(server, closing):
    client = closing(PollingClient(server))
    client.connection.putrequest("POST", "/socket.io/?" + client.query)
    client.connection.putheader("Transfer-Encoding", "chunked")
    client.connection.endheaders()
    for piece in (b'420[', b'"any"', b']'):
        client.connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    client.connection.send(b"0\r\n\r\n")
    assert Answer(client.connection.getresponse()).text == "OK"
    assert client.receive() == "430[]"


def test_an_attachment_travels_as_base64(server, closing):
    client = closing(PollingClient(server))
    assert client.post('451-0["any",{"_placeholder":true,"num":0}]', "b" + base64.b64encode(b"\x00\xff").decode()).text == "OK"
    assert client.receive() == "430[]"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_attachment_may_come_in_lines_as_java_writes_it(end, server, closing):
    client = closing(PollingClient(server))
    text = base64.b64encode(bytes(200)).decode()
    lines = "".join(text[start:start + 76] + end for start in range(0, len(text), 76))
    assert client.post('451-0["any",{"_placeholder":true,"num":0}]', "b" + lines).status == 200
    assert client.receive() == "430[]"


def test_an_ack_id_may_be_as_large_as_javascript_counts(server, closing):
    client = closing(PollingClient(server))
    client.post('429007199254740991["any"]')
    assert client.receive() == "439007199254740991[]"


def test_an_attachment_may_come_in_the_next_post(server, closing):
    client = closing(PollingClient(server))
    assert client.post('451-0["any",{"_placeholder":true,"num":0}]').text == "OK"
    assert client.post("bAP8=").text == "OK"
    assert client.receive() == "430[]"


def test_a_post_over_the_limit_is_refused_before_its_body(server, closing, wire):
    client = closing(PollingClient(server))
    connection = wire(server)
    connection.send(f"POST /socket.io/?{client.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000001\r\n\r\n")
    status, headers, _ = connection.answer()
    assert (status, headers["connection"]) == (413, "close")
    assert client.post('420["any"]').status == 200, "the session goes on"
    assert client.receive() == "430[]"


def test_a_client_that_sends_its_whole_large_body_still_reads_the_answer(server, closing, wire):
    client = closing(PollingClient(server))
    connection = wire(server).send(post("/socket.io/?" + client.query, b"4" * 4_000_000))
    assert connection.answer()[0] == 413


def test_a_chunked_post_over_the_limit_is_refused_when_it_passes_it(server, closing, wire):
    client = closing(PollingClient(server))
    connection = wire(server)
    connection.send(f"POST /socket.io/?{client.query} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.send(b"%x\r\n%s\r\n" % (1_000_001, b"4" * 1_000_001))
    assert connection.answer()[0] == 413


def test_a_post_of_exactly_the_limit_is_read(server, closing):
    client = closing(PollingClient(server))
    padding = 1_000_000 - len('420["any",""]')
    assert client.post(f'420["any","{"a" * padding}"]').text == "OK"
    assert client.receive() == "430[]"


# JSONP

def test_a_jsonp_client_polls_by_script_and_posts_by_form(server, closing, room):
    answer = http_request(server, "GET", POLLING + "&j=0")
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert answer.text.startswith('___eio[0]("0{\\"sid\\":') and answer.text.endswith(");")
    sid = json.loads(json.loads(answer.text[len("___eio[0]("):-2])[1:])["sid"]
    def say(packets):
        return http_request(server, "POST", f"{POLLING}&j=1&sid={sid}", "d=" + packets,
                            {"Content-Type": "application/x-www-form-urlencoded"})
    def hear(index):
        text = http_request(server, "GET", f"{POLLING}&j={index}&sid={sid}").text
        assert text.startswith(f"___eio[{index}]("), text
        return json.loads(text[len(f"___eio[{index}]("):-2])
    assert say("40").status == 200
    assert hear(2).startswith('40{"sid":')
    assert say("420%5B%22join%22%2C%7B%22room%22%3A%22" + room + "%22%7D%5D%1E421%5B%22a%5C%5Cnb%22%5D").status == 200
    assert sorted(hear(3).split(SEPARATOR)) == ['430[{"ok":true}]', "431[]"]
    emit(server, 'é\u2028</script>"', room)
    assert hear(4) == '42["x","\\u00e9\\u2028</script>\\""]'


# Heartbeat

def test_a_polling_client_lives_as_long_as_it_answers_pings(fast, closing):
    client = closing(PollingClient(fast, connect=False))
    for _ in range(3):
        assert client.get().text == "2"
        assert client.post("3").text == "OK"
    assert client.get().text == "2"


def test_a_polling_client_that_is_silent_is_gone_at_the_deadline(fast, closing):
    client = closing(PollingClient(fast, connect=False))
    # The protocol's own time, and again for a loaded machine whose timers are late.
    threading.Event().wait(3 * (PING_INTERVAL + PING_TIMEOUT))
    assert client.get().status == 400


def test_a_websocket_client_lives_as_long_as_it_answers_pings(fast, closing):
    client = closing(RawClient(fast, namespaces=()))
    for _ in range(3):
        assert client.socket.recv() == "2"
        client.send("3")
    assert client.socket.recv() == "2"


def test_a_websocket_client_that_is_silent_is_disconnected(fast, closing):
    client = closing(RawClient(fast, namespaces=()))
    assert client.socket.recv() == "2"
    assert client.socket.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE


# Close

def test_a_polling_client_closes_its_session(server, closing, wire):
    client = closing(PollingClient(server))
    poll = hold_poll(wire, client, server)
    assert client.post("1").text == "OK"
    assert poll.answer()[::2] == (200, b"6"), "the client knows; its poll just ends"
    assert is_gone(client)


def test_a_websocket_client_closes_its_session(server, closing):
    client = closing(RawClient(server))
    client.send("1")
    assert client.wait_for_close()


# Upgrade

class Upgrading:
    """A polling session and the websocket that is to take it over."""

    def __init__(self, server, connect=True):
        self.server = server
        self.polling = PollingClient(server, connect=connect)
        self.socket = self.open()

    def open(self):
        return websocket.create_connection(
            self.server.websocket_url(f"EIO=4&transport=websocket&sid={self.polling.sid}"), timeout=PATIENCE,
            suppress_origin=True)

    def probe(self):
        self.socket.send("2probe")
        assert self.socket.recv() == "3probe"
        return self

    def finish(self):
        self.socket.send("5")
        return self

    def echo(self, number=0):
        """Proves that the websocket carries the session."""
        self.socket.send(f'42{number}["any"]')
        assert self.socket.recv() == f"43{number}[]"

    def close(self):
        self.polling.close()
        self.socket.close(timeout=1)


@pytest.fixture
def upgrading(server, closing):
    return lambda *args, **kwargs: closing(Upgrading(*(args or (server,)), **kwargs))


def test_a_session_moves_to_a_websocket(upgrading):
    client = upgrading().probe()
    assert client.polling.get().text == "6", "a poll during the probe ends at once"
    client.finish().echo()


def test_the_probe_ends_a_waiting_poll(upgrading, wire, server):
    client = upgrading()
    poll = hold_poll(wire, client.polling, server)
    client.probe()
    assert poll.answer()[::2] == (200, b"6")
    client.finish().echo()


def test_probe_and_upgrade_may_come_in_one_go(upgrading):
    client = upgrading()
    client.socket.send("2probe")
    client.socket.send("5")
    assert client.socket.recv() == "3probe"
    client.echo()


def test_http_requests_after_the_upgrade_are_refused(upgrading):
    client = upgrading().probe().finish()
    client.echo(0)
    for answer in (client.polling.get(), client.polling.post("3")):
        assert (answer.status, answer.text) == (400, '"Unexpected HTTP request"')
    client.echo(1)


def test_a_second_websocket_after_the_upgrade_is_refused(upgrading):
    client = upgrading().probe().finish()
    client.echo(0)
    with pytest.raises(websocket.WebSocketException):
        second = client.open()
        second.recv()
    client.echo(1)


def test_a_second_websocket_during_the_probe_is_refused(upgrading):
    client = upgrading().probe()
    with pytest.raises(websocket.WebSocketException):
        client.open().recv()
    client.finish().echo()


@pytest.mark.parametrize("frame", ["2", "2prob", "2probe ", "5", "4hello", "1", "x", ""])
def test_a_wrong_probe_costs_the_websocket_only(frame, upgrading):
    client = upgrading()
    client.socket.send(frame)
    assert client.socket.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
    assert client.polling.post('420["any"]').text == "OK"
    assert client.polling.receive() == "430[]"


def test_a_probe_that_goes_away_leaves_the_session_polling(upgrading, server):
    client = upgrading().probe()
    client.socket.close(timeout=1)
    assert client.polling.post('420["any"]').text == "OK"
    eventually(lambda: client.polling.receive() == "430[]", "polls wait for packets again")
    again = client.open()
    again.send("2probe")
    assert again.recv() == "3probe", "and it may try again"
    again.close(timeout=1)


@pytest.mark.parametrize("probes", [False, True])
def test_a_websocket_that_does_not_finish_its_upgrade_is_dropped_alone(probes, closing):
    bridge = closing(Bridge(None, "--upgrade-timeout", "0.3", "--ping-interval", "5", redis_url="none"))
    client = closing(Upgrading(bridge))
    if probes:
        client.probe()
    assert client.socket.recv() == "", "the server sends a close frame"
    client.polling.post('420["any"]')
    assert client.polling.get().text == "430[]"


def test_a_client_that_opens_no_namespace_in_time_is_gone(closing):
    bridge = closing(Bridge(None, "--connect-timeout", "0.3", "--ping-interval", "5", redis_url="none"))
    client = closing(PollingClient(bridge, connect=False))
    assert client.get().text == "1"
    assert is_gone(client)


def test_what_no_poll_took_follows_on_the_websocket(upgrading, server, room):
    client = upgrading()
    client.polling.join(room)
    for n in range(40):
        emit(server, n, room)
    first = client.polling.get().text.split(SEPARATOR)
    client.probe()
    emit(server, 40, room)
    client.finish()
    rest = [client.socket.recv() for _ in range(25)]
    assert first + rest == [f'42["x",{n}]' for n in range(41)]


# HTTP

def test_pipelined_requests_are_answered_in_order(server, closing, wire):
    client = closing(PollingClient(server))
    target = "/socket.io/?" + client.query
    connection = wire(server).send(
        post(target, '420["any"]') + get(target).encode() + post(target, '421["any"]') + get(target).encode()
        + get("/nothing").encode())
    assert [connection.answer()[::2] for _ in range(4)] == [(200, b"OK"), (200, b"430[]"), (200, b"OK"), (200, b"431[]")]
    assert connection.answer()[0] == 404


def test_a_request_may_arrive_byte_by_byte(server, wire):
    connection = wire(server)
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in get(POLLING).encode():
        connection.send(bytes([byte]))
    assert connection.answer()[0] == 200


def test_http_1_0_is_answered_and_closed(server, wire):
    connection = wire(server).send("GET " + POLLING + " HTTP/1.0\r\n\r\n")
    status, headers, body = connection.answer()
    assert (status, headers["connection"], body[:1]) == (200, "close", b"0")
    assert connection.is_closed()


def test_a_client_may_ask_for_the_end_of_the_connection(server, wire):
    connection = wire(server).send(get(POLLING, Connection="close"))
    assert connection.answer()[0] == 200
    assert connection.is_closed()


def test_head_has_no_body(server, wire):
    connection = wire(server).send(f"HEAD {POLLING} HTTP/1.1\r\nHost: x\r\n\r\n" + get("/nothing"))
    assert connection.head()[0] == 405
    assert connection.answer()[0] == 404, "and the next answer follows its head"


def test_a_client_that_expects_100_continue_gets_it(server, closing, wire):
    client = closing(PollingClient(server))
    body = '420["any"]'
    connection = wire(server).send(
        f"POST /socket.io/?{client.query} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n")
    assert connection.head()[0] == 100
    connection.send(body)
    assert connection.answer()[::2] == (200, b"OK")


def test_a_body_that_is_refused_gets_no_100(server, closing, wire):
    client = closing(PollingClient(server))
    connection = wire(server).send(
        f"POST /socket.io/?{client.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000001\r\nExpect: 100-continue\r\n\r\n")
    assert connection.head()[0] == 413


@pytest.mark.parametrize("request_", [
    "nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /\r\n\r\n", "\x00\x01\x02\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nX: " + "a" * 200_000 + "\r\n\r\n"], ids=lambda text: text[:24].strip())
def test_what_is_no_http_is_refused_and_closed(request_, server, wire):
    connection = wire(server)
    try:
        connection.send(request_)
        assert connection.answer()[0] in (400, 431)
    except (ConnectionError, AssertionError):
        assert "a" * 100 in request_, "only a flood of headers may lose its answer to the reset"
    assert connection.is_closed()


WEBSOCKET = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
             "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
UPGRADE = "/socket.io/?EIO=4&transport=websocket"
H2C = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAMAAABkAAQAoAAAAAIAAAAA"}
OFFERS = {
    "a refused origin": get(UPGRADE, **WEBSOCKET, Origin="http://evil.example"),
    "an old version": get("/socket.io/?EIO=3&transport=websocket", **WEBSOCKET),
    "an unknown sid": get(UPGRADE + "&sid=nope", **WEBSOCKET),
    "a short key": get(UPGRADE, **{**WEBSOCKET, "Sec_WebSocket_Key": "short"}),
    "another version of the handshake": get(UPGRADE, **{**WEBSOCKET, "Sec_WebSocket_Version": "8"}),
    "a subprotocol that is none": get(UPGRADE, **WEBSOCKET, Sec_WebSocket_Protocol="a b"),
    "a websocket elsewhere": get("/nothing", **WEBSOCKET),
    "h2c with polling": get(POLLING, **H2C),
    "h2c with a body": post("/nothing", "{}", **H2C),
    "h2c with a chunked body": "POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: Upgrade\r\n"
                               "Upgrade: h2c\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "TLS": get("/livez", Connection="Upgrade", Upgrade="TLS/1.0"),
    "HTTP/1.0": "GET /livez HTTP/1.0\r\nConnection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n\r\n",
}


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "pipelined"])
@pytest.mark.parametrize("offer", OFFERS)
def test_an_offered_upgrade_that_is_not_taken_costs_nothing(offer, together, server, wire):
    offer = OFFERS[offer] if isinstance(OFFERS[offer], bytes) else OFFERS[offer].encode()
    connection = wire(server)
    if together:
        connection.send(offer * 3 + get(POLLING).encode() + offer)
    statuses = []
    for request_ in (offer, offer, offer, get(POLLING), offer):
        if not together:
            connection.send(request_)
        statuses.append(connection.answer()[0])
    assert statuses[3] == 200 and {*statuses[:3], statuses[4]} == {statuses[0]}
    connection.send(get(UPGRADE, **WEBSOCKET))
    status, headers = connection.head()
    assert (status, headers["sec-websocket-accept"]) == (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")


def test_what_may_have_stopped_the_parser_ends_the_connection(server, wire):
    for start in ("CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", get("/livez", Connection="Upgrade\t", Upgrade="h2c")):
        connection = wire(server).send(start + get(POLLING))
        status, headers, _ = connection.answer()
        assert status in (200, 405) and headers["connection"] == "close"
        assert connection.is_closed()


def test_a_closing_connection_keeps_nothing_of_what_still_comes(start_bridge, wire):
    bridge = start_bridge(None, "--redis", "none", "--threads", "1")
    connection = wire(bridge).send(get("/livez", Connection="close, Upgrade", Upgrade="h2c"))
    assert connection.answer()[0] == 200
    before = resident_kilobytes(bridge)
    try:
        for _ in range(200):
            connection.send(b"x" * 1_000_000)
    except ConnectionError:
        pass
    assert resident_kilobytes(bridge) - before < 20_000


@pytest.mark.parametrize("target, key, value", [
    (UPGRADE, "sec-websocket-protocol", "engine.io"), (UPGRADE.replace("/?", "?"), "upgrade", "websocket"),
    ("http://x:1" + UPGRADE, "upgrade", "websocket")])
def test_a_websocket_opens_by_any_spelling(target, key, value, server, wire):
    status, headers = wire(server).send(get(target, **WEBSOCKET, Sec_WebSocket_Protocol="engine.io, x")).head()
    assert (status, headers[key]) == (101, value)


def test_another_version_of_the_handshake_is_told_ours(server, wire):
    status, headers, _ = wire(server).send(get(UPGRADE, **{**WEBSOCKET, "Sec_WebSocket_Version": "8"})).answer()
    assert (status, headers["sec-websocket-version"]) == (400, "13")


@pytest.mark.parametrize("body", ["xyz\r\n", "3\r\nabcdef\r\n", "-1\r\n", "\r\n"])
def test_a_broken_chunk_is_answered(body, server, wire):
    connection = wire(server)
    connection.send("POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    try:
        for _ in range(30):
            connection.send(body * 10_000)
    except ConnectionError:
        pass
    status, headers, _ = connection.answer()
    assert (status, headers["connection"]) == (400, "close")


def resident_kilobytes(server):
    with open(f"/proc/{server.running.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_a_client_that_asks_without_reading_is_held_back(server, wire):
    before = resident_kilobytes(server)
    connection = wire(server)
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    requests = get("/nothing").encode() * 2000
    connection.socket.settimeout(2)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 30_000_000:
            sent += connection.socket.send(requests)
            assert resident_kilobytes(server) - before < 32_000, f"after {sent} bytes of requests"
    assert http_request(server, "GET", POLLING).status == 200, "others are served"


def test_a_client_that_never_reads_costs_the_others_nothing(server, closing, room):
    deaf, client = closing(RawClient(server)), closing(RawClient(server))
    for one in (deaf, client):
        one.join(room)
    before = resident_kilobytes(server)
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    text = "a" * 100_000
    for n in range(200):
        emit(server, [n, text], room, connection=connection)
        assert client.receive_event() == ["x", [n, text]]
    connection.close()
    assert resident_kilobytes(server) - before < 32_000
    server.running.wait_for_line("client too slow")


def test_a_thousand_connections_are_served(server, closing, room):
    sockets = []
    try:
        for _ in range(1000):
            sockets.append(websocket.create_connection(server.websocket_url(), timeout=PATIENCE, suppress_origin=True))
        for one in sockets:
            assert one.recv()[0] == "0"
            one.send("40")
            one.send(f'420["join",{{"room":"{room}"}}]')
        for one in sockets:
            assert one.recv().startswith('40{"sid"')
            assert one.recv() == '430[{"ok":true}]'
        emit(server, 1, room)
        assert {one.recv() for one in sockets} == {'42["x",1]'}
    finally:
        for one in sockets:
            one.shutdown()


def test_ipv6_is_served(start_bridge, closing, room):
    server = start_bridge(redis_url="none", host="::1")
    bare, polling = closing(RawClient(server)), closing(PollingClient(server))
    for client in (bare, polling):
        client.join(room)
    emit(server, 1, room)
    assert [client.receive() for client in (bare, polling)] == ['42["x",1]'] * 2


# Several event loops

def flood(server, room, count, started=None):
    """Emits 0, 1, … to the room from a thread of its own."""
    def run():
        connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
        for n in range(count):
            emit(server, n, room, connection=connection)
            if started and n == count // 20:
                started.set()
        connection.close()
    thread = threading.Thread(target=run)
    thread.start()
    return thread


def numbers(packets):
    return [json.loads(packet[2:])[1] for packet in packets if packet.startswith("42")]


def test_requests_of_a_session_may_arrive_on_any_loop(loops, closing, room):
    clients = [closing(PollingClient(loops)) for _ in range(8)]
    for client in clients:
        client.join(room)
    thread = flood(loops, room, 300)
    for client in clients:
        heard = []
        while len(heard) < 300:
            # A connection for each request: the server spreads them over its loops.
            answer = http_request(loops, "GET", "/socket.io/?" + client.query)
            assert answer.status == 200, answer
            heard += numbers(answer.text.split(SEPARATOR))
        assert heard == list(range(300))
    thread.join()


@pytest.mark.parametrize("attempt", range(8))
def test_an_upgrade_under_load_loses_and_repeats_nothing(attempt, loops, closing, room):
    client = closing(PollingClient(loops))
    client.join(room)
    started = threading.Event()
    thread = flood(loops, room, 600, started)
    heard = []
    def poll():
        answer = http_request(loops, "GET", "/socket.io/?" + client.query)
        assert answer.status == 200, answer
        packets = answer.text.split(SEPARATOR)
        heard.extend(numbers(packets))
        return packets
    while not started.is_set():
        poll()
    upgraded = websocket.create_connection(
        loops.websocket_url(f"EIO=4&transport=websocket&sid={client.sid}"), timeout=PATIENCE, suppress_origin=True)
    try:
        upgraded.send("2probe")
        assert upgraded.recv() == "3probe"
        # As the stock client does: its poll ends, then it says that it is ready.
        poll()
        upgraded.send("5")
        while len(heard) < 600:
            heard += numbers([upgraded.recv()])
    finally:
        upgraded.close(timeout=1)
    thread.join()
    assert heard == list(range(600))


def test_the_answer_to_connect_comes_before_any_event(loops, closing):
    stop = threading.Event()
    def run():
        connection = http.client.HTTPConnection(loops.host, loops.port, timeout=PATIENCE)
        while not stop.is_set():
            emit(loops, "all", connection=connection)
        connection.close()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        for _ in range(200):
            client = RawClient(loops, namespaces=())
            client.send("40")
            client.send('420["any"]')
            assert client.receive().startswith('40{"sid":')
            client.close()
    finally:
        stop.set()
        thread.join()
