"""An example as a visitor runs it, with the Socket.IO client from a local file in place of the CDN."""
from .browser import client_script
from .processes import ROOT, Running
from .waiting import free_port

CONNECTION = "[data-connection]"
MESSAGES = "[data-messages]"


class Example:
    """A program of the tree and the ws-emit it needs, both started."""

    def __init__(self, program, *arguments, redis_server, start_bridge, env=None, flags=(), **bridge_options):
        self.port = free_port()
        self.origin = f"http://localhost:{self.port}"
        self.url = self.origin + "/"
        self.bridge = start_bridge(redis_server, *flags, origins=[self.origin], **bridge_options)
        self.running = Running([ROOT / program, *arguments], env={
            **environment(self.port, redis_server.url, self.bridge.url), **(env or {})})
        self.running.wait_for_line(f"open {self.origin}")

    def stop(self):
        self.running.stop()


def environment(port, redis_url, ws_emit_url):
    return {"PORT": str(port), "REDIS": redis_url, "WS_EMIT_URL": ws_emit_url, "SOCKET_IO_JS": str(client_script())}


def messages(page):
    """How many messages the page says it has seen."""
    return int(page.run("return document.querySelector(arguments[0]).textContent", MESSAGES).split()[0])


def room_states(page):
    """What the state line says of each room."""
    return page.run("return [...document.querySelectorAll('[data-rooms] li')].map(item => item.textContent)")
