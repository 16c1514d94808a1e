"""What all example pages promise: they fit a phone, can be read in light and dark, and break no rule of their policy."""
import re

import pytest
import requests

from support.example import CONNECTION, Example
from support.processes import ROOT
from support.waiting import PATIENCE


@pytest.fixture(params=["time", "rooms", "dir2web", "shop"])
def example(request, tmp_path, redis_server, start_bridge):
    for name in "x" * 255, "plain.txt", "日" * 80:
        (tmp_path / name).write_text("word " * 500 + "x" * 500)
    arguments = [tmp_path] if request.param == "dir2web" else []
    example = Example(f"example/{request.param}/run", *arguments, redis_server=redis_server, start_bridge=start_bridge)
    yield example
    example.stop()


@pytest.fixture
def page(example, chromium):
    chromium.console_errors()
    page = chromium.load(example.url)
    page.shows(CONNECTION, "connected by websocket")
    page.shows("[data-rooms] li:last-child", lambda text: "joined" in text or "refused" in text)
    return page


@pytest.mark.parametrize("width", [320, 390])
def test_the_page_fits_a_phone(page, width):
    page.run("document.querySelector('#files button')?.click()")
    page.resize(width, 700)
    try:
        assert page.run("return [document.documentElement.scrollWidth, innerWidth]") == [width, width]
    finally:
        page.resize()


def test_the_page_breaks_no_rule_of_its_policy(page, example, chromium):
    assert chromium.console_errors() == []
    policy = requests.get(example.url, timeout=PATIENCE).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert f"connect-src 'self' {example.bridge.url} {example.bridge.url.replace('http', 'ws')}" in policy


def test_the_state_and_every_control_has_a_name(page):
    assert page.run("return document.querySelector('[data-connection]').getAttribute('role')") == "status"
    nameless = page.run("return [...document.querySelectorAll('button, input, ul, img, section')].filter(element => "
                        "!element.textContent.trim() && !element.labels?.length && !element.hasAttribute('aria-label') && "
                        "!element.hasAttribute('alt') && !element.hasAttribute('aria-labelledby')).map(element => element.outerHTML)")
    assert [html for html in nameless if 'id="files"' not in html] == []


def test_another_name_for_the_server_is_refused(example):
    answer = requests.get(example.url, headers={"Host": f"evil.example:{example.port}"}, timeout=PATIENCE)
    assert answer.status_code == 421 and "HOSTS" in answer.text


def brightness(color):
    """Relative luminance, WCAG 2.2."""
    def linear(part):
        part = int(part, 16) / 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
    return sum(weight * linear(color[i:i + 2]) for weight, i in ((0.2126, 1), (0.7152, 3), (0.0722, 5)))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_each_ground(scheme):
    style = (ROOT / "example/shared/style.css").read_text()
    colors = dict(re.findall(r"--(\w+): (#\w{6})", style.split("prefers-color-scheme: dark")[scheme]))
    def contrast(text, ground):
        light, dark = sorted((brightness(colors[text]), brightness(colors[ground])), reverse=True)
        return (light + 0.05) / (dark + 0.05)
    pairs = [(text, ground) for text in ("text", "muted", "accent", "good", "bad") for ground in ("ground", "panel", "code")]
    pairs += [(text, "flash") for text in ("text", "muted", "accent", "good", "bad")]
    assert {pair: round(contrast(*pair), 1) for pair in pairs if contrast(*pair) < 4.5} == {}
