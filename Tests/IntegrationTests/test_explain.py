"""`ws-emit explain` gives the right answer: one row for each way in which people get it wrong, against the real parts."""
import contextlib
import json
import os
import pickle
import subprocess
import threading
import time

import pytest

from support.clients import RawClient, http_request
from support.processes import RedisServer, Running, redis_program, ws_emit_program
from support.redis_servers import Sentinels
from support.waiting import PATIENCE, eventually, free_port

pytestmark = pytest.mark.ours
HOST = "a" * 32


class Scene:
    """A Redis, a ws-emit, clients, a sender; and what `explain` says of them."""

    def __init__(self, redis_server, start_bridge, closing):
        self.redis, self.start_bridge, self.closing = redis_server, start_bridge, closing
        self.bridge = None
        self.url = redis_server.url
        self.flags = []
        self.sending = None

    def start(self, *flags, redis_url=None, admin=True):
        redis_server = None if redis_url else self.redis
        self.bridge = self.start_bridge(redis_server, "--threads", "2", *flags, redis_url=redis_url, admin=admin)
        if redis_url is None:
            self.bridge.admin.wait_until_ready()
        return self

    def client(self, room=None, namespaces=("/",), **extra):
        client = self.closing(RawClient(self.bridge, namespaces=namespaces))
        if room:
            self.answer = client.join(room, namespace=namespaces[-1], **extra)
        return client

    def sends(self, payload=None, channel="flask-socketio", redis_server=None, before=lambda: None, **changes):
        """Publishes this again and again while `explain` listens, each time after `before`; a key with `...` is left out."""
        message = {"method": "emit", "event": "update", "data": [1], "binary": False, "namespace": "/", "room": "time",
                   "skip_sid": None, "callback": None, "host_id": HOST, **changes}
        message = {key: value for key, value in message.items() if value is not ...}
        payload = json.dumps(message) if payload is None else payload
        self.sending = lambda: (before(), (redis_server or self.redis).client.publish(channel, payload))
        return self

    def explain(self, *arguments):
        where = ["--admin-address", f"127.0.0.1:{self.bridge.admin.port}"] if self.bridge else []
        listening = [] if "--listen" in arguments else ["--listen", "1"]
        done = threading.Event()

        def send():
            while not done.is_set():
                with contextlib.suppress(Exception):
                    self.sending()
                done.wait(0.02)

        thread = threading.Thread(target=send) if self.sending else None
        if thread:
            thread.start()
        try:
            return run("--room", "time", "--redis", self.url, *where, *listening, *self.flags, *arguments)
        finally:
            done.set()
            if thread:
                thread.join()


def run(*arguments, env=None):
    clean = {k: v for k, v in os.environ.items() if k not in ("ADDRESS", "ADMIN_ADDRESS", "REDIS", "SECRET")}
    return subprocess.run([ws_emit_program(), "explain", *arguments], capture_output=True, text=True,
                          env={**clean, **(env or {})}, timeout=PATIENCE * 4)


@pytest.fixture
def scene(own_redis, start_bridge, closing):
    return Scene(own_redis, start_bridge, closing)


def nobody(s):
    s.start().sends().client("another-room-altogether")


def misspelt(s):
    s.start().sends().client("tmie")


def other_case(s):
    s.start().sends().client("Time")


def blank(s):
    s.start().sends().client("time ")


def with_space(s):
    s.redis.client.set("ws-emit::room_secret::dir", "s3")
    s.start().sends().client("dir::time", secret="s3")


def backend_misspelt(s):
    s.start().sends(room="tiem").client("time")


def other_namespace_of_the_page(s):
    s.start().sends().client("time", namespaces=("/", "/chat"))
    s.client()


def other_namespace_of_the_backend(s):
    s.start().sends(namespace="/chat").client("time")


def no_such_namespace(s):
    s.start().sends(namespace="/chat").client("time")
    s.flags += ["--namespace", "/chat"]


def namespace_not_allowed(s):
    s.start("--namespace", "/").sends(namespace="/chat")
    s.flags += ["--namespace", "/chat"]


def wrong_channel_seen(s):
    s.start().sends(channel="socketio").client("time")


def wrong_channel_named(s):
    s.start().client("time")
    s.flags += ["--channel", "socketio"]


def unusable_pickle(s):
    # An object of the backend's own class stands where text was.
    payload = pickle.dumps({"method": "emit", "event": "update", "data": "DATA", "namespace": "/", "room": "time",
                            "skip_sid": None, "callback": None, "host_id": HOST}, 0)
    s.start().sends(payload.replace(b"VDATA\n", b"cshop.models\nColour\n(tR")).client("time")


def pickled_set(s):
    s.start().sends(pickle.dumps({"method": "emit", "event": "update", "data": {1}, "namespace": "/", "room": "time",
                                  "skip_sid": None, "callback": None, "host_id": HOST})).client("time")


def too_large(s):
    s.start("--max-message", "2000").sends(data=["x" * 3000]).client("time")


def no_room_secret(s):
    s.start().sends(room="dir::time").client("dir::time", secret="guess")
    s.flags += ["--room", "dir::time"]


def wrong_room_secret(s):
    s.redis.client.set("ws-emit::room_secret::dir", "s3")
    s.start().sends(room="dir::time").client("dir::time", secret="guess")
    s.flags += ["--room", "dir::time"]


def secret_of_another_type(s):
    s.redis.client.lpush("ws-emit::room_secret::dir", "s3")
    s.start().sends(room="dir::time").client("dir::time", secret="s3")
    s.flags += ["--room", "dir::time"]


def no_secret_given(s):
    s.redis.client.set("ws-emit::room_secret::dir", "s3")
    s.start().sends(room="dir::time").client("dir::time")
    s.flags += ["--room", "dir::time"]


def nobody_connected(s):
    s.start().sends()


def another_parser(s):
    s.start().sends(before=lambda: RawClient(s.bridge, namespaces=()).send(b"\x83\xa4type\x00"))


def without_upgrade(s):
    s.start().sends(before=lambda: http_request(s.bridge, "GET", "/socket.io/?EIO=4&transport=websocket"))


def old_client(s):
    s.start().sends(before=lambda: http_request(s.bridge, "GET", "/socket.io/?EIO=3&transport=polling"))


def session_of_another(s):
    s.start().sends(before=lambda: http_request(
        s.bridge, "GET", "/socket.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA"))


def event_to_nobody(s):
    s.start()
    client = s.client()
    s.sends(before=lambda: client.send('42["joinRoom","time"]'))


def origin_refused(s):
    s.start("--cors", "http://localhost:7788").sends()
    http_request(s.bridge, "GET", "/socket.io/?EIO=4&transport=polling", headers={"Origin": "http://127.0.0.1:7788"})


def ws_emit_is_not_there(s):
    s.flags += ["--admin-address", f"127.0.0.1:{free_port()}"]
    s.sends()


def not_ws_emit(s):
    s.flags += ["--admin-address", f"127.0.0.1:{s.redis.port}"]


def asked_at_the_public_address(s):
    s.start(admin=True)
    public = f"http://127.0.0.1:{s.bridge.port}"
    s.bridge = None
    s.flags += ["--url", public]


def wrong_explain_secret(s):
    s.start(admin=False, redis_url=s.url)
    s.flags += ["--url", f"http://127.0.0.1:{s.bridge.port}", "--secret", "guess"]
    s.bridge = None


def redis_of_ws_emit_is_away(s):
    s.start(redis_url=f"redis://127.0.0.1:{free_port()}/0").sends().client("time")


def redis_of_the_backend_is_away(s):
    s.start().client("time")
    s.url = f"redis://127.0.0.1:{free_port()}/0"


def wrong_password_of_redis(s):
    s.start().client("time")
    s.url = s.url.replace("redis://", "redis://nobody:wrong@")


def no_redis_at_all(s):
    s.start(redis_url="none").sends().client("time")


def other_event(s):
    s.start().sends(event="updates").client("time")
    s.flags += ["--event", "update"]


def room_of_a_number(s):
    s.start().sends(room=5).client("5")
    s.flags += ["--room", "5"]


def nothing_published(s):
    s.start().client("time")


# What is wrong, the code of the answer, words that must be in it, and the exit code.
ROWS = [
    (nobody, "nobody_in_room", ["Nobody is in room time", 'socket.emit("join", {room: "time"})'], 1),
    (misspelt, "nobody_in_room", ["Similar names: tmie"], 1),
    (other_case, "nobody_in_room", ["Similar names: Time"], 1),
    (blank, "nobody_in_room", ["Similar names: time "], 1),
    (with_space, "nobody_in_room", ["Similar names: dir::time"], 1),
    (backend_misspelt, "other_room", ["go to room tiem, not time"], 1),
    (other_namespace_of_the_page, "nobody_in_room", ["members in /chat", "Emit to the namespace"], 1),
    (other_namespace_of_the_backend, "other_namespace", ["go to namespace /chat", 'namespace="/"'], 1),
    (no_such_namespace, "no_such_namespace", ["namespace /chat", "there are clients in /"], 1),
    (namespace_not_allowed, "namespace_not_allowed", ["Clients may open / only", "--namespace /chat"], 1),
    (wrong_channel_seen, "wrong_channel", ["seen on socketio", "listens to flask-socketio", "--channel socketio"], 1),
    (wrong_channel_named, "wrong_channel", ["publishes on socketio", "listens to flask-socketio"], 1),
    (unusable_pickle, "message_refused", ["were refused", "Colour"], 1),
    (pickled_set, "message_refused", [HOST], 1),
    (too_large, "message_refused", [HOST, "2000 are allowed"], 1),
    (no_room_secret, "no_room_secret", ["room-space dir", "redis-cli set ws-emit::room_secret::dir"], 1),
    (wrong_room_secret, "join_refused", ["1 join of room dir::time", "doesn't open"], 1),
    (secret_of_another_type, "secret_wrong_type", [
        "The key ws-emit::room_secret::dir holds no text", "DEL and SET it"], 1),
    (no_secret_given, "join_refused", ["needs a secret"], 1),
    (nobody_connected, "nobody_connected", ["1. No client is connected", "io(url)"], 1),
    (another_parser, "unsupported_parser", ["msgpack", "option parser"], 1),
    (without_upgrade, "websocket_without_upgrade", ["proxy", "proxy_set_header Upgrade"], 1),
    (old_client, "unsupported_version", ["version 3 of Engine.IO", "release 3 or later"], 1),
    (session_of_another, "unknown_session", ["another ws-emit", "withCredentials: true"], 1),
    (event_to_nobody, "unhandled_event", ["joinRoom", "only join and leave"], 1),
    (origin_refused, "origin_refused", [
        "http://127.0.0.1:7788", "--cors http://localhost:7788 http://127.0.0.1:7788", "are different origins"], 1),
    (ws_emit_is_not_there, "unreachable", ["nothing listens there", "Is it running"], 69),
    (not_ws_emit, "unreachable", ["can't be reached"], 69),
    (asked_at_the_public_address, "cannot_ask", ["404", "--admin-address"], 69),
    (wrong_explain_secret, "wrong_secret", ["--secret"], 69),
    (redis_of_ws_emit_is_away, "subscription_lost", ["not ready", "Connection refused"], 1),
    (redis_of_the_backend_is_away, "redis_unreachable", ["Connection refused", "message_queue"], 1),
    (wrong_password_of_redis, "redis_unreachable", ["AUTH", "WRONGPASS"], 1),
    (no_redis_at_all, "no_redis", ["--redis none"], 1),
    (other_event, "other_event", ["gets updates, but no event update", "socket.on"], 1),
    (room_of_a_number, "other_room", ["go to a room that is no text", "room=str("], 1),
    (nothing_published, "nothing_published", ["Nothing was published", "--listen 60"], 1),
]


@pytest.mark.parametrize("wrong, code, words, exit_code", ROWS, ids=[row[0].__name__ for row in ROWS])
def test_the_answer_says_what_is_wrong_and_what_to_change(scene, wrong, code, words, exit_code):
    wrong(scene)
    result = scene.explain()
    assert result.returncode == exit_code, result
    assert f"[{code}]" in result.stdout, result.stdout
    for word in words:
        assert word in result.stdout, (word, result.stdout)
    assert not result.stderr, result.stderr
    assert "Nothing stands in the way" not in result.stdout


def test_two_servers_of_redis_are_told_apart(scene):
    other = RedisServer().start()
    try:
        scene.start().sends(redis_server=other).client("time")
        scene.url = other.url
        result = scene.explain()
        assert result.returncode == 1 and "[other_redis]" in result.stdout, result
        assert other.url in result.stdout and scene.redis.url in result.stdout
    finally:
        other.close()


def test_when_all_is_well_it_says_so(scene):
    scene.start().sends().client("time")
    scene.client("time")
    result = scene.explain("--event", "update")
    assert result.returncode == 0, result
    assert "Nothing stands in the way: 2 clients are in room time." in result.stdout
    assert "Worth knowing" not in result.stdout
    assert "listens to flask-socketio of redis://127.0.0.1" in result.stdout


@pytest.mark.parametrize("changes, what", [
    ({"namespace": None}, "taken for /"), ({"namespace": "chat"}, "no slash"), ({"skip_sid": []}, "skip_sid is an empty list"),
    ({"method": ...}, "there is no method")])
def test_a_sender_whose_messages_are_corrected_is_named_and_nothing_stands_in_the_way(scene, changes, what):
    scene.start().sends(**changes)
    namespace = "/chat" if "namespace" in changes and changes["namespace"] else "/"
    scene.client("time", namespaces=("/", namespace) if namespace != "/" else ("/",))
    result = scene.explain("--event", "update", "--namespace", namespace)
    assert result.returncode == 0 and "Nothing stands in the way" in result.stdout, result
    assert "[sender_to_fix]" in result.stdout and HOST in result.stdout and what in result.stdout, result.stdout
    assert scene.bridge.admin.metric("ws_emit_sender_corrected_total", host_id=HOST, dialect="json-5.15.1") > 0


def test_what_goes_elsewhere_is_not_called_nothing(scene):
    scene.start().sends(namespace="/chat").client("time")
    result = scene.explain()
    assert "[other_namespace]" in result.stdout and "Nothing was published" not in result.stdout, result.stdout


def test_a_namespace_is_asked_for_as_it_would_be_delivered(scene):
    scene.start().sends(namespace="/chat").client("time", namespaces=("/", "/chat"))
    result = scene.explain("--namespace", "chat")
    assert result.returncode == 0 and "1 client is in room time" in result.stdout, result


def test_a_room_without_a_name_is_a_wrong_option(scene):
    result = scene.start().explain("--room", "")
    assert result.returncode == 64 and "--room is empty" in result.stderr, result


def test_another_sender_s_mistakes_are_not_blamed_when_messages_arrive(scene):
    scene.start().sends().client("time")
    scene.redis.client.publish("flask-socketio", b"nonsense")
    scene.bridge.running.wait_for_line("unusable message")
    assert scene.explain().returncode == 0


def test_a_broadcast_is_for_the_room_too(scene):
    scene.start().sends(room=None).client("time")
    assert scene.explain().returncode == 0


def test_by_the_public_address_with_the_secret(scene):
    scene.start(admin=False, redis_url=scene.url).sends().client("time")
    url = f"http://127.0.0.1:{scene.bridge.port}"
    scene.bridge = None
    eventually(lambda: scene.explain("--url", url, "--secret", "123").returncode == 0, "it finds nothing wrong")
    assert run("--room", "x", "--url", url, "--redis", "none", "--listen", "0", env={"SECRET": "123"}).returncode == 1


def test_without_options_it_asks_where_the_settings_of_the_service_say(scene):
    """The admin address first, then the public one with the secret; and the Redis of that ws-emit."""
    scene.start().client("time")
    public, admin = f"127.0.0.1:{scene.bridge.port}", f"127.0.0.1:{scene.bridge.admin.port}"
    by_admin = run("--room", "time", "--listen", "500ms", env={"ADMIN_ADDRESS": admin, "ADDRESS": "127.0.0.1:1"})
    assert by_admin.returncode == 1 and "[nothing_published]" in by_admin.stdout and admin in by_admin.stdout, by_admin
    assert scene.redis.url.removesuffix("/0") in by_admin.stdout and "redis_unreachable" not in by_admin.stdout
    scene.bridge.stop()
    scene.start(admin=False, redis_url=scene.url)
    elsewhere = {"ADMIN_ADDRESS": admin, "ADDRESS": f"0.0.0.0:{scene.bridge.port}"}
    by_secret = run("--room", "time", "--listen", "0", env={**elsewhere, "SECRET": "123"})
    assert by_secret.returncode == 1 and "[nobody_connected]" in by_secret.stdout, by_secret
    assert "[no_secret]" in run("--room", "time", env=elsewhere).stdout and public


def test_the_admin_address_of_the_server_comes_from_the_environment(start_bridge):
    address = f"127.0.0.1:{free_port()}"
    bridge = start_bridge(None, "--redis", "none", env={"ADMIN_ADDRESS": address})
    bridge.running.wait_for_line("answering operators")
    assert run("--room", "x", "--listen", "0", env={"ADMIN_ADDRESS": address}).returncode == 1


def test_it_ends_at_once_with_one_sentence_when_it_can_t_ask(scene):
    nowhere = {"ADMIN_ADDRESS": f"127.0.0.1:{free_port()}", "ADDRESS": f"127.0.0.1:{free_port()}"}
    started = time.monotonic()
    result = run("--room", "time", "--listen", "60", env=nowhere)
    assert result.returncode == 69 and time.monotonic() - started < PATIENCE
    assert len(result.stdout.splitlines()) == 1 and not result.stderr, result
    assert all(f"{address} (nothing listens there)" in result.stdout for address in nowhere.values()), result
    found = run("--room", "time", "--output", "json", env=nowhere)
    assert found.returncode == 69 and [f["code"] for f in json.loads(found.stdout)["findings"]] == ["unreachable"]


def test_older_news_are_notes_with_their_age(scene):
    scene.start().client("time")
    http_request(scene.bridge, "GET", "/socket.io/?EIO=3&transport=polling")
    client = scene.client()
    client.send('42["chat"]')
    client.join("x")
    result = scene.explain("--room", "nobody-s", "--output", "json")
    answer = json.loads(result.stdout)
    assert result.returncode == 1 and not result.stderr
    assert [f["code"] for f in answer["findings"]] == ["nobody_in_room", "nothing_published"], answer
    assert {n["code"]: n["age_seconds"] >= 1 for n in answer["notes"]} == {
        "unhandled_event": True, "unsupported_version": True}
    assert answer["members"] == 0 and answer["channels"] == ["flask-socketio"] and answer["listened_seconds"] == 1.0


def test_it_asks_with_any_name(scene):
    room = "комната &=%/ 😀"
    scene.start().sends(room=room).client(room)
    assert scene.explain("--room", room).returncode == 0


def test_a_crowd_of_rooms_doesn_t_stall_it(scene):
    scene.start("--max-rooms", "20000").sends()
    client = scene.client("tmie")
    for number in range(10_000):
        client.send('42["join",{"room":"time-%05d"}]' % number)
    client.join("last")
    result = scene.explain()
    assert result.returncode == 1 and "[nobody_in_room]" in result.stdout, result


@pytest.mark.parametrize("arguments, word", [
    ((), "--room"), (("--room", "x", "--listen=-1"), "--listen"), (("--room", "x", "--listen", "soon"), "--listen"), (("--room", "x", "--url", "https://x"), "http://"),
    (("--room", "x", "--admin-address", "x"), "--admin-address"), (("--room", "x", "--redis", "http://x"), "redis://"),
    (("--room", "x", "--admin-address", "a:1", "--url", "http://b"), "not both")])
def test_wrong_options_are_a_sentence_and_code_64(arguments, word):
    result = run(*arguments)
    assert result.returncode == 64 and word in result.stderr and not result.stdout, result


def test_help_says_what_it_does():
    result = run("--help")
    assert result.returncode == 0 and "--admin-address" in result.stdout and "Exit code" in result.stdout
    assert "USAGE: ws-emit explain --room <name>" in result.stdout
    program = subprocess.run([ws_emit_program(), "--help"], capture_output=True, text=True)
    assert "ws-emit explain" in program.stdout and "--cors" in program.stdout


@pytest.mark.parametrize("by_flag", [True, False])
def test_it_takes_the_password_of_redis_from_a_file_as_the_server_does(scene, tmp_path, by_flag):
    scene.redis.client.config_set("requirepass", "geheim")
    scene.redis.client.execute_command("AUTH", "geheim")
    file = tmp_path / "password"
    file.write_text("geheim\n")
    scene.bridge = scene.start_bridge(None, "--redis-password-file", str(file), redis_url=scene.url, admin=True)
    scene.bridge.admin.wait_until_ready()
    scene.client("time")
    scene.sends()
    arguments = ("--room", "time", "--redis", scene.url, "--admin-address", f"127.0.0.1:{scene.bridge.admin.port}")
    asked = run(*arguments, *(["--redis-password-file", str(file)] if by_flag else []), "--listen", "1",
                env={} if by_flag else {"REDIS_PASSWORD_FILE": str(file)})
    assert "[redis_unreachable]" not in asked.stdout and "[other_redis]" not in asked.stdout, asked
    refused = run(*arguments, "--listen", "0")
    assert "[redis_unreachable]" in refused.stdout and "AUTH" in refused.stdout, refused


def test_it_listens_at_the_master_that_sentinels_name(scene):
    group = Sentinels()
    try:
        scene.start(redis_url=group.url())
        scene.bridge.admin.wait_until_ready()
        scene.client("time")
        scene.redis, scene.url = group.master, group.url()
        result = scene.sends().explain("--event", "update")
        assert result.returncode == 0, result
    finally:
        group.close()


def test_it_listens_to_a_unix_socket(scene, tmp_path):
    path = tmp_path / "redis.sock"
    server = Running([redis_program(), "--port", "0", "--unixsocket", path, "--save", "", "--dir", tmp_path])
    try:
        scene.start(redis_url=f"unix://{path}")
        scene.bridge.admin.wait_until_ready()
        scene.client("time")
        scene.url = f"unix://{path}"
        result = scene.explain()
        assert result.returncode == 1 and "[nothing_published]" in result.stdout, result
        assert "[redis_unreachable]" not in result.stdout and "[other_redis]" not in result.stdout
    finally:
        server.stop()


@pytest.mark.parametrize("arguments, hint", [
    (("explian", "--room", "x"), "did you mean explain?"), (("Explain",), "did you mean explain?"),
    (("status",), "no command of ws-emit"), (("-v", "explain", "--room", "x"), "explain comes first")])
def test_a_command_that_isn_t_one_is_a_sentence(arguments, hint):
    result = subprocess.run([ws_emit_program(), *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 64 and hint in result.stderr and len(result.stderr.splitlines()) == 1, result
