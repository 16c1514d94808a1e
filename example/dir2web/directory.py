"""The files of one directory, read so that nothing outside it can be reached and nothing huge is read whole."""
import codecs
import heapq
import os
import stat
import urllib.parse
from typing import NamedTuple

SHOWN_FILES = 1000
"""Files that a page lists; a longer list is nothing to look at. The others are counted."""
SHOWN_BYTES = 64 << 10
"""Bytes of a file that are sent: its end, where logs grow. Each change sends them again."""


class File(NamedTuple):
    size: int
    modified: int
    """Milliseconds since 1970."""
    version: tuple
    """Differs when the content may differ."""


def file_id(name):
    """A name that is any bytes as the ASCII text that names the file in URLs, rooms and messages."""
    return urllib.parse.quote_from_bytes(os.fsencode(name), safe="")


class Directory:
    def __init__(self, path):
        self.path = os.fspath(path)

    def files(self):
        """The first regular files by name as {id: File}, and how many other entries there are.

        Links aren't followed, wherever they lead; folders and devices aren't shown."""
        found, others = [], 0
        # Opened anew each time: the directory may be replaced by another of its name.
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
            except FileNotFoundError:  # deleted meanwhile
                continue
            shown[file_id(entry.name)] = File(status.st_size, status.st_mtime_ns // 1_000_000,
                                              (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        return shown, others + max(0, len(found) - SHOWN_FILES)

    def read(self, id):
        """What the page shows of a file: {"id", "size", "text"}, with "problem" in place of a text that can't be shown.

        Raises ValueError for an id that names no file of this directory, FileNotFoundError when there is none now."""
        name = urllib.parse.unquote_to_bytes(id)
        if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
            raise ValueError("this is no file's name")
        try:
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as problem:
            raise FileNotFoundError from problem
        try:
            # Neither a link is followed nor a FIFO waited for, whatever the name has become since it was listed.
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
        # The cut may have gone through a character, whose other bytes are all 10xxxxxx.
        start = next((i for i, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)
        data = data[start:]
    try:
        # A writer in the middle of its work may leave half a character at the end.
        text = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        text = "\0"
    return {"problem": "it is binary, not UTF-8 text"} if "\0" in text else {"text": text}
