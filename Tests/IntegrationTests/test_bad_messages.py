"""What a hostile or broken publisher sends costs the next message nothing."""
import json
import os
import pickle

import pytest

from support.clients import RawClient
from support.processes import Bridge, RedisServer


@pytest.fixture(scope="module")
def redis_server():
    """One that no emitter of the other tests listens to: real receivers of pickles run what these messages name."""
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def bridge(redis_server):
    bridge = Bridge(redis_server)
    yield bridge
    assert bridge.stop() == 0, bridge.running.output[-3000:]


class Exploit:
    def __reduce__(self):
        return os.system, ("echo never run",)


GOOD = {"method": "emit", "event": "x", "data": {"n": 1}, "namespace": "/", "room": None, "skip_sid": None,
        "callback": None, "host_id": "test"}

BAD = {
    "nothing": b"", "text": b"hello", "broken JSON": b'{"method":', "a number": b"5", "a list": b'["method"]',
    "no method": b"{}", "an unknown method": b'{"method":"explode"}', "an emit without an event": b'{"method":"emit"}',
    "a dict as room": json.dumps({**GOOD, "room": {"a": 1}}).encode(),
    "a nested list as room": json.dumps({**GOOD, "room": [["a"]]}).encode(),
    "a cut pickle": pickle.dumps(GOOD)[:-9], "random bytes": bytes(range(255, 0, -1)),
    "a pickle of a number": pickle.dumps(5), "a pickle that calls": pickle.dumps({**GOOD, "data": Exploit()}),
    "a pickle of an unknown class": b"\x80\x04cno.module\nThing\n.",
    "a pickle with a set": pickle.dumps({**GOOD, "data": {1, 2}}),
    "deep JSON": b"[" * 200_000, "a deep pickle": b"\x80\x04" + b"(" * 200_000 + b".",
    "a huge memo index": b"\x80\x04Nr\xff\xff\xff\xff.", "an announced gigabyte": b"\x80\x04B\xff\xff\xff\x7f.",
    "a bad attachment": json.dumps({**GOOD, "binary": True, "data": [[{"_placeholder": True, "num": 0}], "A"]}).encode(),
    "an attachment out of range": json.dumps({**GOOD, "binary": True, "data": [[{"_placeholder": True, "num": 7}]]}).encode(),
}


@pytest.mark.ours
@pytest.mark.parametrize("case", BAD)
def test_the_next_message_is_delivered_after(case, redis_server, bridge, raw):
    client = raw()
    for _ in range(3):
        redis_server.client.publish("flask-socketio", BAD[case])
    redis_server.client.publish("flask-socketio", pickle.dumps({**GOOD, "event": "marker"}))
    while (frame := client.receive()) != '42["marker",{"n":1}]':
        assert frame.startswith("42"), frame
    assert bridge.running.process.poll() is None


@pytest.mark.ours
def test_a_message_over_the_limit_is_refused_and_one_at_the_limit_is_delivered(redis_server, start_bridge, closing):
    at_limit = pickle.dumps({**GOOD, "data": "x" * 1000})
    bridge = start_bridge(redis_server, "--max-message", str(len(at_limit)))
    client = closing(RawClient(bridge))
    redis_server.client.publish("flask-socketio", pickle.dumps({**GOOD, "data": "x" * 1001}))
    redis_server.client.publish("flask-socketio", at_limit)
    assert client.receive() == '42["x","%s"]' % ("x" * 1000)
    bridge.running.wait_for_line("bytes; %d are allowed" % len(at_limit))


@pytest.mark.ours
def test_a_bad_message_is_explained_in_the_log(redis_server, start_bridge, closing):
    bridge = start_bridge(redis_server)
    closing(RawClient(bridge))  # a message for nobody need not even be looked at
    redis_server.client.publish("flask-socketio", BAD["a pickle that calls"])
    line = bridge.running.wait_for_line("system")
    assert "byte" in line or "offset" in line, line


@pytest.mark.ours
@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_each_protocol(protocol, redis_server, bridge, raw, room):
    client = raw()
    client.join(room)
    data = {"a": [1, -2.5, None, True, "é😀", 2**70], "b": b"A"}
    redis_server.client.publish("flask-socketio", pickle.dumps({**GOOD, "room": room, "data": data}, protocol))
    assert client.receive() == ('451-["x",{"a":[1,-2.5,null,true,"\\u00e9\\ud83d\\ude00",1180591620717411303424],'
                                '"b":{"_placeholder":true,"num":0}}]')
    assert client.receive() == b"A"


@pytest.mark.ours
def test_a_list_of_arguments_in_json(redis_server, raw, room):
    client = raw()
    client.join(room)
    for data in ([1, "two"], [None], [[1, 2]], []):
        redis_server.client.publish("flask-socketio", json.dumps({**GOOD, "room": room, "data": data, "binary": False}))
    assert [client.receive() for _ in range(4)] == ['42["x",1,"two"]', '42["x"]', '42["x",[1,2]]', '42["x"]']
