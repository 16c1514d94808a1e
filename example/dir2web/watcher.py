"""Watches a directory and emits its changes.

It reads the directory five times a second instead of using inotify. This works on every file system, including network and
container mounts, needs no library, and looks immediate to a person. Reading 1000 files takes some milliseconds."""
import threading
import time

LIST_ROOM = "dir::/"
"""The room of the list; no file can have this name. A file's room is dir::ID."""


class Watcher:
    def __init__(self, directory, emit):
        """`emit(event, data, room=...)` is Flask-SocketIO's."""
        self.directory = directory
        self.emit = emit
        self.lock = threading.Lock()
        self.files, self.others, self.problem = {}, 0, None
        # Starts at the time, so that a page from before a restart sees that it missed something.
        self.version = int(time.time() * 1000)
        # The last sent content of each changed file.
        self.sent = {}

    def list(self):
        """The whole list, for a page that has just joined."""
        with self.lock:
            return {"version": self.version, "changed": [shown(id, file) for id, file in self.files.items()], "gone": [],
                    "others": self.others, "problem": self.problem}

    def run(self, pause=0.2):
        while True:
            self.look()
            time.sleep(pause)

    def look(self):
        now = time.time()
        try:
            (files, others), problem = self.directory.files(), None
        except OSError as error:
            files, others, problem = {}, 0, f"the directory can't be read: {error.strerror}"
        changed = [id for id, file in files.items() if self.files.get(id) != file]
        gone = [id for id in self.files if id not in files]
        is_news = changed or gone or (others, problem) != (self.others, self.problem)
        with self.lock:
            self.files, self.others, self.problem = files, others, problem
            self.version += 1 if is_news else 0
        if is_news:
            self.emit("files", {"version": self.version, "changed": [shown(id, files[id]) for id in changed], "gone": gone,
                                "others": others, "problem": problem}, room=LIST_ROOM)
        for id in gone:
            self.sent.pop(id, None)
            self.emit("file", {"id": id, "gone": True}, room="dir::" + id)
        for id, file in files.items():
            # File times are coarse: a fresh file may change again with the same time.
            if id in changed or now * 1000 - file.modified < 1000:
                self.send(id)

    def send(self, id):
        """Emits to the pages that have the file open. There may be none: ws-emit knows, the backend doesn't."""
        try:
            content = self.directory.read(id)
        except FileNotFoundError:
            return  # the next look emits that it is gone
        if self.sent.get(id) != hash(str(content)):
            self.sent[id] = hash(str(content))
            self.emit("file", content, room="dir::" + id)


def shown(id, file):
    return {"id": id, "size": file.size, "modified": file.modified}
