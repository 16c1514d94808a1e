"""example/emitters as their reader runs them: what they emit arrives at ws-emit's clients, and at those of python-socketio's
own servers, exactly as what Python emits."""
import json
import os
import pickle
import subprocess

import pytest

from support.clients import LibraryClient
from support.processes import ROOT, command
from support.python_server import PythonServer, python
from support.waiting import PATIENCE, eventually, free_port

EMITTERS = ROOT / "example/emitters"
# Compiling takes longer than a test may.
pytestmark = pytest.mark.timeout(1800)

ODD_KEY = "é \"'\\ 😀"
ODD_TEXT = "é комната 😀 \"q\" 'a' \\ \\u0041 \n \t \u2028 \x7f \x01 $HOME `x` %41 <&>"
CASES = [
    ("update", {"time": 1}),
    ("update", {"text": ODD_TEXT, "empty": "", ODD_TEXT: ["", {}, [], [[]], {"a": {"b": [{"c": None}]}}]}),
    ("update", {"numbers": [0, -1, 9, 10, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -2**31, -2**31 - 1, 2**53 - 1, 1 - 2**53],
                "floats": [1.5, -0.25, 0.1, 1e3, 1e-7, 1e22, 5e-324]}),
    ("update", {"constants": [True, False, None], "digits": ["1", "01", "1.5", "true", "null", ""]}),
    ("event with \"é\" \\ 😀\nand a line", "text"),
    ("update", ODD_TEXT), ("update", False), ("update", [1, [2, "x"]]), ("update", []), ("update", None),
]
PICKLING = ["emit.py", "emit.sh", "emit.php", "emit.js", "emit.rb", "emit.pl", "emit.go", "swift",
            "emit-manager.py of 5.13"]
JSON_WRITING = ["swift as json", "emit-manager.py of newest"]
INTEGERS = {"emit.py": 10**30, "emit.sh": 10**30, "emit.rb": 10**30, "emit.go": 10**30, "emit.php": 2**63 - 1,
            "emit.pl": 2**63 - 1, "swift": 2**63 - 1, "emit.js": 2**53 - 1}
ALL_DIGITS = [0.1 + 0.2, 1.7976931348623157e308, -2.2250738585072014e-308]
OVER_HTTP = ["emit-curl.sh", "emit.bash", "emit.php", "emit.pl", "emit.js"]


class Program:
    """One of the emitters; calling it gives its exit code and outputs."""

    def __init__(self, name, words, env=None):
        self.name, self.words, self.env = name, [str(word) for word in words], env or {}

    def __call__(self, *arguments, **env):
        clean = {k: v for k, v in os.environ.items() if k not in ("REDIS", "SECRET", "WS_EMIT_URL", "FORMAT")}
        # A Swift program may wait for another test that builds the same package.
        return subprocess.run([*self.words, *arguments], capture_output=True, text=True, timeout=600, cwd=ROOT,
                              env={**clean, **self.env, **env})


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """Emitters by name, compiled where they need it."""
    made = {}

    def compiled(name):
        if name == "emit.go":
            path = tmp_path_factory.mktemp("go") / "emit"
            built = subprocess.run([command("go"), "build", "-o", path, EMITTERS / name], capture_output=True, text=True)
        else:
            build = [command("swift"), "build", "--package-path", str(EMITTERS / "swift")]
            built = subprocess.run(build, capture_output=True, text=True)
            path = subprocess.run([*build, "--show-bin-path"], capture_output=True, text=True).stdout.strip() + "/emit"
        assert built.returncode == 0, built.stdout + built.stderr
        return path

    def make(name):
        if name in made:
            return made[name]
        if name == "emit.go":
            made[name] = Program(name, [compiled(name)])
        elif name == "swift":
            made[name] = Program("emit", [compiled(name)])
        elif name == "swift as json":
            made[name] = Program("emit", make("swift").words, {"FORMAT": "json"})
        elif name.startswith("emit-manager.py of "):
            made[name] = Program("emit-manager.py", [python(name.split()[-1]), EMITTERS / "emit-manager.py"])
        else:
            made[name] = Program(name, [EMITTERS / name])
        return made[name]
    return make


@pytest.fixture(scope="module")
def receivers(redis_server):
    started = {release: PythonServer(release, redis_server) for release in ("5.13", "newest")}
    yield started
    for one in started.values():
        one.stop()


@pytest.fixture
def member(bridge, receivers, closing):
    """Makes a client that has joined a room: of ws-emit, or of a python-socketio server by its release."""
    def make(server, room):
        client = closing(LibraryClient(bridge if server == "ws-emit" else receivers[server], transports=["polling"]))
        assert client.join(room)["ok"]
        return client
    return make


def exact(value):
    """For comparing: 1 and 1.0 are one number, 1 and True are not."""
    if isinstance(value, (list, tuple)):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    return repr(value) if isinstance(value, bool) else value


def arguments(event, room, data):
    return [event, room] if data is None else [event, room, json.dumps(data, ensure_ascii=False)]


def check_deliveries(program, member, emitters, redis_server, room, servers):
    """Each case arrives as what Flask-SocketIO emits of the same arguments."""
    clients = [member(server, room) for server in servers]
    reference = member("ws-emit", room + "-reference")
    for event, data in CASES:
        emitters("5.13").emit(event, data, room=room + "-reference")
        expected = exact(reference.receive())
        result = program(*arguments(event, room, data), REDIS=redis_server.url)
        assert result.returncode == 0 and result.stderr == "", (event, data, result)
        assert program.name == "emit-manager.py" or int(result.stdout) >= 3, result
        for server, client in zip(servers, clients):
            assert exact(client.receive()) == expected, server


@pytest.mark.parametrize("name", PICKLING)
def test_a_pickle_arrives_as_what_python_emits(name, program, member, emitters, redis_server, room):
    check_deliveries(program(name), member, emitters, redis_server, f"{room} é \"'\\ 😀", ["ws-emit", "5.13"])


@pytest.mark.parametrize("name", JSON_WRITING)
def test_json_arrives_as_what_python_emits(name, program, member, emitters, redis_server, room):
    check_deliveries(program(name), member, emitters, redis_server, room, ["ws-emit", "newest"])


@pytest.mark.parametrize("data", [{"a": [1]}, "text", 5, None])
def test_one_argument_as_json_is_read_by_every_release(data, program, member, redis_server, room):
    clients = [member(server, room) for server in ("ws-emit", "5.13", "newest")]
    assert program("swift as json")(*arguments("update", room, data), REDIS=redis_server.url).returncode == 0
    for client in clients:
        assert client.receive() == (("update",) if data is None else ("update", data))


def test_a_list_as_json_is_read_from_5_15_1_on(program, member, redis_server, room):
    clients = {server: member(server, room) for server in ("ws-emit", "5.13", "newest")}
    assert program("swift as json")("update", room, "[1, 2]", REDIS=redis_server.url).returncode == 0
    assert {server: client.receive() for server, client in clients.items()} == {
        "ws-emit": ("update", [1, 2]), "newest": ("update", [1, 2]), "5.13": ("update", [[1, 2]])}


def test_several_arguments_and_bytes_as_json_are_read_from_5_15_1_on(member, redis_server, room):
    """The payload is the one that EventArgumentTests expect of the Swift library."""
    clients = {server: member(server, room) for server in ("ws-emit", "5.13", "newest")}
    data = ('[["x",{"a":{"_placeholder":true,"num":0},"b":[{"_placeholder":true,"num":1}]}],"","AQ=="],"binary":true')
    redis_server.client.publish("flask-socketio", (
        f'{{"method":"emit","event":"update","data":{data},"namespace":"/","room":"{room}","skip_sid":null,'
        '"callback":null,"host_id":"h"}'))
    for server in ("ws-emit", "newest"):
        assert clients[server].receive() == ("update", "x", {"a": b"", "b": [b"\x01"]})
    assert clients["5.13"].receive() == (
        "update", [["x", {"a": {"_placeholder": True, "num": 0}, "b": [{"_placeholder": True, "num": 1}]}], "", "AQ=="])


def test_newer_servers_ignore_pickles(program, member, redis_server, room):
    client = member("newest", room)
    assert program("emit.py")("lost", room, REDIS=redis_server.url).returncode == 0
    assert program("swift as json")("found", room, REDIS=redis_server.url).returncode == 0
    assert client.receive() == ("found",)


@pytest.mark.parametrize("name, number", INTEGERS.items())
def test_integers_are_exact_as_far_as_documented(name, number, program, member, redis_server, room):
    clients = [member(server, room) for server in ("ws-emit", "5.13")]
    assert program(name)("n", room, json.dumps([number, -number]), REDIS=redis_server.url).returncode == 0
    for client in clients:
        assert client.receive() == ("n", [number, -number])


@pytest.mark.parametrize("name", PICKLING + [f"http/{name}" for name in OVER_HTTP if name != "emit.pl"])
def test_floats_keep_all_digits(name, program, bridge, member, redis_server, room):
    client = member("ws-emit", room)
    result = program(name)("n", room, json.dumps(ALL_DIGITS), REDIS=redis_server.url, WS_EMIT_URL=bridge.url, SECRET="123")
    assert result.returncode == 0, result
    assert client.receive() == ("n", ALL_DIGITS)


@pytest.fixture
def published(redis_server):
    """Reads keep and key of the next emit to a room on the channel."""
    subscription = redis_server.client.pubsub(ignore_subscribe_messages=True)
    subscription.subscribe("flask-socketio")
    eventually(lambda: subscription.subscribed, "the test subscribes")
    subscription.get_message(timeout=PATIENCE)
    def keys(room):
        while True:
            payload = eventually(lambda: subscription.get_message(timeout=PATIENCE), "a message is published")["data"]
            message = json.loads(payload) if payload[:1] == b"{" else pickle.loads(payload)
            if message.get("room") == room:
                return [repr(message.get(key)) for key in ("keep", "key")]
    yield keys
    subscription.close()


KEEPS = [(["true"], [True, None]), (["60", "tea"], [60, "tea"]), (["false", ""], [False, None]), (["0.5", ODD_KEY], [0.5, ODD_KEY]),
         (["", "tea"], [None, "tea"])]


@pytest.mark.parametrize("name", PICKLING + JSON_WRITING)
def test_an_emitter_may_ask_to_keep_its_event(name, program, published, member, redis_server, room):
    client = member("newest" if name in JSON_WRITING else "5.13", room)
    for words, keys in KEEPS:
        result = program(name)("update", room, "1", *words, REDIS=redis_server.url)
        assert (result.returncode, result.stderr) == (0, ""), result
        assert published(room) == [repr(key) for key in keys], words
        assert client.receive() == ("update", 1)


@pytest.mark.parametrize("name", [name for name in PICKLING if "of" not in name])
def test_an_empty_room_is_everybody(name, program, own_redis, start_bridge, closing):
    client = closing(LibraryClient(start_bridge(own_redis)))
    assert program(name)("all", "", "1", REDIS=own_redis.url).stdout == "1\n"
    assert client.receive() == ("all", 1)


@pytest.mark.parametrize("name", PICKLING + ["emit-manager.py of newest"])
def test_what_went_wrong_is_one_sentence_and_an_exit_code(name, program, own_redis):
    emit = program(name)
    away, password = f"redis://:Secr3t@127.0.0.1:{free_port()}", f"redis://:Secr3t@127.0.0.1:{own_redis.port}"
    own_redis.client.config_set("requirepass", "another")
    wrong = [(["x"], 64, own_redis.url), (["x", "r", "1", "2", "3", "4"], 64, own_redis.url),
             (["x", "r", "1", "{"], 65, own_redis.url),
             (["x", "r", "1"], 69, away), (["x", "r", "1"], 69, password)]
    wrong += [(["x", "r", text], 65, own_redis.url) for text in ("{", '{"a":}', "[1,]", "[1 2]", "nul", '"a', "1 2", "")]
    if emit.name != "emit-manager.py":
        wrong.append((["x", "r", "1"], 64, "http://:Secr3t@127.0.0.1"))
    for words, code, url in wrong:
        result = emit(*words, REDIS=url)
        assert (result.returncode, result.stdout) == (code, ""), (words, result)
        assert result.stderr.startswith(emit.name + ": ") and result.stderr.count("\n") == 1, (words, result)
        assert "Secr3t" not in result.stderr


@pytest.mark.parametrize("name", PICKLING)
def test_a_login_with_odd_characters(name, program, own_redis):
    own_redis.client.execute_command("ACL", "SETUSER", "ann", "on", ">p w", "+publish", "+ping", "+client", "allchannels")
    subscription = own_redis.client.pubsub(ignore_subscribe_messages=True)
    subscription.subscribe("flask-socketio")
    eventually(lambda: own_redis.subscribers() == 1, "the test subscribes")
    # From now on others need it; this connection stays.
    own_redis.client.config_set("requirepass", "p@ss:/w%rd é\\")
    for login in (":p%40ss%3A%2Fw%25rd%20%C3%A9%5C", "ann:p%20w"):
        result = program(name)("x", "r", "1", REDIS=f"redis://{login}@127.0.0.1:{own_redis.port}/0")
        assert (result.returncode, result.stderr) == (0, ""), result
        assert eventually(lambda: subscription.get_message(timeout=PATIENCE), "the message comes")
    subscription.close()


@pytest.fixture
def http_program():
    return lambda name: Program(name, [EMITTERS / "http" / name])


@pytest.mark.parametrize("name", OVER_HTTP)
def test_http_arrives_as_what_python_emits(name, http_program, bridge, member, emitters, room):
    odd_room = f"{room} é \"'\\ 😀"
    client, reference = member("ws-emit", odd_room), member("ws-emit", room + "-reference")
    for event, data in CASES:
        emitters("5.13").emit(event, data, room=room + "-reference")
        result = http_program(name)(*arguments(event, odd_room, data), WS_EMIT_URL=bridge.url, SECRET="123")
        assert (result.returncode, result.stdout, result.stderr) == (0, "OK\n", ""), (event, data, result)
        assert exact(client.receive()) == exact(reference.receive())


@pytest.mark.parametrize("name", OVER_HTTP)
def test_an_emit_over_http_may_ask_to_be_kept(name, http_program, bridge, published, room):
    for words, keys in KEEPS:
        result = http_program(name)("update", room, "1", *words, WS_EMIT_URL=bridge.url, SECRET="123")
        assert (result.returncode, result.stdout, result.stderr) == (0, "OK\n", ""), result
        assert published(room) == [repr(key) for key in keys], words
    result = http_program(name)("update", room, "1", "0", WS_EMIT_URL=bridge.url, SECRET="123")
    assert result.returncode == 69 and "keep must be true" in result.stdout + result.stderr, result


@pytest.mark.parametrize("name", OVER_HTTP)
def test_http_says_what_went_wrong(name, http_program, bridge):
    emit, nobody = http_program(name), f"http://127.0.0.1:{free_port()}"
    parses = name in ("emit.php", "emit.pl", "emit.js")
    for words, url, secret, code, sentence in [
            (["x"], bridge.url, "123", 64, "usage: "), (["x", "r", "1"], bridge.url, "", 64, "SECRET is not set"),
            (["x", "r", "1"], bridge.url, "Secr3t", 69, "Incorrect secret"),
            (["x", "r", "{"], bridge.url, "123", 65 if parses else 69, "JSON"), (["x", "r", "1"], nobody, "123", 69, "")]:
        result = emit(*words, WS_EMIT_URL=url, SECRET=secret)
        assert result.returncode == code and sentence in result.stdout + result.stderr, (words, result)
        assert result.stderr.count("\n") == 1 and "Secr3t" not in result.stdout + result.stderr, result


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_secret_with_odd_characters(name, http_program, redis_server, start_bridge):
    bridge = start_bridge(redis_server, secret='it\'s "é" \\ 😀')
    result = http_program(name)("x", "r", "1", WS_EMIT_URL=bridge.url, SECRET='it\'s "é" \\ 😀')
    assert (result.returncode, result.stdout) == (0, "OK\n"), result


@pytest.mark.parametrize("path, tool", [("http/emit-curl.sh", "curl"), ("emit.sh", "redis-cli")])
def test_no_secret_is_on_the_command_line_of_a_tool(path, tool, bridge, own_redis, tmp_path):
    """Other users of the machine can read command lines."""
    spy = tmp_path / tool
    spy.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {tmp_path}/words\nexec {command(tool)} \"$@\"\n")
    spy.chmod(0o755)
    own_redis.client.config_set("requirepass", "Secr3t")
    Program(path, [EMITTERS / path])(
        "x", "r", "1", PATH=f"{tmp_path}:{os.environ['PATH']}", WS_EMIT_URL=bridge.url, SECRET="Secr3t",
        REDIS=f"redis://:Secr3t@127.0.0.1:{own_redis.port}")
    words = (tmp_path / "words").read_text()
    assert words and "Secr3t" not in words


def documented(language):
    """The code blocks of the document in one language."""
    text = (ROOT / "docs/emitting.md").read_text()
    return [block.split("```")[0] for block in text.split(f"```{language}\n")[1:]]


def test_the_swift_package_runs_as_documented(program, member, redis_server):
    program("swift")
    client = member("ws-emit", "time")
    run = Program("swift", ["bash", "-c", """
swift run --package-path example/emitters/swift emit update time '{"time": 1}'
"""])
    result = run(REDIS=redis_server.url)
    assert result.returncode == 0, result
    assert client.receive() == ("update", {"time": 1})


@pytest.mark.parametrize("release", ["5.13", "newest"])
@pytest.mark.parametrize("code", documented("python"))
def test_documented_python(code, release, redis_server, member):
    client = member("ws-emit", "time")
    code = code.replace("localhost:6379", f"localhost:{redis_server.port}")
    result = subprocess.run([python(release), "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 0, result
    assert client.receive() == ("update", {"time": 1})


def test_documented_json(redis_server, member):
    client = member("ws-emit", "time")
    for payload in documented("json"):
        redis_server.client.publish("flask-socketio", payload)
        assert client.receive() == ("update", {"time": 1})


def test_documented_swift_is_what_the_swift_tests_run():
    run = (ROOT / "Tests/ChannelEmitterTests/DocumentedExamples.swift").read_text()
    lines = {line.strip() for line in run.replace(r"localhost:\(server.port)", "localhost:6379").splitlines()}
    shown = [line.strip() for block in documented("swift") for line in block.splitlines() if not line.startswith("// Package")]
    assert shown and [line for line in shown if line not in lines] == []
