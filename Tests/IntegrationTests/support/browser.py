"""Headless Chromium with the stock Socket.IO client, and the small web server its page comes from."""
import base64
import http.server
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading

from selenium import webdriver

from .processes import HERE, ROOT, command
from .waiting import PATIENCE, eventually


def client_script():
    made = subprocess.run([ROOT / "scripts/socket-io-client"], capture_output=True, text=True)
    assert made.returncode == 0, f"the JavaScript client is missing: {made.stderr}"
    return pathlib.Path(made.stdout.strip())


class PageServer:
    """Serves the page and the client on a free port of its own, which makes it an origin."""

    def __init__(self):
        files = {"/": ("text/html", (HERE / "page.html").read_bytes()),
                 "/socket.io.min.js": ("text/javascript", client_script().read_bytes())}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                kind, body = files.get(self.path, ("text/plain", None))
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Browser:
    def __init__(self, *flags):
        self._profile = tempfile.mkdtemp(prefix="ws-emit-chromium-")
        options = webdriver.ChromeOptions()
        options.binary_location = command("chromium")
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--no-first-run", f"--user-data-dir={self._profile}", *flags):
            options.add_argument(flag)
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(command("chromedriver")))
        self.driver.set_script_timeout(PATIENCE)
        self.driver.set_page_load_timeout(PATIENCE)

    def load(self, url):
        self.driver.get(url)
        return Page(self.driver)

    def console_errors(self):
        """What the browser complained about since this was last asked: scripts' errors, refused requests."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def close(self):
        self.driver.quit()
        shutil.rmtree(self._profile, ignore_errors=True)


class Page:
    """What happens in the page, in order: each event is a list whose first item says which socket and what."""

    def __init__(self, driver):
        self.driver = driver

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def call(self, function, *arguments):
        """Awaits a function of the page; its failure is ours."""
        value = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "const [name, ...rest] = [...arguments].slice(0, -1);"
            "Promise.resolve(window[name](...rest)).then(v => done({value: v}), e => done({error: String(e)}))",
            function, *arguments)
        assert "error" not in value, value["error"]
        return value["value"]

    def open(self, url, **options):
        """Connects a socket; options are socket.io-client's. Returns its name in this page."""
        return self.run("return openSocket(arguments[0], arguments[1])", url, options)

    def next(self):
        return self.call("nextEvent")

    def join(self, room, socket=0, **extra):
        return self.call("emitWithAck", socket, "join", {"room": room, **extra})

    def transport(self, socket=0):
        return self.run("return sockets[arguments[0]].io.engine.transport.name", socket)

    def shows(self, selector, expected):
        """Waits until the text of an element is `expected`, or fulfils it when that is a function. Returns the text."""
        script = "return document.querySelector(arguments[0])?.textContent.trim() ?? null"
        condition = expected if callable(expected) else lambda text: text == expected
        last = None
        def fulfilled():
            nonlocal last
            last = self.run(script, selector)
            assert last is not None and condition(last), f"it shows {last!r}"
            return True
        eventually(fulfilled, f"{selector} shows {expected!r}")
        return last

    def click(self, selector):
        self.run("document.querySelector(arguments[0]).click()", selector)

    def screenshot(self, name, height=470):
        """Pictures for the documents, only when WS_EMIT_SCREENSHOTS names their folder: light, dark and on a phone."""
        if not (folder := os.environ.get("WS_EMIT_SCREENSHOTS")):
            return
        assert shutil.which("pngquant"), "pngquant makes the pictures small: apt-get install pngquant"
        self.run("document.documentElement.style.scrollbarWidth = 'none'")
        for suffix, width, height, scheme in (("", 840, height, "light"), ("-dark", 840, height, "dark"),
                                              ("-phone", 390, 700, "light")):
            self.resize(width, height)
            self._cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            picture = base64.b64decode(self._cdp("Page.captureScreenshot", format="png")["data"])
            subprocess.run(["pngquant", "64", "--force", "--output", ROOT / folder / f"{name}{suffix}.png", "-"],
                           input=picture, check=True)
        self.resize()
        self._cdp("Emulation.setEmulatedMedia", features=[])

    def resize(self, width=0, height=0):
        """The size of the page in pixels, a phone's when it is narrow; the browser's own again without arguments."""
        self._cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=0 < width < 500)

    def _cdp(self, command, **parameters):
        return self.driver.execute_cdp_cmd(command, parameters)
