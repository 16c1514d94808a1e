"""Options, environment, what is printed, how it ends. Environment files of the original work unchanged."""
import json
import os
import re
import signal
import socket
import subprocess

import pytest

from support.clients import LibraryClient, RawClient, http_request
from support.processes import Running, ws_emit_program
from support.waiting import PATIENCE, eventually, free_port

POLL = "/socket.io/?EIO=4&transport=polling"
JSON = {"Content-Type": "application/json"}


def accepts(bridge, origin):
    return http_request(bridge, "GET", POLL, headers={"Origin": origin}).status == 200


def run(*arguments, env=None):
    return subprocess.run([ws_emit_program(), *arguments], capture_output=True, text=True, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})


@pytest.mark.ours
def test_version():
    result = run("--version")
    assert result.returncode == 0 and result.stdout.startswith("ws-emit "), result
    assert any(c.isdigit() for c in result.stdout)


def test_help_names_every_option_of_the_original():
    result = run("--help")
    assert result.returncode == 0
    for option in ("-a", "--address", "--redis", "--cors", "--secret", "--flask-secret", "-v"):
        assert option in result.stdout, option


UNITS = {"host:port", "url", "path", "origin", "text", "name", "release", "format", "space=secret", "rule", "seconds", "bytes", "n"}


@pytest.mark.ours
def test_help_names_the_kind_of_each_value():
    options = [argument for argument in json.loads(run("--experimental-dump-help").stdout)["command"]["arguments"]
               if argument["kind"] == "option"]
    assert len(options) > 30 and {option["valueName"] for option in options} <= UNITS
    assert "--ping-interval <seconds>" in run("--help").stdout


WRONG = [
    ("-a", "8899"), ("-a", "localhost:http"), ("-a", "localhost:70000"), ("-a", "1:2:3:4"), ("-a", ""), ("-a", "[::1]"),
    ("--redis", "http://localhost"), ("--redis", "localhost:6379"), ("--redis", "redis://localhost:port/0"),
    ("--redis", "redis://localhost:6379/x"), ("--redis", "redis://localhost?decode_response=1"), ("--max-redis-queue", "0"), ("--max-secret", "0"),
    ("--redis", "redis+sentinel://a/0/b/c"), ("--redis", "redis://a,b"),
    ("--ping-interval", "0"), ("--ping-interval", "soon"), ("--ping-timeout", "-1"), ("--ping-interval", "nan"),
    ("--max-payload", "0"), ("--max-payload", "1MB"), ("--threads", "0"), ("--threads", "x"),
    ("--max-message", "0"), ("--max-namespaces", "x"), ("--max-pending-acks", "0"), ("--max-unfinished", "1000"), ("--stall-timeout", "0"),
    ("--cors", "good.example"), ("--cors", "https://*.example.org"), ("--cors", "https://a.example/"),
    ("--cors", "http://good.example", "https://a.example/app"), ("--cors", "http://a.example,http://b.example"), ("--path", ""), ("--channel", ""), ("--namespace", "chat"), ("--room-secret", "nothing"),
    ("--keep", ""), ("--keep", "shop:* keep=soon"), ("--keep", "#news"), ("--rules", "/nowhere"), ("--rules", "/"), ("--keep-bytes", "-1"),
    ("--keep-age", "1h"), ("--keep-room-values", "0"), ("--recovery", "0"), ("--recovery-bytes", "0"),
    ("--unknown",), ("stray",), ("-a",),
]


@pytest.mark.ours
@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_a_bad_value_is_one_sentence_and_code_64(arguments):
    result = run(*arguments)
    assert result.returncode == 64, result
    assert len(result.stderr.strip().splitlines()) == 1 and not result.stdout, result


@pytest.mark.ours
@pytest.mark.parametrize("name, value", [
    ("ADDRESS", "8899"), ("REDIS", "http://localhost"), ("CORS", "good.example"), ("CORS", "https://*.example.org"),
    ("CORS", "https://a.example/ http://b.example/app"), ("KEEP", "shop:* slow=fast"), ("RULES", "/nowhere")])
def test_a_bad_value_in_the_environment_too(name, value):
    result = run(env={name: value})
    assert result.returncode == 64 and len(result.stderr.strip().splitlines()) == 1, result


@pytest.mark.ours
def test_each_wrong_rule_is_one_sentence_with_its_line_and_the_server_does_not_start(tmp_path):
    rules = tmp_path / "rules.conf"
    rules.write_bytes(b"\xef\xbb\xbf# prices\r\nshop:* keep=1h\r\nlog:* slow=fast\r\n\r\nshop:* key=/sku\r\n\"a keep")
    result = run("--redis", "none", "--secret", "123", "--keep", "b colour=red\x1b[2J", "--rules", rules)
    assert result.returncode == 64 and not result.stdout, result
    lines = result.stderr.splitlines()
    assert [line.split(" ")[1] for line in lines] == ["--keep:", f"{rules}:3:", f"{rules}:5:", f"{rules}:6:"], lines
    assert lines[1].endswith("slow=fast is no policy: use disconnect, drop-oldest or latest") and "\x1b" not in result.stderr


@pytest.mark.ours
def test_rules_from_a_pipe_and_a_warning_about_one_that_keeps_everything(redis_server, start_bridge, tmp_path):
    pipe = tmp_path / "rules"
    os.mkfifo(pipe)
    writer = subprocess.Popen(["sh", "-c", f"echo '* keep' > '{pipe}'"])
    bridge = start_bridge(redis_server, "--rules", pipe, subscribes=False)
    assert writer.wait(PATIENCE) == 0
    line = bridge.running.wait_for_line("keeps messages of all rooms")
    assert "warning" in line and f"{pipe}:1:" in line and "--keep-bytes" in line


@pytest.mark.ours
def test_without_redis_and_secret_no_message_could_come():
    result = run("-a", f"127.0.0.1:{free_port()}", "--redis", "none", env={"SECRET": ""})
    assert result.returncode == 64 and "--secret" in result.stderr and len(result.stderr.splitlines()) == 1, result


@pytest.mark.ours
def test_another_redis_scheme_names_those_that_work():
    result = run("--redis", "http://localhost")
    assert "redis://" in result.stderr and "unix://" in result.stderr, result.stderr


@pytest.mark.ours
def test_a_port_in_use_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("-a", "127.0.0.1:%d" % taken.getsockname()[1], "--redis", "none", "--secret", "123")
    assert result.returncode not in (0, 64) and result.returncode > 0, result
    assert str(taken.getsockname()[1] if taken.fileno() >= 0 else "") in result.stderr


def test_the_environment_file_of_the_original(redis_server):
    port = free_port()
    server = Running([ws_emit_program()], env={
        "ADDRESS": f"127.0.0.1:{port}", "CORS": "http://one.example http://two.example", "SECRET": "s3",
        "REDIS": redis_server.url, "FLASK_SECRET": "x"})
    try:
        server.wait_for_line("ws-emit started on")
        eventually(lambda: socket.create_connection(("127.0.0.1", port), PATIENCE).close() is None, "it listens")
        bridge = type("Address", (), {"host": "127.0.0.1", "port": port})
        assert accepts(bridge, "http://one.example") and accepts(bridge, "http://two.example")
        assert not accepts(bridge, "http://localhost:7788")
        assert http_request(bridge, "POST", "/emit", '{"event":"x","secret":"s3"}', JSON).status == 200
        assert http_request(bridge, "POST", "/emit", '{"event":"x","secret":"123"}', JSON).status == 403
    finally:
        server.stop()


def test_flags_win_over_the_environment(redis_server, start_bridge):
    bridge = start_bridge(redis_server, origins=["http://flag.example"], secret="flag", subscribes=False, env={
        "ADDRESS": "127.0.0.1:1", "CORS": "http://env.example", "SECRET": "env", "REDIS": "redis://127.0.0.1:1/0"})
    assert accepts(bridge, "http://flag.example") and not accepts(bridge, "http://env.example")
    assert http_request(bridge, "POST", "/emit", '{"event":"x","secret":"flag"}', JSON).status == 200


@pytest.mark.parametrize("origins", [["http://a.example", "http://b.example"], ["http://a.example http://b.example"]])
def test_several_origins_in_both_spellings(redis_server, start_bridge, origins):
    bridge = start_bridge(redis_server, origins=origins, subscribes=False)
    assert accepts(bridge, "http://a.example") and accepts(bridge, "http://b.example")
    assert not accepts(bridge, "http://c.example")


@pytest.mark.ours
def test_cors_may_be_repeated(redis_server, start_bridge):
    bridge = start_bridge(redis_server, "--cors", "http://a.example", "--cors", "http://b.example", subscribes=False)
    assert accepts(bridge, "http://a.example") and accepts(bridge, "http://b.example")


@pytest.mark.ours
def test_an_origin_in_an_old_environment_file_that_matches_no_page_is_only_warned_about(redis_server, start_bridge):
    bridge = start_bridge(redis_server, subscribes=False, env={"CORS": "good.example https://a.example/ http://good.example"})
    assert accepts(bridge, "http://good.example")
    for origin in ("good.example", "https://a.example/"):
        bridge.running.wait_for_line(f"the origin {origin} matches no page")


def test_a_star_anywhere_accepts_every_origin_and_echoes_it(redis_server, start_bridge):
    bridge = start_bridge(redis_server, origins=["http://a.example", "*"], subscribes=False)
    answer = http_request(bridge, "GET", POLL, headers={"Origin": "http://any.example"})
    assert answer.status == 200 and answer.headers["Access-Control-Allow-Origin"] == "http://any.example"


def test_the_default_origin(redis_server, start_bridge):
    bridge = start_bridge(redis_server, subscribes=False)
    assert accepts(bridge, "http://localhost:7788") and not accepts(bridge, "http://127.0.0.1:7788")


def test_an_empty_variable_is_no_variable(redis_server, start_bridge):
    bridge = start_bridge(redis_server, secret=None, subscribes=False, env={"SECRET": "", "ADDRESS": "", "REDIS": ""})
    assert http_request(bridge, "POST", "/emit", "{}", JSON).status == 404


@pytest.mark.ours
def test_an_ipv6_address(redis_server, start_bridge, closing):
    bridge = start_bridge(redis_server, host="::1")
    assert closing(RawClient(bridge)).join("a") == [{"ok": True}]


@pytest.mark.ours
@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_any_number_of_threads(redis_server, start_bridge, closing, some_emitter, room, threads):
    bridge = start_bridge(redis_server, "--threads", threads)
    clients = [closing(RawClient(bridge)) for _ in range(12)]
    for client in clients:
        client.join(room)
    some_emitter.emit("x", 1, room=room)
    some_emitter.emit("y", 2, room=[c.sid for c in clients])
    for client in clients:
        assert [client.receive(), client.receive()] == ['42["x",1]', '42["y",2]']


@pytest.mark.ours
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_clients_and_ends_with_code_0(redis_server, start_bridge, closing, polling, number):
    bridge = start_bridge(redis_server)
    bare, library = closing(RawClient(bridge)), closing(LibraryClient(bridge))
    bridge.running.send_signal(number)
    assert bare.wait_for_close(), "the websocket ended without a close frame"
    assert library.disconnects.get(timeout=PATIENCE) == "/"
    assert bridge.running.wait_for_exit() == 0, bridge.running.output


@pytest.mark.ours
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_that_means_something_to_other_daemons_is_logged_and_ends_nothing(redis_server, start_bridge, closing, number):
    bridge = start_bridge(redis_server)
    client = closing(RawClient(bridge))
    for _ in range(2):
        before = len(bridge.running.lines)
        bridge.running.send_signal(number)
        bridge.running.wait_for_line(f"{number.name} is ignored", after=before)
    assert client.join("a") == [{"ok": True}]
    bridge.running.send_signal(signal.SIGTERM)
    assert bridge.running.wait_for_exit() == 0


@pytest.mark.ours
def test_it_outlives_the_reader_of_its_log():
    port, (reading, writing) = free_port(), os.pipe()
    program = subprocess.Popen([ws_emit_program(), "-a", f"127.0.0.1:{port}", "--redis", "none", "--secret", "123"],
                               stdin=subprocess.DEVNULL, stdout=writing, stderr=writing)
    os.close(writing)
    bridge = type("Address", (), {"host": "127.0.0.1", "port": port})
    try:
        os.read(reading, 1)
        os.close(reading)
        eventually(lambda: http_request(bridge, "GET", "/livez").status == 200, "it answers")
        program.send_signal(signal.SIGHUP)
        assert http_request(bridge, "POST", "/emit", '{"event":"x","secret":"123"}', JSON).status == 200
    finally:
        program.terminate()
        assert program.wait(PATIENCE) == 0


@pytest.mark.ours
def test_a_signal_ends_it_without_redis_too(start_bridge):
    bridge = start_bridge(None, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    bridge.running.send_signal(signal.SIGTERM)
    assert bridge.running.wait_for_exit() == 0


def test_a_signal_may_come_as_soon_as_it_has_started():
    for _ in range(20):
        running = Running([ws_emit_program(), "-a", f"127.0.0.1:{free_port()}", "--redis", "none", "--secret", "123"])
        running.wait_for_line("ws-emit started on")
        running.send_signal(signal.SIGTERM)
        assert running.wait_for_exit() == 0, running.output


def test_start_up_says_where_and_for_whom(redis_server, start_bridge):
    bridge = start_bridge(redis_server, origins=["http://a.example"], subscribes=False, secret="not-for-the-log")
    line = bridge.running.wait_for_line("ws-emit started on")
    assert bridge.address in line and "http://a.example" in line
    bridge.running.wait_for_line("Enable HTTP emitting with secret")
    assert "not-for-the-log" not in bridge.running.output


@pytest.mark.ours
def test_start_up_says_how_many_connections_it_takes(redis_server, start_bridge):
    line = start_bridge(redis_server, "--max-connections", "77", subscribes=False).running.wait_for_line("connections at a time")
    assert "at most 77 " in line and re.search(r"open_files_limit=\d+$", line), line
    own = start_bridge(redis_server, subscribes=False).running.wait_for_line("connections at a time")
    most, limit = map(int, re.search(r"at most (\d+) .*open_files_limit=(\d+)", own).groups())
    assert 0 < most < limit
    beyond = start_bridge(redis_server, "--max-connections", "9999999", subscribes=False).running.wait_for_line("open_files_limit=")
    assert "warning" in beyond and "--max-connections 9999999 can't be reached" in beyond and "LimitNOFILE=" in beyond


@pytest.mark.ours
def test_verbose_says_what_clients_do(redis_server, start_bridge, closing):
    bridge = start_bridge(redis_server, "-v")
    client = closing(RawClient(bridge))
    client.join("dir::x", secret="hidden-from-the-log")
    bridge.running.wait_for_line(client.sid)
    assert "hidden-from-the-log" not in bridge.running.output


@pytest.mark.ours
@pytest.mark.parametrize("threads", [1, 8, 64])
@pytest.mark.parametrize("files", [8, 40, 64, 100, 200])
def test_with_few_files_it_serves_with_fewer_event_loops_or_says_why_not(redis_server, closing, files, threads):
    port = free_port()
    server = Running(["prlimit", f"--nofile={files}", ws_emit_program(), "-a", f"127.0.0.1:{port}", "--redis", redis_server.url,
                      "--threads", threads])
    try:
        eventually(lambda: server.process.poll() is not None or "ws-emit started" in server.output, "it starts or ends")
        if files < 50:
            assert server.wait_for_exit() == 71 and len(server.lines) == 1, server.output
            assert "files" in server.output and "LimitNOFILE" in server.output
            return
        bridge = type("Address", (), {"websocket_url": lambda self, path: f"ws://127.0.0.1:{port}{path}?EIO=4&transport=websocket"})()
        clients = [closing(RawClient(bridge)) for _ in range(12)]
        assert all(client.join("r") == [{"ok": True}] for client in clients)
        if threads > 1:
            assert "event loops are" in server.wait_for_line("files may be opened")
        assert server.process.poll() is None
    finally:
        assert server.stop() in (0, 71)
