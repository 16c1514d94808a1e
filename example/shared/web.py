"""Serves an example's page. ws-emit alone talks to the browsers' sockets; this web server doesn't.

Settings come from the environment:
PORT          7788                      the page is at http://localhost:PORT, on this machine only
REDIS         redis://localhost:6379/0  Redis to publish on, the same as ws-emit's
WS_EMIT_URL   http://localhost:8899     where the browser finds ws-emit
SOCKET_IO_JS  the CDN's                 the Socket.IO client: a URL, or a file that is served from here
HOSTS                                   other host names of the page, behind a proxy
"""
import logging
import os
import pathlib
import socket
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

import redis
from flask import Flask, jsonify, redirect, request, send_file
from werkzeug.serving import make_server

REDIS = os.environ.get("REDIS") or "redis://localhost:6379/0"
WS_EMIT_URL = (os.environ.get("WS_EMIT_URL") or "http://localhost:8899").rstrip("/")
CLIENT = os.environ.get("SOCKET_IO_JS") or "https://cdn.socket.io/4.8.1/socket.io.min.js"
# Refuses other names, by which another site could read this one with its scripts (DNS rebinding).
HOSTS = {"localhost", "127.0.0.1", *os.environ.get("HOSTS", "").split()}
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def fail(sentence):
    sys.exit(f"{pathlib.Path(sys.argv[0]).resolve().parent.name} example: {sentence}")


try:
    PORT = int(os.environ.get("PORT") or 7788)
except ValueError:
    fail(f"PORT must be a number, it is {os.environ['PORT']!r}")


def origin(url):
    return "://".join(urllib.parse.urlsplit(url)[:2])


def content_security_policy():
    """Scripts only from files, never from data; connections only to this server and ws-emit."""
    client = origin(CLIENT) if "://" in CLIENT else ""
    ws_emit = origin(WS_EMIT_URL)
    return (f"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            f"style-src 'self'; img-src 'self'; script-src 'self' {client}; "
            f"connect-src 'self' {ws_emit} {ws_emit.replace('http', 'ws', 1)}")


def make_app(folder, extra_settings=dict):
    """A Flask application with the page in `folder`, the files that all pages share, and /settings.json."""
    app = Flask(__name__, static_folder=None)
    shared = pathlib.Path(__file__).resolve().parent
    files = {file.name: file for part in (shared, folder) for file in part.iterdir() if file.suffix in TYPES}
    headers = {"Content-Security-Policy": content_security_policy(), "X-Content-Type-Options": "nosniff",
               "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}

    @app.before_request
    def refuse_other_names():
        name = urllib.parse.urlsplit("//" + request.host).hostname
        if name not in HOSTS:
            return f"This page is for {', '.join(sorted(HOSTS))}; name others with HOSTS.\n", 421

    @app.after_request
    def protect(answer):
        answer.headers.update(headers)
        return answer

    @app.route("/", defaults={"name": "page.html"})
    @app.route("/<name>")
    def page_file(name):
        if name not in files:
            return "There is no such file.\n", 404
        return send_file(files[name], mimetype=TYPES[files[name].suffix])

    @app.route("/socket.io.min.js")
    def client_script():
        if "://" in CLIENT:
            return redirect(CLIENT)
        return send_file(pathlib.Path(CLIENT).resolve(), mimetype="text/javascript")

    @app.route("/settings.json")
    def settings():
        try:
            return jsonify(ws_emit_url=WS_EMIT_URL, **extra_settings())
        except redis.RedisError as problem:
            return jsonify(problem=f"the example's server can't reach Redis: {problem}"), 503

    return app


def serve(app, background):
    """Checks that everything the page needs is there, then serves until Ctrl-C, with `background()` on another thread."""
    subscribers = check_redis()
    check_ws_emit(subscribers)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError as problem:
            fail(f"can't listen on port {PORT}: {problem.strerror}; choose another with PORT, and give ws-emit"
                 f" --cors http://localhost:PORT")
    server = make_server("127.0.0.1", PORT, app, threaded=True)
    threading.Thread(target=background, daemon=True).start()
    print(f"open http://localhost:{PORT} (Ctrl-C ends)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()


def check_redis():
    """Returns the number of subscribers of the channel. Ends the program without Redis, since it can't send anything."""
    try:
        return redis.Redis.from_url(REDIS, socket_connect_timeout=5).pubsub_numsub("flask-socketio")[0][1]
    except (redis.RedisError, ValueError) as problem:
        # Not REDIS itself: it may hold a password.
        fail(f"Redis can't be used: {problem}\n"
             "  to have one: apt-get install redis-server; to name another: REDIS=redis://host:port/0")


def check_ws_emit(subscribers):
    """Prints only notes, because the page connects by itself as soon as ws-emit runs and allows it."""
    page = f"http://localhost:{PORT}"
    preflight = urllib.request.Request(WS_EMIT_URL + "/socket.io/?EIO=4&transport=polling", method="OPTIONS",
                                       headers={"Origin": page, "Access-Control-Request-Method": "GET"})
    try:
        with urllib.request.urlopen(preflight, timeout=5) as answer:
            allowed = answer.headers["Access-Control-Allow-Origin"]
        if allowed != page:
            note(f"what answers at {WS_EMIT_URL} is no ws-emit; name yours with WS_EMIT_URL")
        elif not subscribers:
            note(f"ws-emit answers at {WS_EMIT_URL}, but nobody subscribes in this Redis: give both the same (REDIS)")
    except urllib.error.HTTPError as refusal:
        if "origin" in refusal.read(1000).decode(errors="replace"):
            note(f"ws-emit refuses the page's origin; start it with --cors {page} (CORS={page} in /etc/default/ws-emit)")
        else:
            note(f"what answers at {WS_EMIT_URL} is no ws-emit ({refusal}); name yours with WS_EMIT_URL")
    except (OSError, ValueError) as problem:
        note(f"no ws-emit answers at {WS_EMIT_URL} ({getattr(problem, 'reason', problem)});"
             f" start one: ws-emit --cors {page}")


def note(sentence):
    print(f"note: {sentence}", file=sys.stderr, flush=True)
