"""Prices and stock of a shop, as they change: shop [SECONDS]. Settings: see shared/web.py.

The web server has no current values to give: ws-emit keeps the last message of each article (rules.conf).
"""
import argparse
import pathlib
import random
import time

import redis
import web
from flask_socketio import SocketIO

CHANNEL = "flask-socketio"
socketio = SocketIO(message_queue=web.REDIS, channel=CHANNEL)
database = redis.Redis.from_url(web.REDIS)


class Article:
    """What the shop knows of an article. Prices are in cents."""

    def __init__(self, sku, name, unit, price, stock):
        self.sku, self.name, self.unit, self.list_price = sku, name, unit, price
        self.messages = {}
        self.set("price", price)
        self.set("stock", stock)

    def set(self, event, value):
        """Notes a change, as the message that tells of it. `was` is the value before, `at` is in milliseconds since 1970."""
        was = self.messages[event][event] if event in self.messages else None
        self.messages[event] = {"sku": self.sku, event: value, "was": was, "at": time.time_ns() // 1_000_000}

    def sell_or_reprice(self):
        """Changes the price or the stock a little. Returns which of the two."""
        if random.random() < 0.4:
            price = self.messages["price"]["price"]
            bound = self.list_price // 4
            steps = [step for step in (-40, -20, -10, 10, 20, 30) if abs(price + step - self.list_price) <= bound]
            self.set("price", price + random.choice(steps))
            return "price"
        stock = self.messages["stock"]["stock"]
        self.set("stock", stock - random.randint(1, min(3, stock)) if stock else random.randint(8, 30))
        return "stock"


ARTICLES = [Article(*row) for row in (
    ("espresso", "Espresso beans", "1 kg bag", 1690, 24),
    ("filter", "Filter coffee", "500 g bag", 780, 31),
    ("earl-grey", "Earl Grey", "100 g tin", 540, 18),
    ("jasmine", "Jasmine tea", "100 g tin", 620, 9),
    ("chocolate", "Dark chocolate", "100 g bar", 260, 40),
    ("shortbread", "Shortbread", "200 g tin", 450, 12),
    ("marmalade", "Marmalade", "340 g jar", 390, 16),
    ("honey", "Forest honey", "500 g jar", 890, 4),
    ("olive-oil", "Olive oil", "750 ml bottle", 1250, 14),
    ("sea-salt", "Sea salt", "250 g box", 320, 27),
    ("mug", "Stoneware mug", "300 ml", 1400, 6),
    ("press", "French press", "8 cups", 3400, 3),
)]


def is_heard():
    """Redis passes messages on to those who subscribe now; without a ws-emit, a message is lost."""
    try:
        return database.pubsub_numsub(CHANNEL)[0][1] > 0
    except redis.RedisError:
        return False


def trade(seconds):
    """Emits each change. When ws-emit is there, or there again, it may have missed some: then emits everything."""
    was_heard = False
    changed = None
    while True:
        if is_heard():
            everything = [(article, event) for article in ARTICLES for event in article.messages]
            for article, event in [changed] if was_heard else everything:
                socketio.emit(event, article.messages[event], room="shop")
            was_heard = True
        else:
            was_heard = False
        time.sleep(random.uniform(0.5, 1.5) * seconds)
        article = random.choice(ARTICLES)
        changed = article, article.sell_or_reprice()


def names():
    return {"articles": [{"sku": article.sku, "name": article.name, "unit": article.unit} for article in ARTICLES]}


def positive(text):
    """A number of seconds from the command line."""
    if not 0 < (seconds := float(text)) < float("inf"):
        raise ValueError
    return seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="shop/run", description="Shows prices and stock of a shop in the browser, as they change.")
    parser.add_argument("seconds", metavar="SECONDS", nargs="?", type=positive, default=1.5,
                        help="between two changes, on average; 1.5 by default")
    seconds = parser.parse_args().seconds
    web.serve(web.make_app(pathlib.Path(__file__).resolve().parent, names), lambda: trade(seconds))
