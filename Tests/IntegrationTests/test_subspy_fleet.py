"""A recording of emitters of three releases, replayed into ws-emit and into Python servers: clients get the same again."""
import gzip
import json

import pytest

from support.clients import RawClient
from support.processes import Bridge, Emitter
from support.python_server import PythonServer
from support.subspy import Subspy, listening, subspy, subspy_redis  # noqa: F401 (fixtures)

RELEASES = ["5.4", "5.13", "newest"]


@pytest.fixture(scope="module")
def receivers(subspy_redis):
    started = {"ws-emit": Bridge(subspy_redis), "5.13": PythonServer("5.13", subspy_redis),
               "newest": PythonServer("newest", subspy_redis)}
    yield started
    for one in started.values():
        one.stop()


@pytest.fixture(scope="module")
def fleet(subspy_redis):
    started = {release: Emitter(release, subspy_redis) for release in RELEASES}
    yield started
    for one in started.values():
        one.stop()


class Clients:
    """On each receiver a client that is new in each run, and one that stays, whose sid some messages leave out."""

    def __init__(self, receivers, closing):
        self.receivers, self.closing = receivers, closing
        self.watchers = {name: closing(RawClient(receiver)) for name, receiver in receivers.items()}

    def join(self):
        self.new = {name: self.closing(RawClient(receiver, namespaces=["/", "/chat"]))
                    for name, receiver in self.receivers.items()}
        for name in self.receivers:
            for room in ("room", "private", "doomed"):
                self.new[name].join(room)
            self.new[name].join("room", namespace="/chat")
            self.watchers[name].join("room")
            self.watchers[name].join("doomed")

    def received(self, name):
        """The frames of both clients on one receiver, up to the last message."""
        return [frames_until_end(client[name]) for client in (self.new, self.watchers)]


def frames_until_end(client):
    frames = []
    while True:
        frame = client.receive()
        if isinstance(frame, str) and '"end"' in frame:
            return frames
        frames.append(frame)


def emit_everything(fleet, skipped):
    for release, emitter in fleet.items():
        emitter.emit("update", {"from": release, "é": [None, True, 1.5, 2**60]}, room="room")
        emitter.emit("text", "комната 😀", room="room")
        emitter.emit("tuple", (1, "b", {"c": None}), room="room")
        emitter.emit("nothing", None, room="room")
        emitter.emit("list", [1, [2]], room=["room", "private"])
        emitter.emit("bytes", {"raw": b"\x00\xff" + release.encode()}, room="room")
        emitter.emit("everybody", 0)
        emitter.emit("chat", {"n": 1}, namespace="/chat", room="room")
        emitter.emit("not-for-all", 1, room="room", skip_sid=skipped)
        emitter.server("emit", "ask", {"question": 1}, room="private", callback=True)
        emitter.emit("before", 1, room="doomed")
    fleet["5.4"].close_room("doomed")
    for emitter in fleet.values():
        emitter.emit("after", 1, room="doomed")
    # JSON is what all receivers understand, each in its way.
    fleet["newest"].emit("end", None, room="room")


@pytest.fixture(scope="module")
def first_time(subspy_redis, receivers, fleet, tmp_path_factory):
    """A recording of the whole fleet, the clients that were there, and what they got."""
    file = tmp_path_factory.mktemp("fleet") / "fleet.jsonl.gz"
    opened = []
    clients = Clients(receivers, lambda client: opened.append(client) or client)
    clients.join()
    before = subspy_redis.subscribers()
    recorder = Subspy("record", file, "--until", "end", redis=subspy_redis)
    listening(subspy_redis, recorder, count=before + 1)
    emit_everything(fleet, [client.sid for client in clients.watchers.values()])
    assert recorder.code() == 0, recorder.error
    yield file, clients, {name: clients.received(name) for name in receivers}
    for client in opened:
        client.close()


def test_each_client_gets_what_it_got_the_first_time(subspy, subspy_redis, first_time):
    file, clients, received = first_time
    # Twelve frames from each release. 5.13 knows nothing of attachments in JSON; the newest receiver reads no pickles, not
    # even the one that closes the room.
    assert {name: len(frames) for name, (frames, _) in received.items()} == {"ws-emit": 36, "5.13": 35, "newest": 13}
    assert '42["update",{"from":"5.4","\\u00e9":[null,true,1.5,1152921504606846976]}]' in received["ws-emit"][0]
    assert "not-for-all" in str(received["ws-emit"][0]) and "not-for-all" not in str(received["ws-emit"][1])
    assert "before" in str(received["5.13"]) and "after" not in str(received["5.13"]) + str(received["ws-emit"])
    for speed in ("max", "20x"):
        clients.join()
        spy = subspy("replay", file, "--speed", speed, redis=subspy_redis)
        again = {name: clients.received(name) for name in received}
        assert spy.code() == 0, spy.error
        assert again == received


def test_the_recording_says_the_same_as_json_lines(subspy, subspy_redis, first_time, tmp_path):
    file, clients, received = first_time
    assert subspy("convert", file, tmp_path / "lines.jsonl").code() == 0
    spy = subspy("diff", file, tmp_path / "lines.jsonl")
    assert spy.rest() == [f"the same {sum('channel' in line for line in recorded(file))} messages"]
    assert spy.code() == 0
    clients.join()
    spy = subspy("replay", tmp_path / "lines.jsonl", "--speed", "max", redis=subspy_redis)
    assert {name: clients.received(name) for name in received} == received
    assert spy.code() == 0, spy.error


def recorded(file):
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


# These come last: what they replay reaches the clients that stay, too.

@pytest.mark.parametrize("form, receiver", [("json", "newest"), ("pickle", "5.13")])
def test_a_receiver_of_one_form_gets_all_when_converted(subspy, subspy_redis, receivers, closing, first_time, form, receiver):
    file, _, received = first_time
    clients = Clients({receiver: receivers[receiver]}, closing)
    clients.join()
    spy = subspy("replay", file, "--as", form, "--speed", "max", redis=subspy_redis)
    # What ws-emit made of the originals is what their emitters meant.
    assert clients.received(receiver)[0] == received["ws-emit"][0]
    assert spy.code() == 0, spy.error
