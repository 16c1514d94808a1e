"""The examples as a visitor runs them, with the client from a local file in place of the CDN."""
import os
import subprocess

import pytest

from support.browser import client_script
from support.processes import ROOT, Running
from support.waiting import PATIENCE, eventually, free_port


def shown(page, script, condition):
    return eventually(lambda: condition(value := page.run("return " + script)) and (value or True), script)


@pytest.fixture
def example(redis_server, start_bridge):
    port = free_port()
    bridge = start_bridge(redis_server, origins=[f"http://localhost:{port}"])
    program = Running([ROOT / "example/time/run"], env={
        "PORT": str(port), "REDIS": redis_server.url, "WS_EMIT_URL": bridge.url, "SOCKET_IO_JS": str(client_script())})
    program.wait_for_line("Running on")
    yield type("Example", (), {"url": f"http://localhost:{port}/", "bridge": bridge, "output": program.output})
    program.stop()


TIME = "document.getElementById('time').textContent"
STATE = "document.getElementById('state').textContent"


@pytest.mark.parametrize("query, transport", [("", "websocket"), ("?transport=websocket", "websocket"),
                                              ("?transport=polling", "polling")])
def test_the_time_page_updates(chromium, example, query, transport):
    page = chromium.load(example.url + query)
    shown(page, STATE, lambda text: text == f"connected by {transport}")
    first = shown(page, TIME, str.isdigit)
    shown(page, TIME, lambda text: text.isdigit() and int(text) > int(first))


def test_the_time_page_says_when_its_origin_is_not_allowed(chromium, example):
    page = chromium.load(example.url.replace("localhost", "127.0.0.1"))
    shown(page, STATE, lambda text: "no connection" in text and "--cors" in text)


def test_emit_sh_reaches_the_page(chromium, example):
    page = chromium.load(example.url + "?transport=websocket")
    shown(page, STATE, lambda text: text.startswith("connected"))
    page.run("const all = window.all = []; new MutationObserver(() => all.push(document.getElementById('time').textContent))"
             ".observe(document.getElementById('time'), {childList: true})")
    result = subprocess.run([ROOT / "example/emit.sh"], capture_output=True, text=True, timeout=PATIENCE,
                            env={**os.environ, "WS_EMIT_URL": example.bridge.url, "SECRET": "123"})
    assert (result.returncode, result.stdout) == (0, "OK\n"), result
    shown(page, "window.all", lambda all: "111111" in all)


def test_emit_sh_fails_with_the_answer(bridge):
    result = subprocess.run([ROOT / "example/emit.sh"], capture_output=True, text=True, timeout=PATIENCE,
                            env={**os.environ, "WS_EMIT_URL": bridge.url, "SECRET": "wrong"})
    assert result.returncode != 0 and "Incorrect secret" in result.stdout + result.stderr, result
