"""example/time, its start and its page."""
import os
import shutil
import subprocess

import pytest

from support.example import CONNECTION, MESSAGES, Example, environment, room_states
from support.processes import ROOT, Running
from support.waiting import PATIENCE, eventually, free_port


@pytest.fixture
def example(redis_server, start_bridge):
    example = Example("example/time/run", redis_server=redis_server, start_bridge=start_bridge)
    yield example
    example.stop()


@pytest.mark.parametrize("query, transport", [("", "websocket"), ("?transport=websocket", "websocket"),
                                              ("?transport=polling", "polling")])
def test_the_time_page_updates(chromium, example, query, transport):
    page = chromium.load(example.url + query)
    page.shows(CONNECTION, f"connected by {transport}")
    first = page.shows("#time", str.isdigit)
    page.shows("#time", lambda text: text.isdigit() and int(text) > int(first))
    assert room_states(page) == ["time joined"]
    page.shows(MESSAGES, lambda text: text.endswith(" messages") and int(text.split()[0]) >= 2)
    if not query:
        page.screenshot("time")


def test_the_time_page_says_when_its_origin_is_not_allowed(chromium, example):
    page = chromium.load(example.url.replace("localhost", "127.0.0.1"))
    page.shows(CONNECTION, lambda text: "no connection" in text and f"--cors http://127.0.0.1:{example.port}" in text)


def test_the_time_page_says_that_ws_emit_is_gone_and_comes_back(chromium, example, redis_server, start_bridge):
    page = chromium.load(example.url)
    page.shows(CONNECTION, "connected by websocket")
    example.bridge.stop()
    page.shows(CONNECTION, lambda text: "no connection" in text)
    assert room_states(page) == []
    start_bridge(redis_server, origins=[example.origin], port=example.bridge.port)
    page.shows(CONNECTION, "connected by websocket")
    eventually(lambda: room_states(page) == ["time joined"], "the room is joined again")


def test_without_the_socket_io_client_the_page_says_so(chromium, redis_server, start_bridge):
    example = Example("example/time/run", redis_server=redis_server, start_bridge=start_bridge, env={"SOCKET_IO_JS": "/nowhere.js"})
    try:
        chromium.load(example.url).shows(CONNECTION, lambda text: "could not be loaded" in text and "SOCKET_IO_JS" in text)
    finally:
        example.stop()


def test_emit_sh_reaches_the_page(chromium, example):
    page = chromium.load(example.url + "?transport=websocket")
    page.shows(CONNECTION, "connected by websocket")
    page.run("const all = window.all = []; new MutationObserver(() => all.push(document.getElementById('time').textContent))"
             ".observe(document.getElementById('time'), {childList: true})")
    result = subprocess.run("SECRET=123 example/emit.sh", shell=True, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE,
                            env={**os.environ, "WS_EMIT_URL": example.bridge.url})
    assert (result.returncode, result.stdout) == (0, "OK\n"), result
    eventually(lambda: "111111" in page.run("return window.all"), "the page shows the message")


def test_emit_sh_fails_with_the_answer(bridge):
    result = subprocess.run([ROOT / "example/emit.sh"], capture_output=True, text=True, timeout=PATIENCE,
                            env={**os.environ, "WS_EMIT_URL": bridge.url, "SECRET": "wrong"})
    assert result.returncode != 0 and "Incorrect secret" in result.stdout + result.stderr, result


@pytest.mark.parametrize("release", ["5.4", "5.13"])
def test_the_example_runs_with_older_releases_too(chromium, redis_server, start_bridge, release):
    venv = subprocess.run([ROOT / "scripts/venv", f"emitter-{release}"], capture_output=True, text=True, check=True).stdout.strip()
    example = Example("example/time/run", redis_server=redis_server, start_bridge=start_bridge, env={"PYTHON": f"{venv}/bin/python"})
    try:
        chromium.load(example.url).shows("#time", str.isdigit)
    finally:
        example.stop()


# What `run` says when something is missing.

def start(program="time/run", folder=ROOT / "example", **env):
    return Running([folder / program], env={"PORT": str(free_port()), **env})


def refusal(running):
    assert running.wait_for_exit() == 1, running.output
    return running.output


def test_without_python_it_says_how_to_get_it():
    said = refusal(start(PYTHON="/nowhere/python3"))
    assert said == "example/time: /nowhere/python3 is missing; on Debian: apt-get install python3 python3-venv"


def test_a_python_without_flask_socketio_is_told_how_to_install_it():
    said = refusal(start(PYTHON="/usr/bin/python3"))
    assert "/usr/bin/python3 lacks Flask-SocketIO or redis" in said and "pip install flask-socketio redis" in said


def test_a_python_without_venv_is_told_the_package(tmp_path):
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    said = refusal(start(PATH=f"{tmp_path}:{os.environ['PATH']}"))
    assert said == "example/time: python3 has no venv; on Debian: apt-get install python3-venv"


def test_a_copy_of_the_examples_alone_says_what_to_install(tmp_path):
    shutil.copytree(ROOT / "example", tmp_path / "example", ignore=shutil.ignore_patterns(".build"))
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    said = refusal(start(folder=tmp_path / "example", PATH=f"{tmp_path}:{os.environ['PATH']}"))
    assert "pip install flask-socketio redis" in said


def test_without_redis_it_says_how_to_get_one():
    said = refusal(start(REDIS=f"redis://:hidden@127.0.0.1:{free_port()}/0"))
    assert "time example: Redis can't be used" in said and "apt-get install redis-server" in said
    assert "hidden" not in said


def test_a_port_in_use_is_told(redis_server, example):
    said = refusal(start(PORT=str(example.port), REDIS=redis_server.url))
    assert f"can't listen on port {example.port}: Address already in use" in said


def test_a_port_that_is_no_number_is_told():
    assert "PORT must be a number, it is 'http'" in refusal(start(PORT="http"))


@pytest.fixture
def note(redis_server):
    """Starts the example beside some ws-emit and returns its note."""
    started = []
    def note(ws_emit_url, redis_url=redis_server.url):
        started.append(Running([ROOT / "example/time/run"], env=environment(free_port(), redis_url, ws_emit_url)))
        started[-1].wait_for_line("open http://localhost:")
        return next((line for line in started[-1].lines if line.startswith("note:")), None)
    yield note
    for running in started:
        running.stop()


def test_without_ws_emit_it_starts_and_says_how_to_start_one(note):
    assert "no ws-emit answers at" in (said := note(f"http://127.0.0.1:{free_port()}")) and "--cors http://localhost:" in said


def test_a_ws_emit_that_refuses_the_page_is_told_with_the_option(note, bridge):
    assert "ws-emit refuses the page's origin; start it with --cors http://localhost:" in note(bridge.url)


def test_another_program_in_ws_emits_place_is_told(note, page_server):
    assert "is no ws-emit" in note(page_server.origin)


def test_a_ws_emit_with_another_redis_is_told(note, own_redis, redis_server, start_bridge):
    elsewhere = start_bridge(redis_server, origins=["*"])
    assert "nobody subscribes in this Redis" in note(elsewhere.url, own_redis.url)


def test_nothing_is_noted_when_all_is_well(note, redis_server, start_bridge):
    assert note(start_bridge(redis_server, origins=["*"]).url) is None
