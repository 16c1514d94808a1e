"""Shows a directory in the browser as it changes: dir2web DIRECTORY. Settings: see shared/web.py."""
import argparse
import os
import pathlib

import redis
import web
from directory import Directory
from flask import jsonify, request
from flask_socketio import SocketIO
from room_secret import room_secret
from watcher import Watcher

socketio = SocketIO(message_queue=web.REDIS)
database = redis.Redis.from_url(web.REDIS)


def directory_from_command_line():
    parser = argparse.ArgumentParser(prog="dir2web/run", description="Shows a directory's files in the browser, as they change.")
    parser.add_argument("directory", help="for example /tmp/ws-emit; anyone who opens the page can read its regular files")
    path = parser.parse_args().directory
    if not os.path.exists(path):
        web.fail(f"there is no directory {path}; make one: mkdir -p {path}")
    if not os.path.isdir(path):
        web.fail(f"{path} is no directory")
    try:
        os.scandir(path).close()
    except OSError as problem:
        web.fail(f"{path} can't be read: {problem.strerror}")
    return Directory(os.path.abspath(path))


def make_app(directory, watcher):
    app = web.make_app(pathlib.Path(__file__).resolve().parent, lambda: {
        "directory": os.fsencode(directory.path).decode(errors="backslashreplace"), "secret": room_secret(database, "dir")})

    @app.route("/files")
    def files():
        return jsonify(watcher.list())

    @app.route("/file")
    def file():
        try:
            return jsonify(directory.read(request.args.get("id", "")))
        except ValueError as problem:
            return jsonify(problem=str(problem)), 400
        except FileNotFoundError:
            return jsonify(problem="there is no such file"), 404

    return app


if __name__ == "__main__":
    directory = directory_from_command_line()
    watcher = Watcher(directory, socketio.emit)
    web.serve(make_app(directory, watcher), watcher.run)
