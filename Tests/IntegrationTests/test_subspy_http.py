"""A recording posted to a ws-emit's /emit: what arrives, what the request can't say, and what the server answers."""
import http.server
import json
import pickle
import threading

import pytest

from support.subspy import TIME, listening, subspy  # noqa: F401 (fixture)
from support.waiting import free_port
from test_subspy_convert import recording


def replayed(subspy, path, target, *arguments, code=0, secret="123"):
    """What a replay to this address says."""
    spy = subspy("replay", path, "--to-http", target, "--speed", "max", *arguments, env={"SECRET": secret})
    assert spy.rest() == []
    assert spy.code() == code, spy.error
    return spy.error


def emit(room, data, **changes):
    return {**TIME, "room": room, "data": data, **changes}


def modern(room, data, **changes):
    """As python-socketio 5.15.1 and later write it."""
    return json.dumps({**emit(room, data, **changes), "binary": False}).encode()


def test_emits_of_each_dialect_arrive(subspy, bridge, raw, room, tmp_path):
    client = raw()
    client.join(room)
    payloads = [pickle.dumps(emit(room, {"n": 1})), pickle.dumps(emit([room], [1, 2]), 0), json.dumps(emit(room, "old", host_id="older")).encode(),
                modern(room, [{"n": 2.0}]), modern(room, [[1]]), modern(room, [None]), pickle.dumps(emit(room, None)),
                pickle.dumps(emit(room, ("one",))), pickle.dumps(emit("nobody-there", 1)), modern(room, [2**70])]
    error = replayed(subspy, recording(tmp_path / "r", *payloads), bridge.url)
    assert error == f"subspy: published 10 messages, {sum(map(len, payloads))} bytes\n"
    frames = ['{"n":1}', "[1,2]", '"old"', '{"n":2.0}', "[1]", None, None, '"one"', str(2**70)]
    assert [client.receive() for _ in frames] == [f'42["update",{frame}]' if frame else '42["update"]' for frame in frames]


def test_namespaces_and_everybody(subspy, bridge, raw, tmp_path):
    client = raw(namespaces=["/chat"])
    replayed(subspy, recording(tmp_path / "r", pickle.dumps(emit(None, 1, namespace="/chat"))), bridge.url + "/emit")
    assert client.receive() == '42/chat,["update",1]'


def test_what_the_request_can_not_say_is_counted(subspy, bridge, raw, room, tmp_path):
    client = raw()
    client.join(room)
    said = [pickle.dumps(emit(room, 1, callback=("x", "/", 1))), pickle.dumps(emit(room, 2, skip_sid="x")), pickle.dumps(emit(room, 3))]
    unsaid = [pickle.dumps({"method": "close_room", "room": room, "namespace": "/"}), pickle.dumps(emit(room, (1, 2))),
              pickle.dumps(emit(room, b"A")), pickle.dumps(emit(room, (None,))), pickle.dumps(emit(room, 1, namespace=None)),
              b"garbage", pickle.dumps(emit(room, {1, 2}))]
    error = replayed(subspy, recording(tmp_path / "r", *unsaid, *said), bridge.url)
    assert error == (
        "subspy: a message can't be posted and is left out: only emits can be posted\n"
        f"subspy: published 3 messages, {sum(map(len, said))} bytes; 2 without callback or skip_sid, which /emit can't say; "
        f"{len(unsaid)} left out, which /emit can't say\n")
    assert [client.receive() for _ in said] == ['42["update",1]', '42["update",2]', '42["update",3]']


def test_keep_and_key_are_posted(subspy, bridge, redis_server, room, tmp_path):
    spy = listening(redis_server, subspy("--room", room, "--output", "json", "--count", 3, redis=redis_server))
    sent = [pickle.dumps(emit(room, 1, keep=60, key="tea")), modern(room, [2], keep=False), pickle.dumps(emit(room, 3, keep=None))]
    replayed(subspy, recording(tmp_path / "r", *sent), bridge.url)
    messages = [json.loads(line)["message"] for line in spy.rest()]
    assert [(one["data"], one.get("keep"), one.get("key")) for one in messages] == [(1, 60, "tea"), (2, False, None), (3, None, None)]


def test_filters_rewriting_and_a_secret_file(subspy, bridge, raw, room, tmp_path):
    client = raw()
    client.join(room)
    (tmp_path / "secret").write_text("123\nnot this\n")
    path = recording(tmp_path / "r", pickle.dumps(emit("x", 1)), pickle.dumps(emit("y", 2)))
    replayed(subspy, path, bridge.url, "--room", "y", "--set-room", room, "--secret-file", tmp_path / "secret", secret="wrong")
    assert client.receive() == '42["update",2]'


def test_a_wrong_secret(subspy, bridge, tmp_path):
    error = replayed(subspy, recording(tmp_path / "r", pickle.dumps(emit("x", 1))), bridge.url, secret="geheim", code=77)
    assert error.splitlines()[0] == (
        f"subspy: {bridge.url}/emit refused the secret (403 Forbidden): check SECRET or --secret-file")
    assert "geheim" not in error


def test_a_server_without_emit(subspy, redis_server, start_bridge, tmp_path):
    bridge = start_bridge(redis_server, secret=None)
    error = replayed(subspy, recording(tmp_path / "r", pickle.dumps(emit("x", 1))), bridge.url, code=69)
    assert error.splitlines()[0] == (
        f"subspy: {bridge.url}/emit takes no emits (404 Not Found: There is nothing at this address.): "
        "ws-emit does at /emit, when it has a secret")


def test_a_message_that_is_too_large_is_left_out(subspy, bridge, raw, room, tmp_path):
    client = raw()
    client.join(room)
    large = pickle.dumps(emit(room, "x" * 5_000_000))
    error = replayed(subspy, recording(tmp_path / "r", large, pickle.dumps(emit(room, 1))), bridge.url, code=65)
    assert f"{bridge.url}/emit refused a message, which is left out: 413 Payload Too Large: The body may have" in error
    assert error.endswith("; 1 refused\n")
    assert client.receive() == '42["update",1]'


@pytest.fixture
def server():
    """A server whose answers the test gives, each a status and whether the connection stays open; None drops it."""
    answers, seen = [], []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            seen.append((self.client_address, self.headers["Host"], json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            answer = answers.pop(0)
            if answer is None:
                self.close_connection = True
                return
            status, stays = answer
            self.send_response(status)
            self.send_header("Content-Length", "3")
            if not stays:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"OK\n")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.answers, server.seen = answers, seen
    yield server
    server.shutdown()
    server.server_close()


def test_connections_are_kept_while_they_last(subspy, server, tmp_path):
    server.answers += [(200, True), (200, False), (200, True)]
    replayed(subspy, recording(tmp_path / "r", *(pickle.dumps(emit("x", n)) for n in range(3))), server.url + "/other?x=1")
    addresses = [address for address, _, _ in server.seen]
    assert addresses[0] == addresses[1] != addresses[2]
    assert [body for _, _, body in server.seen] == [
        {"event": "update", "data": n, "room": "x", "namespace": "/", "secret": "123"} for n in range(3)]
    assert server.seen[0][1] == f"127.0.0.1:{server.server_port}"


@pytest.mark.parametrize("answer, said", [((500, True), "answered 500 Internal Server Error"),
                                          (None, "has not answered: the server closed the connection; message 2 and those after it")])
def test_a_failing_server_ends_the_replay(subspy, server, tmp_path, answer, said):
    server.answers += [(200, True), answer]
    error = replayed(subspy, recording(tmp_path / "r", *[pickle.dumps(emit("x", 1))] * 3), server.url, code=75)
    assert f"subspy: {server.url}/emit {said}" in error and "published 1 message," in error


def test_a_server_that_is_away(subspy, redis_server, start_bridge, tmp_path):
    path = recording(tmp_path / "r", pickle.dumps(emit("x", 1)))
    port = free_port()
    assert replayed(subspy, path, f"http://127.0.0.1:{port}", "--no-wait", code=69) .startswith(
        f"subspy: http://127.0.0.1:{port}/emit can't be reached: Connection refused\n")
    spy = subspy("replay", path, "--to-http", f"http://127.0.0.1:{port}", env={"SECRET": "123"})
    spy.wait_for_error("trying again until it is there: Connection refused")
    start_bridge(redis_server, port=port)
    assert spy.code() == 0


@pytest.mark.parametrize("arguments, sentence", [
    (["--to-http", "http://u:geheim@127.0.0.1"], "no user and password"), (["--to-http", "http://127.0.0.1"], "SECRET"),
    (["--to-http", "http://127.0.0.1", "--secret-file", "/nonexistent"], "No such file"),
    (["--to-http", "http://192.0.2.1", "--secret-file", "/etc/hostname"], "http://192.0.2.1/emit is another machine: add --yes"),
    (["--to-http", "http://127.evil.example", "--secret-file", "/etc/hostname"], "another machine")])
def test_bad_options(subspy, tmp_path, arguments, sentence):
    spy = subspy("replay", recording(tmp_path / "r"), *arguments)
    assert spy.rest() == []
    assert spy.code() == 64
    assert sentence in spy.error and spy.error.count("\n") == 1 and "geheim" not in spy.error
