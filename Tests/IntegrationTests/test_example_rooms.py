"""example/rooms: a public room, a locked one that opens, and one that doesn't."""
import subprocess

import pytest
import requests

from support.example import CONNECTION, Example, messages, room_states
from support.waiting import eventually

REASON = "the secret doesn't open this room-space"


@pytest.fixture
def example(redis_server, start_bridge):
    example = Example("example/rooms/run", redis_server=redis_server, start_bridge=start_bridge)
    yield example
    example.stop()


def panel(room, part):
    return f".panel[data-room='{room}'] {part}"


def received(page, room):
    return page.run("return document.querySelector(arguments[0]).textContent", panel(room, "ol"))


@pytest.mark.parametrize("query, transport", [("", "websocket"), ("?transport=polling", "polling")])
def test_open_rooms_get_messages_and_the_refused_one_its_reason(chromium, example, query, transport):
    page = chromium.load(example.url + query)
    page.shows(CONNECTION, f"connected by {transport}")
    page.shows(panel("news", ".badge"), "joined")
    page.shows(panel("team::chat", ".badge"), "joined")
    page.shows(panel("vault::plans", ".badge"), "refused")
    page.shows(panel("vault::plans", ".reason"), f"ws-emit answered: {REASON}.")
    assert sorted(room_states(page)) == ["news joined", "team::chat joined", f"vault::plans refused: {REASON}"]
    # Three rounds of the backend, which emits to the vault as well.
    eventually(lambda: received(page, "news").count("to news") >= 3, "news arrives")
    eventually(lambda: received(page, "team::chat").count("to team::chat") >= 2, "the team's messages arrive")
    assert received(page, "vault::plans") == ""
    assert messages(page) >= 5
    if not query:
        page.screenshot("rooms", height=600)


def test_the_refused_room_opens_with_the_secret(chromium, example, redis_server):
    page = chromium.load(example.url)
    page.shows(panel("vault::plans", ".badge"), "refused")
    line = "redis-cli get ws-emit::room_secret::vault".replace("redis-cli", f"redis-cli -p {redis_server.port}")
    found = subprocess.run(line, shell=True, capture_output=True, text=True, check=True)
    page.run("document.getElementById('secret').value = arguments[0]", found.stdout.strip())
    page.click("#knock button")
    page.shows(panel("vault::plans", ".badge"), "joined")
    eventually(lambda: "to vault::plans" in received(page, "vault::plans"), "the vault's messages arrive")
    assert page.run("return document.getElementById('knock').hidden")


def test_the_page_is_not_told_the_secret_it_should_not_know(example, redis_server):
    settings = requests.get(example.url + "settings.json", timeout=30).json()
    secret = lambda space: redis_server.client.get("ws-emit::room_secret::" + space).decode()
    assert settings == {"ws_emit_url": example.bridge.url, "team_secret": secret("team")}
    assert secret("vault") != secret("team")


def test_a_secret_that_somebody_chose_stays(redis_server, start_bridge, chromium):
    redis_server.client.set("ws-emit::room_secret::team", "chosen")
    example = Example("example/rooms/run", redis_server=redis_server, start_bridge=start_bridge)
    try:
        chromium.load(example.url).shows(panel("team::chat", ".badge"), "joined")
        assert redis_server.client.get("ws-emit::room_secret::team") == b"chosen"
    finally:
        example.stop()
        redis_server.client.delete("ws-emit::room_secret::team")
