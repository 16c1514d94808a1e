"""Notices what changes in a directory and emits it.

It looks five times a second rather than ask the kernel to be told (inotify): that works on every file system, network
and container mounts too, needs no library, and is at once for a person. A look at 1000 files takes some milliseconds."""
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
        # Counts from the time, so that a page open since before a restart sees that it missed something.
        self.version = int(time.time() * 1000)
        # The last content sent of each file that changed.
        self.sent = {}

    def list(self):
        """Everything, as the page that has just joined asks for it."""
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
            # Clocks of file systems are coarse: a fresh file may change again without a sign of it.
            if id in changed or now * 1000 - file.modified < 1000:
                self.send(id)

    def send(self, id):
        """To whoever has the file open. That may be nobody: a backend doesn't know, ws-emit does."""
        try:
            content = self.directory.read(id)
        except FileNotFoundError:
            return  # the next look tells
        if self.sent.get(id) != hash(str(content)):
            self.sent[id] = hash(str(content))
            self.emit("file", content, room="dir::" + id)


def shown(id, file):
    return {"id": id, "size": file.size, "modified": file.modified}
