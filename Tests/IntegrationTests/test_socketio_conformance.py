"""Socket.IO v5 from outside: what the protocol's own test suite asks, by websocket and by long-polling."""
import base64
import json
import signal
import socket

import pytest
import websocket

from support.clients import PollingClient, RawClient, http_request
from support.processes import Bridge
from support.waiting import PATIENCE


@pytest.fixture(scope="module")
def server():
    bridge = Bridge(redis_url="none")
    yield bridge
    assert bridge.stop() == 0, bridge.running.output[-3000:]


@pytest.fixture(scope="module")
def strict():
    """Knows two namespaces and few of anything."""
    bridge = Bridge(None, "--namespace", "/", "--namespace", "/chat", "--max-rooms", "3", redis_url="none")
    yield bridge
    assert bridge.stop() == 0, bridge.running.output[-3000:]


class Polled:
    """Long-polling with the interface of the bare websocket client."""

    def __init__(self, server):
        self.client = PollingClient(server, connect=False)

    def send(self, packet):
        if isinstance(packet, bytes):
            packet = "b" + base64.b64encode(packet).decode()
        self.client.post(packet)

    def receive(self):
        return self.client.receive()

    def is_ended(self):
        answer = self.client.get()
        return answer.status == 400 and answer.text == f'"Invalid session {self.client.sid}"'

    def close(self):
        self.client.close()


class Framed(RawClient):
    def __init__(self, server):
        super().__init__(server, namespaces=())

    def is_ended(self):
        return self.wait_for_close()


@pytest.fixture(params=[Framed, Polled], ids=["websocket", "polling"])
def client(request, server, closing):
    return closing(request.param(server))


@pytest.fixture
def connected(client):
    client.send("40")
    assert client.receive().startswith('40{"sid":"')
    return client


def sid_of(packet, namespace=""):
    prefix = "40" + (namespace + "," if namespace else "")
    assert packet.startswith(prefix), packet
    value = json.loads(packet[len(prefix):])
    assert list(value) == ["sid"] and len(value["sid"]) == 20
    return value["sid"]


# Connect

@pytest.mark.parametrize("payload", ["", '{"token":"123"}', "{}", ' {"a":[1,{"b":null}]}'])
def test_the_main_namespace_opens(payload, client):
    client.send("40" + payload)
    sid_of(client.receive())


@pytest.mark.parametrize("packet", ["40/custom,", "40/custom", '40/custom,{"token":"abc"}', "40/custom?a=b&c=d,", "40/custom?a=b"])
def test_a_custom_namespace_opens(packet, client):
    client.send(packet)
    sid_of(client.receive(), "/custom")


def test_each_namespace_has_a_sid_of_its_own(connected):
    connected.send("40/a,")
    connected.send("40/b,")
    first, second = sid_of(connected.receive(), "/a"), sid_of(connected.receive(), "/b")
    assert first != second


def test_the_transports_sid_is_not_the_sockets(server, closing):
    client = closing(RawClient(server))
    assert client.sid != client.handshake["sid"]


@pytest.mark.parametrize("name", ["/é", "/😀", "/e\u0301", "/with space", "/a/b"])
def test_a_namespace_keeps_its_spelling(name, client):
    client.send(f"40{name},")
    sid_of(client.receive(), name)
    client.send(f'42{name},7["any"]')
    assert client.receive() == f"43{name},7[]"


def test_names_that_look_alike_are_different(client):
    composed, decomposed = "/\u00e9", "/e\u0301"
    client.send(f"40{composed},")
    client.send(f"40{decomposed},")
    assert sid_of(client.receive(), composed) != sid_of(client.receive(), decomposed)


def test_a_second_connect_is_refused_and_the_first_stays(connected):
    connected.send("40")
    assert connected.receive() == '44{"message":"Unable to connect"}'
    connected.send('420["any"]')
    assert connected.receive() == "430[]"


def test_a_namespace_that_is_not_allowed_is_refused(strict, closing):
    client = closing(Framed(strict))
    client.send("40/random,")
    assert client.receive() == '44/random,{"message":"Unable to connect"}'
    client.send("40/chat,")
    sid_of(client.receive(), "/chat")


def test_a_client_may_open_64_namespaces(client):
    for n in range(65):
        client.send(f"40/{n},")
    for n in range(64):
        sid_of(client.receive(), f"/{n}")
    assert client.receive() == '44/64,{"message":"Unable to connect"}'


@pytest.mark.parametrize("packet", ["4abc", "4", "40{", "40[]", "40/custom", '40"x"', "41{}", "42", "42[]", "42{}", '42["a"', "42[{}]",
                                    "42[null]", '42abc["x"]', '429007199254740992["x"]', "43[]", "431", "431{}", "44{}", "45-[]", '45["x"]',
                                    '4599999999999-["x"]', '45257-["x"]', "46", "461-[]", "47", "49"])
def test_an_invalid_packet_ends_the_session(packet, connected):
    if packet == "40/custom":  # this one is valid: it proves that the test can fail
        connected.send(packet)
        sid_of(connected.receive(), "/custom")
        return
    connected.send(packet)
    assert connected.is_ended()


@pytest.mark.parametrize("packet", ['42["any"]', "4abc", '42/custom,["any"]', '451-["any",{"_placeholder":true,"num":0}]'])
def test_the_first_packet_must_be_connect(packet, client):
    client.send(packet)
    if packet.startswith("45"):
        client.send(b"\x00")
    assert client.is_ended()


# Disconnect

def test_leaving_the_main_namespace_keeps_the_transport(connected):
    connected.send("41")
    connected.send("40")
    sid_of(connected.receive())


def test_leaving_one_namespace_keeps_the_others(connected):
    connected.send("40/custom")
    sid_of(connected.receive(), "/custom")
    connected.send("41/custom")
    connected.send('42/custom,0["any"]')
    connected.send('421["any"]')
    assert connected.receive() == "431[]", "the first was of no namespace any more"


def test_leaving_a_namespace_leaves_its_rooms(connected, server, room):
    connected.send(f'420["join",{{"room":"{room}"}}]')
    assert connected.receive() == '430[{"ok":true}]'
    connected.send("41")
    connected.send("40")
    sid_of(connected.receive())
    for target, data in ((room, 1), (None, 2)):
        emit(server, target, data)
    assert connected.receive() == '42["x",2]'


# Events

def emit(server, room, data, **fields):
    message = json.dumps({"event": "x", "room": room, "data": data, "secret": "123", **fields})
    answer = http_request(server, "POST", "/emit", message, {"Content-Type": "application/json"})
    assert answer.status == 200, answer


@pytest.mark.parametrize("packet,answer", [
    ('420["any",1,"2",{"3":[true]}]', "430[]"), ('42456["any"]', "43456[]"), ('42999999999999999["any"]', "43999999999999999[]"),
    ('420["connect"]', "430[]"), ('420["disconnect"]', "430[]"), ("420[5]", "430[]"), ('420[""]', "430[]"), ('420 ["any"]', "430[]")])
def test_an_event_that_asks_is_acknowledged(packet, answer, connected):
    connected.send(packet)
    assert connected.receive() == answer


def test_an_event_with_attachments_is_read(connected):
    connected.send('452-0["any",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
    connected.send(b"\x01\x02\x03")
    connected.send(b"")
    assert connected.receive() == "430[]"
    connected.send('450-1["any"]')
    assert connected.receive() == "431[]", "none are due when none are announced"


def test_a_text_where_an_attachment_is_due_ends_the_session(connected):
    connected.send('451-0["any",{"_placeholder":true,"num":0}]')
    connected.send('421["any"]')
    assert connected.is_ended()


def test_an_attachment_nobody_announced_ends_the_session(connected):
    connected.send(b"\x00")
    assert connected.is_ended()


def test_attachments_over_the_limit_together_end_the_session(connected):
    connected.send('453-0["any"]')
    connected.send(b"a" * 400_000)
    connected.send(b"a" * 400_000)
    connected.send(b"a" * 400_000)
    assert connected.is_ended()


def test_an_answer_nobody_asked_for_is_ignored(connected):
    connected.send("437[]")
    connected.send('461-8[{"_placeholder":true,"num":0}]')
    connected.send(b"\x00")
    connected.send('420["any"]')
    assert connected.receive() == "430[]"


def test_an_event_reaches_the_namespace_it_names(connected, server):
    connected.send("40/chat,")
    sid_of(connected.receive(), "/chat")
    emit(server, None, 1, namespace="/chat")
    emit(server, None, 2)
    assert [connected.receive(), connected.receive()] == ['42/chat,["x",1]', '42["x",2]']


def test_a_client_may_join_as_many_rooms_as_allowed(strict, closing):
    client = closing(RawClient(strict))
    assert [client.join(f"r{n}")[0]["ok"] for n in range(4)] == [True, True, True, False]
    client.leave("r0")
    assert client.join("r4") == [{"ok": True}]


def test_shutdown_closes_every_client_properly(start_bridge, closing):
    server = start_bridge(redis_url="none")
    framed, polled = closing(RawClient(server)), closing(PollingClient(server))
    poll = closing(socket.create_connection((server.host, server.port), 0.2))
    poll.sendall(f"GET /socket.io/?{polled.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    with pytest.raises(TimeoutError):
        poll.recv(1)  # held
    poll.settimeout(PATIENCE)
    server.running.send_signal(signal.SIGTERM)
    assert framed.wait_for_close()
    assert poll.recv(4096).endswith(b"\r\n\r\n1")
    assert server.running.wait_for_exit() == 0
    with pytest.raises(OSError):
        websocket.create_connection(server.websocket_url(), timeout=PATIENCE)
