"""What the tests share: a Redis, a ws-emit, emitters of three releases, a browser. Everything is ended by its process id."""
import os
import uuid

import pytest

from support.browser import Browser, PageServer
from support.clients import LibraryClient, PollingClient, RawClient
from support.processes import Bridge, Emitter, RedisServer

SECRET = "123"
# The workers of pytest-xdist have it, and subspy would fit its tables into that width.
os.environ.pop("COLUMNS", None)


@pytest.fixture(scope="session")
def redis_server():
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def page_server():
    """Serves the test page; its origin is one that `bridge` accepts."""
    server = PageServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def bridge(redis_server, page_server):
    """The ws-emit that most tests share: each uses rooms of its own."""
    bridge = Bridge(redis_server, origins=[page_server.origin, "http://good.example"], secret=SECRET)
    yield bridge
    code = bridge.stop()
    assert code in (0, -15), f"ws-emit ended with {code} during the tests:\n{bridge.running.output[-3000:]}"


@pytest.fixture
def start_bridge():
    """Starts a ws-emit with flags of the test's own; ended with the test."""
    started = []
    def start(*args, **kwargs):
        started.append(Bridge(*args, **kwargs))
        return started[-1]
    yield start
    for bridge in started:
        code = bridge.stop()
        print(bridge.running.output)  # shown beside a test that failed
        assert code not in (-4, -5, -6, -11), f"ws-emit crashed with {code}, its log is above"


@pytest.fixture
def own_redis():
    """A Redis that the test may kill."""
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def emitters(redis_server):
    """Emitters by release, each started when first asked for."""
    started = {}
    def emitter(release):
        if release not in started:
            started[release] = Emitter(release, redis_server)
        return started[release]
    yield emitter
    for one in started.values():
        one.stop()


@pytest.fixture(params=["5.4", "5.13", "newest"])
def emitter(request, emitters):
    """Each supported release in turn."""
    return emitters(request.param)


@pytest.fixture(params=["5.13", "newest"])
def late_emitter(request, emitters):
    """The releases that publish enter_room, leave_room and disconnect."""
    return emitters(request.param)


@pytest.fixture
def some_emitter(emitters):
    """Where the release makes no difference. The original understands only releases that publish as its own did."""
    return emitters(os.environ.get("WS_EMIT_EMITTER", "newest"))


@pytest.fixture
def room():
    """A room no other test uses."""
    return "room-" + uuid.uuid4().hex[:8]


@pytest.fixture
def closing():
    """Closes what is passed through it when the test ends."""
    opened = []
    def keep(client):
        opened.append(client)
        return client
    yield keep
    for client in reversed(opened):
        try:
            client.close()
        except Exception:  # already gone: that may be what the test was about
            pass


@pytest.fixture
def raw(bridge, closing):
    """Makes bare websocket clients of the shared bridge."""
    return lambda *args, **kwargs: closing(RawClient(bridge, *args, **kwargs))


@pytest.fixture
def library(bridge, closing):
    return lambda *args, **kwargs: closing(LibraryClient(bridge, *args, **kwargs))


@pytest.fixture
def polling(bridge, closing):
    return lambda *args, **kwargs: closing(PollingClient(bridge, *args, **kwargs))


@pytest.fixture(scope="session")
def chromium():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def page(chromium, page_server):
    """The test page, freshly loaded."""
    return chromium.load(page_server.origin + "/")
