"""example/shop: a page that opens with current prices, and gets what it missed."""
import json
import shlex
import signal
import socket
import threading
import time

import pytest
import requests
from selenium.webdriver.common.keys import Keys

from support.example import CONNECTION, Example, messages, room_states
from support.processes import ROOT, Running
from support.waiting import PATIENCE, eventually, free_port

STARTS = ["ws-emit --cors http://localhost:7788 --rules example/shop/rules.conf --recovery 120", "example/shop/run"]
"""What the README says, in two shells."""
RULES = ["--rules", ROOT / "example/shop/rules.conf"]
RECOVERY = ["--recovery", "120"]
STILL = "3600"
"""Seconds between two changes of a shop in which nothing changes during a test."""


class Network:
    """The way from a page to ws-emit: it can break, or go silent as it does for a phone that sleeps."""

    def __init__(self, port):
        self._to = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self._server.getsockname()[1]
        self._pairs = []
        self._lock = threading.Lock()
        self.is_broken = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if self.is_broken:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                near.close()
                continue
            pair = {"ends": (near, far), "is_websocket": False, "is_silent": False}
            with self._lock:
                self._pairs.append(pair)
            for source, target in (near, far), (far, near):
                threading.Thread(target=self._copy, args=(pair, source, target), daemon=True).start()

    def _copy(self, pair, source, target):
        try:
            while data := source.recv(65536):
                pair["is_websocket"] |= b"Upgrade: websocket" in data
                if not pair["is_silent"]:
                    target.sendall(data)
        except OSError:
            pass
        if not pair["is_silent"]:
            self._end(pair)

    def _end(self, pair):
        for end in pair["ends"]:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def breaks(self):
        """Ends all connections; new ones fail."""
        self.is_broken = True
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            self._end(pair)

    def works(self):
        self.is_broken = False

    def goes_silent(self):
        """Nothing passes on the websockets that are there, and neither side learns it. New ones work."""
        with self._lock:
            for pair in self._pairs:
                if pair["is_websocket"]:
                    pair["is_silent"] = True
                else:
                    self._end(pair)

    def close(self):
        self._server.close()
        self.breaks()


@pytest.fixture
def start_shop(own_redis, start_bridge, closing):
    """Starts the shop behind a network of its own. Its Redis keeps nothing of other tests."""
    started = []
    def start(*arguments, flags=(*RULES, *RECOVERY)):
        network = closing(Network(to_port := free_port()))
        shop = Example("example/shop/run", *arguments, redis_server=own_redis, start_bridge=start_bridge, flags=flags, port=to_port,
                       env={"WS_EMIT_URL": network.url})
        shop.network = network
        started.append(shop)
        return shop
    yield start
    for shop in started:
        shop.stop()


class ShopPage:
    def __init__(self, page):
        self.page = page

    def says(self, *parts):
        return self.page.shows("#news", lambda text: all(part in text for part in parts))

    def values(self):
        """Price and stock of each article, as shown."""
        return self.page.run("return Object.fromEntries([...document.querySelectorAll('.article')].map(card => [card.dataset.sku, "
                             "[card.querySelector('.price').textContent, card.querySelector('.stock').textContent]]))")

    def part(self, sku, name, expected):
        return self.page.shows(f"[data-sku={sku}] .{name}", expected)

    def missed(self):
        """The articles that changed while the page was away."""
        return self.page.run("return [...document.querySelectorAll('.article')].filter(card => "
                             "card.querySelector('.changed').textContent === 'missed at').map(card => card.dataset.sku)")


@pytest.fixture
def open_page(chromium):
    def open_page(shop, query=""):
        return ShopPage(chromium.load(shop.url + query))
    return open_page


@pytest.fixture
def emit(own_redis):
    def emit(event, sku, value, was):
        """Publishes a change, as the shop would."""
        return own_redis.client.publish("flask-socketio", json.dumps({
            "method": "emit", "event": event, "namespace": "/", "room": "shop", "skip_sid": None, "callback": None, "binary": False,
            "host_id": "test", "data": {"sku": sku, event: value, "was": was, "at": time.time_ns() // 1_000_000}}))
    return emit


def is_complete(page):
    def values():
        shown = page.values()
        return not any("–" in pair for pair in shown.values()) and shown
    return eventually(values, "all values are there")


# What the README says, in two shells.

def test_the_commands_of_the_readme(start_shop, open_page, monkeypatch):
    monkeypatch.chdir(ROOT)
    serve, run = map(shlex.split, STARTS)
    assert serve[:3] == ["ws-emit", "--cors", "http://localhost:7788"] and run == ["example/shop/run"]
    shop = start_shop("0.1", flags=serve[3:])
    page = open_page(shop)
    is_complete(page)
    before = page.values()
    eventually(lambda: page.values() != before, "the shop changes a value")


# The page opens with the current values.

@pytest.mark.parametrize("query", ["", "?transport=polling"], ids=["websocket", "polling"])
def test_a_page_opens_with_the_current_prices_before_anything_is_emitted(start_shop, open_page, emit, query):
    shop = start_shop(STILL)
    first = open_page(shop)
    is_complete(first)
    emit("price", "honey", 940, 890)
    emit("stock", "press", 0, 3)
    first.part("honey", "price", "€9.40")
    first.part("press", "stock", "sold out")
    shown = first.values()
    second = open_page(shop, query)
    second.says("Live", "Opened with 24 kept values, the oldest from ")
    assert second.values() == shown
    assert messages(second.page) == 24
    assert second.page.run("return document.querySelector('[data-sku=honey] .price-change').textContent") == "▲ €0.50 up"
    assert second.missed() == []


def test_a_change_is_shown_with_its_direction_in_words(start_shop, open_page, emit):
    page = open_page(start_shop(STILL))
    is_complete(page)
    emit("price", "mug", 1350, 1400)
    page.part("mug", "price", "€13.50")
    page.part("mug", "price-change", "▼ €0.50 down")
    emit("stock", "mug", 26, 6)
    page.part("mug", "stock", "26 in stock")
    page.part("mug", "stock-change", "▲ 20 delivered")
    emit("stock", "mug", 2, 26)
    page.part("mug", "stock", "only 2 left")
    page.part("mug", "stock-change", "▼ 24 sold")
    moment = page.page.run("return document.querySelector('[data-sku=mug] time').dateTime")
    assert moment.startswith(time.strftime("%Y-%m-%dT", time.gmtime())) and moment.endswith("Z")


def test_without_the_rules_the_page_says_so(start_shop, open_page):
    shop = start_shop(STILL, flags=[])
    eventually(lambda: shop.bridge.running.output, "ws-emit runs")
    open_page(shop)
    page = open_page(shop)
    page.says("Nothing was kept of 12 of 12 articles", "Does the server have the rules of this example?")


# ws-emit restarts.

def restart(shop, own_redis, start_bridge):
    assert shop.bridge.stop() in (0, -signal.SIGTERM)
    return start_bridge(own_redis, *RULES, *RECOVERY, origins=[shop.origin], port=shop.bridge.port)


def test_a_page_opened_after_a_restart_shows_the_same_prices(start_shop, open_page, emit, own_redis, start_bridge):
    shop = start_shop(STILL)
    page = open_page(shop)
    is_complete(page)
    emit("price", "honey", 940, 890)
    page.part("honey", "price", "€9.40")
    shown = page.values()
    page.page.run("location.href = 'about:blank'")
    restart(shop, own_redis, start_bridge)
    page = open_page(shop)
    page.says("Live", "Opened with 24 kept values")
    assert page.values() == shown
    assert messages(page.page) == 24


def test_a_page_that_is_open_during_a_restart_gets_the_values_again(start_shop, open_page, own_redis, start_bridge):
    shop = start_shop(STILL)
    page = open_page(shop)
    shown = is_complete(page)
    shop.bridge.stop()
    page.says("Reconnecting", "The connection was lost at ", "The prices are from then.")
    restart(shop, own_redis, start_bridge)
    page.says("Live", "Values restored: 0 of 24 had changed.")
    assert page.values() == shown and page.missed() == []


def test_what_changed_while_no_ws_emit_ran_is_emitted_when_one_does(start_shop, open_page, own_redis, start_bridge):
    shop = start_shop("0.1")
    page = open_page(shop)
    before = is_complete(page)
    shop.bridge.stop()
    own_redis.client.flushall()
    restart(shop, own_redis, start_bridge)
    page.says("Live")
    eventually(lambda: page.values() != before, "the page shows what changed")
    is_complete(open_page(shop))


# The page is away.

def test_a_page_that_was_cut_off_catches_up_with_what_it_missed(start_shop, open_page, emit):
    shop = start_shop(STILL)
    page = open_page(shop)
    is_complete(page)
    page.says("Opened")
    shop.network.breaks()
    page.says("Reconnecting")
    for price, was in (1700, 1690), (1720, 1700), (1750, 1720):
        emit("price", "espresso", price, was)
    emit("stock", "jasmine", 3, 9)
    shop.network.works()
    page.says("Live", "Back at ", "Caught up: 2 values changed meanwhile.")
    page.part("espresso", "price", "€17.50")
    page.part("jasmine", "stock", "only 3 left")
    assert page.missed() == ["espresso", "jasmine"]
    assert room_states(page.page) == ["shop joined"]
    emit("stock", "jasmine", 2, 3)
    page.part("jasmine", "stock", "only 2 left")
    assert page.missed() == ["espresso"]


def test_without_recovery_the_page_gets_the_newest_values(start_shop, open_page, emit):
    shop = start_shop(STILL, flags=RULES)
    page = open_page(shop)
    is_complete(page)
    page.says("Opened")
    shop.network.breaks()
    page.says("Reconnecting")
    for price, was in (1700, 1690), (1750, 1700):
        emit("price", "espresso", price, was)
    emit("stock", "jasmine", 3, 9)
    shop.network.works()
    page.says("Live", "Values restored: 2 of 24 had changed.")
    page.part("espresso", "price", "€17.50")
    page.part("espresso", "price-change", "▲ €0.60 up")
    assert page.missed() == ["espresso", "jasmine"]


def test_the_button_puts_the_page_to_sleep_and_it_catches_up(start_shop, open_page, emit):
    page = open_page(start_shop(STILL))
    is_complete(page)
    page.says("Opened")
    page.page.run("document.querySelector('[data-sleep]').dataset.sleep = 1")
    page.page.run("document.querySelector('[data-sleep]').focus()")
    page.page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.says("Asleep", "The connection is closed until ")
    emit("price", "mug", 1350, 1400)
    page.says("Live", "after 1 second.", "Caught up: 1 value changed meanwhile.")
    page.part("mug", "price", "€13.50")


def test_a_phone_that_wakes_notices_at_once_that_its_connection_is_gone(start_shop, open_page, emit):
    shop = start_shop(STILL)
    page = open_page(shop)
    is_complete(page)
    page.says("Opened")
    shop.network.goes_silent()
    emit("price", "mug", 1350, 1400)
    # A minute passes, in which no timer of the page runs. Without the check, the client would wait for the server's ping.
    page.page.run("const now = Date.now; Date.now = () => now() + 60000; document.dispatchEvent(new Event('visibilitychange'))")
    page.says("Live", "Caught up: 1 value changed meanwhile.")
    page.part("mug", "price", "€13.50")


def test_a_gap_of_ws_emit_is_told_and_the_values_come_again(start_shop, open_page, own_redis):
    page = open_page(start_shop(STILL))
    shown = is_complete(page)
    page.says("Opened")
    own_redis.kill()
    own_redis.start()
    page.says("Live", "the server got nothing from the shop.", "Values restored: 0 of 24 had changed.")
    assert page.values() == shown


# The look.

def test_the_page_of_a_busy_shop_catches_up(start_shop, open_page):
    """Its picture is in the documents."""
    shop = start_shop("0.4")
    is_complete(open_page(shop))
    page = open_page(shop)
    page.says("Opened")
    page.page.run("document.querySelector('[data-sleep]').dataset.sleep = 4")
    page.page.click("[data-sleep]")
    page.says("Live", "after 4 seconds", "Caught up: ", " values changed meanwhile.")
    assert page.missed()
    page.page.screenshot("shop", height=900)


def test_no_motion_where_less_of_it_is_wanted(start_shop, open_page, emit):
    page = open_page(start_shop(STILL))
    is_complete(page)
    page.says("Opened")
    emit("price", "mug", 1350, 1400)
    page.part("mug", "price", "€13.50")
    motion = "return getComputedStyle(document.querySelector('[data-sku=mug]')).animationName"
    assert page.page.run(motion) == "fresh"
    page.page._cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    try:
        assert page.page.run(motion) == "none"
    finally:
        page.page._cdp("Emulation.setEmulatedMedia", features=[])


def test_every_control_is_reached_by_keyboard(start_shop, open_page):
    page = open_page(start_shop(STILL))
    reached = []
    for _ in range(2):
        page.page.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached.append(page.page.run("return document.activeElement.textContent"))
    assert reached == ["Sleep 10 seconds", "1 minute"]


def test_the_web_server_knows_no_prices(start_shop):
    settings = requests.get(start_shop(STILL).url + "settings.json", timeout=PATIENCE).json()
    assert settings["articles"][0] == {"sku": "espresso", "name": "Espresso beans", "unit": "1 kg bag"}
    assert "price" not in json.dumps(settings)


@pytest.mark.parametrize("seconds", ["often", "-1", "nan"])
def test_a_time_that_is_none_is_refused(seconds):
    running = Running([ROOT / "example/shop/run", seconds], env={"PORT": str(free_port())})
    assert running.wait_for_exit() == 2, running.output
    assert "SECONDS" in running.output
