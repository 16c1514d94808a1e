"""Reads the files of one directory. Nothing outside it can be reached, and no huge file is read whole."""
import codecs
import heapq
import os
import stat
import urllib.parse
from typing import NamedTuple

SHOWN_FILES = 1000
"""Most files in the list, since nobody reads a longer one. The others are counted."""
SHOWN_BYTES = 64 << 10
"""Bytes sent of a file: its end, where logs grow. Each change sends them again."""


class File(NamedTuple):
    size: int
    modified: int
    """Milliseconds since 1970."""
    version: tuple
    """Differs when the content may differ."""


def file_id(name):
    """The ASCII text for a name of any bytes, used in URLs, rooms and messages."""
    return urllib.parse.quote_from_bytes(os.fsencode(name), safe="")


class Directory:
    def __init__(self, path):
        self.path = os.fspath(path)

    def files(self):
        """The first regular files by name as {id: File}, and the number of other entries.

        Links aren't followed; folders and devices aren't shown."""
        found, others = [], 0
        # Opens the directory each time, because another one of the same name may replace it.
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    found.append(entry)
                else:
                    others += 1
        shown = {}
        for entry in heapq.nsmallest(SHOWN_FILES, found, key=lambda entry: os.fsencode(entry.name)):
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # just deleted
                continue
            shown[file_id(entry.name)] = File(status.st_size, status.st_mtime_ns // 1_000_000,
                                              (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        return shown, others + max(0, len(found) - SHOWN_FILES)

    def read(self, id):
        """A file for the page: {"id", "size", "text"}, with "problem" instead of a text that can't be shown.

        Raises ValueError for an id that can't be a file of this directory, FileNotFoundError if there is no such file."""
        name = urllib.parse.unquote_to_bytes(id)
        if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
            raise ValueError("this is no file's name")
        try:
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as problem:
            raise FileNotFoundError from problem
        try:
            # The name may have become a link or a FIFO since it was listed: doesn't follow the one or wait for the other.
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except FileNotFoundError:
            raise
        except OSError as problem:
            return {"id": id, "size": 0, "problem": f"it can't be opened: {problem.strerror}"}
        finally:
            os.close(folder)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return {"id": id, "size": 0, "problem": "it is no regular file"}
            data = os.pread(descriptor, SHOWN_BYTES, max(0, status.st_size - SHOWN_BYTES))
            return {"id": id, "size": status.st_size, **shown_text(data, status.st_size > SHOWN_BYTES)}
        finally:
            os.close(descriptor)


def shown_text(data, is_cut):
    if is_cut:
        # The cut may split a character; its continuation bytes are all 10xxxxxx.
        start = next((i for i, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)
        data = data[start:]
    try:
        # A writer may have written only half of the last character.
        text = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        text = "\0"
    return {"problem": "it is binary, not UTF-8 text"} if "\0" in text else {"text": text}
