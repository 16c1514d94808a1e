"""example/dir2web: a directory in the browser, by the Python program and by the Swift one."""
import http.client
import os
import pathlib
import re
import subprocess
import tempfile
import urllib.parse

import pytest
import requests

from support.clients import RawClient
from support.example import CONNECTION, Example, messages, room_states
from support.processes import ROOT, Running
from support.waiting import PATIENCE, eventually, free_port

# The Swift program is built by the first test that uses it.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="session")
def swift_program():
    package = ROOT / "example/dir2web/swift"
    built = subprocess.run(["swift", "build", "--package-path", package], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    return pathlib.Path(subprocess.run(["swift", "build", "--package-path", package, "--show-bin-path"],
                                       capture_output=True, text=True, check=True).stdout.strip()) / "dir2web"


@pytest.fixture(params=["Python", "Swift"])
def program(request):
    return ROOT / "example/dir2web/run" if request.param == "Python" else request.getfixturevalue("swift_program")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "shown"
    folder.mkdir()
    return folder


@pytest.fixture
def pictured_folder():
    """With a name that looks well."""
    with tempfile.TemporaryDirectory(prefix="ws-emit-") as folder:
        yield pathlib.Path(folder)


@pytest.fixture
def example(program, folder, redis_server, start_bridge):
    example = Example(program, folder, redis_server=redis_server, start_bridge=start_bridge)
    yield example
    example.stop()


class Dir2WebPage:
    def __init__(self, page):
        self.page = page

    def names(self):
        return self.page.run("return [...document.querySelectorAll('#files .name')].map(name => name.textContent)")

    def lists(self, *names):
        last = []
        def listed():
            last[:] = self.names()
            assert last == list(names), last
            return True
        eventually(listed, f"the page lists {names}")

    def size_of(self, name):
        return self.page.run("return [...document.querySelectorAll('#files li')]"
                             ".find(row => row.querySelector('.name').textContent === arguments[0])"
                             "?.querySelector('.size').textContent", name)

    def open(self, name):
        self.page.run("[...document.querySelectorAll('#files button')]"
                      ".find(row => row.querySelector('.name').textContent === arguments[0]).click()", name)
        self.page.shows("#file-title", name)

    def joined(self, *rooms):
        eventually(lambda: sorted(room_states(self.page)) == sorted(f"{room} joined" for room in rooms), f"joined {rooms}")

    def shows_content(self, text):
        self.page.shows("#content", text)

    def notes(self, text):
        self.page.shows("#file-note", text)


@pytest.fixture
def open_page(chromium, example):
    def open_page(query=""):
        page = chromium.load(example.url + query)
        page.shows(CONNECTION, "connected by " + ("polling" if "polling" in query else "websocket"))
        page = Dir2WebPage(page)
        page.joined("dir::/")
        return page
    return open_page


@pytest.fixture
def page(open_page, request):
    return open_page(getattr(request, "param", ""))


by_both_transports = pytest.mark.parametrize("page", ["", "?transport=polling"], indirect=True, ids=["websocket", "polling"])


# What the README says, in a shell.

def in_shell(line):
    subprocess.run(line, shell=True, check=True, cwd=ROOT)


@pytest.mark.parametrize("start", ["example/dir2web/run /tmp/ws-emit", "example/dir2web/swift/run /tmp/ws-emit"])
def test_the_commands_of_the_readme(start, swift_program, redis_server, start_bridge, chromium):
    in_shell("mkdir -p /tmp/ws-emit")
    (aaa := pathlib.Path("/tmp/ws-emit/aaa.txt")).unlink(missing_ok=True)
    program, argument = start.split()
    example = Example(ROOT / program, argument, redis_server=redis_server, start_bridge=start_bridge)
    try:
        page = Dir2WebPage(chromium.load(example.url))
        page.joined("dir::/")
        in_shell("echo aaa > /tmp/ws-emit/aaa.txt")
        eventually(lambda: "aaa.txt" in page.names(), "the file is listed")
        page.open("aaa.txt")
        page.shows_content("aaa")
        in_shell("echo aaa2 > /tmp/ws-emit/aaa.txt")
        page.shows_content("aaa2")
    finally:
        example.stop()
        aaa.unlink()


# The list.

def test_the_page_lists_the_files_that_are_there(folder, open_page):
    (folder / "b.txt").write_text("bbb")
    (folder / "a.txt").write_text("a")
    page = open_page()
    page.lists("a.txt", "b.txt")
    assert (page.size_of("a.txt"), page.size_of("b.txt")) == ("1 byte", "3 bytes")
    page.page.shows("#count", "2 files")
    page.page.shows("#directory", str(folder))


@by_both_transports
def test_a_new_file_appears(folder, page):
    page.page.shows("#note", "No file yet: make one, and it appears here.")
    (folder / "aaa.txt").write_text("aaa\n")
    page.lists("aaa.txt")
    page.page.shows("#note", "")


@by_both_transports
def test_a_changed_file_has_its_new_size(folder, page):
    (folder / "a.txt").write_text("a")
    page.lists("a.txt")
    (folder / "a.txt").write_text("x" * 2000)
    eventually(lambda: page.size_of("a.txt") == "2.0 kB", "the size changes")


@by_both_transports
def test_a_deleted_file_goes(folder, page):
    (folder / "a.txt").write_text("a")
    (folder / "b.txt").write_text("b")
    page.lists("a.txt", "b.txt")
    (folder / "a.txt").unlink()
    page.lists("b.txt")


def test_a_renamed_file_changes_places(folder, page):
    (folder / "a.txt").write_text("a")
    page.lists("a.txt")
    (folder / "a.txt").rename(folder / "z.txt")
    page.lists("z.txt")


def test_a_directory_that_goes_and_comes_back_is_told(folder, page):
    (folder / "a.txt").write_text("a")
    page.lists("a.txt")
    (folder / "a.txt").unlink()
    folder.rmdir()
    page.page.shows("#note", "the directory can't be read: No such file or directory")
    folder.mkdir()
    (folder / "b.txt").write_text("b")
    page.lists("b.txt")


@by_both_transports
def test_what_changed_while_ws_emit_was_away_is_there_when_it_is_back(folder, page, example, redis_server, start_bridge):
    (folder / "old.txt").write_text("a")
    page.lists("old.txt")
    page.open("old.txt")
    page.shows_content("a")
    example.bridge.stop()
    page.page.shows(CONNECTION, lambda text: "no connection" in text)
    (folder / "new.txt").write_text("b")
    (folder / "old.txt").write_text("changed")
    start_bridge(redis_server, origins=[example.origin], port=example.bridge.port)
    page.lists("new.txt", "old.txt")
    page.shows_content("changed")


def test_the_page_catches_up_after_redis_was_away(program, folder, own_redis, start_bridge, chromium):
    example = Example(program, folder, redis_server=own_redis, start_bridge=start_bridge)
    try:
        page = Dir2WebPage(chromium.load(example.url))
        page.joined("dir::/")
        own_redis.kill()
        (folder / "a.txt").write_text("while Redis is away")
        eventually(lambda: requests.get(example.url + "files", timeout=PATIENCE).json()["changed"], "the program sees the file")
        assert requests.get(example.url + "settings.json", timeout=PATIENCE).status_code == 503
        own_redis.start()
        eventually(lambda: own_redis.subscribers(), "ws-emit subscribes again")
        (folder / "b.txt").write_text("b")
        page.lists("a.txt", "b.txt")
    finally:
        example.stop()


def test_the_secret_comes_back_after_redis_lost_it(folder, example, redis_server, open_page):
    redis_server.client.delete("ws-emit::room_secret::dir")
    open_page()
    assert redis_server.client.get("ws-emit::room_secret::dir")


def test_only_the_first_thousand_files_are_listed_and_the_rest_counted(folder, open_page):
    for number in range(1002):
        (folder / f"{number:04}").touch()
    page = open_page()
    page.page.shows("#count", "1000 files")
    page.page.shows("#note", lambda text: text.startswith("Not shown: 2 more"))
    assert page.names()[-1] == "0999"


# An open file.

@by_both_transports
def test_an_open_file_shows_its_content_and_each_change(folder, page):
    (folder / "aaa.txt").write_text("aaa\n")
    page.lists("aaa.txt")
    page.open("aaa.txt")
    page.shows_content("aaa")
    page.joined("dir::/", "dir::aaa.txt")
    (folder / "aaa.txt").write_text("aaa2 é😀\n")
    page.shows_content("aaa2 é😀")
    # The same size within the same tick of the clock, perhaps.
    (folder / "aaa.txt").write_text("aaa3 é😀\n")
    page.shows_content("aaa3 é😀")


PICTURED = {
    "aaa.txt": "aaa2\n",
    "build.log": "".join(f"[{step}/5] {words}\n" for step, words in enumerate(
        ["resolving dependencies", "compiling the library", "compiling the program", "linking"], 1)),
    "notes.md": "# Notes\n" * 300,
    "prices.json": '{"apple": 1.20}\n' * 4000,
}


def test_a_log_is_shown_as_it_grows(program, pictured_folder, redis_server, start_bridge, chromium):
    example = Example(program, pictured_folder, redis_server=redis_server, start_bridge=start_bridge)
    try:
        page = Dir2WebPage(chromium.load(example.url))
        page.joined("dir::/")
        for name, text in PICTURED.items():
            (pictured_folder / name).write_text(text)
        page.lists(*sorted(PICTURED))
        page.open("build.log")
        page.shows_content(PICTURED["build.log"].strip())
        with open(pictured_folder / "build.log", "a") as log:
            log.write("[5/5] running tests … all passed\n")
        page.page.shows("#content", lambda text: text.endswith("passed"))
        page.page.screenshot("dir2web")
    finally:
        example.stop()


@by_both_transports
def test_an_open_file_that_is_deleted_says_so_and_comes_back(folder, page):
    (folder / "a.txt").write_text("one")
    page.lists("a.txt")
    page.open("a.txt")
    page.shows_content("one")
    (folder / "a.txt").unlink()
    page.notes("This file is gone.")
    (folder / "a.txt").write_text("two")
    page.shows_content("two")
    page.notes("")


@by_both_transports
def test_the_page_leaves_the_room_of_the_file_that_it_closes(folder, page, some_emitter):
    (folder / "a.txt").write_text("a")
    (folder / "b.txt").write_text("b")
    page.lists("a.txt", "b.txt")
    page.open("a.txt")
    page.joined("dir::/", "dir::a.txt")
    # Opening another closes the first.
    page.open("b.txt")
    page.joined("dir::/", "dir::b.txt")
    page.shows_content("b")
    before = messages(page.page)
    some_emitter.emit("probe", room="dir::a.txt")
    some_emitter.emit("probe", room="dir::b.txt")
    eventually(lambda: messages(page.page) == before + 1, "the room of the open file is heard")
    page.page.click("#close")
    page.joined("dir::/")
    some_emitter.emit("probe", room="dir::b.txt")
    some_emitter.emit("probe", room="dir::/")
    eventually(lambda: messages(page.page) == before + 2, "only the room of the list is heard")
    assert page.page.run("return document.getElementById('file').hidden")


def test_a_page_without_the_secret_gets_nothing(example, folder, redis_server, some_emitter):
    client = RawClient(example.bridge)
    try:
        answer, = client.join("dir::/")
        assert answer == {"ok": False, "error": "this room-space needs a secret"}
        answer, = client.join("dir::/", secret=redis_server.client.get("ws-emit::room_secret::dir").decode())
        assert answer == {"ok": True}
    finally:
        client.close()


def test_a_binary_file_says_so(folder, page):
    (folder / "a.bin").write_bytes(bytes(range(256)))
    page.lists("a.bin")
    page.open("a.bin")
    page.notes("Its 256 bytes are not shown: it is binary, not UTF-8 text.")
    (folder / "a.bin").write_text("text now")
    page.shows_content("text now")


def test_an_empty_file_says_so(folder, page):
    (folder / "a.txt").touch()
    page.lists("a.txt")
    page.open("a.txt")
    page.notes("This file is empty.")


def test_of_a_huge_file_the_end_is_shown_and_followed(folder, page):
    with open(folder / "huge.log", "wb") as file:
        file.seek(5 << 30)  # a hole: no disk is used
        file.write("\nlast é".encode() * 20_000)
    page.lists("huge.log")
    page.open("huge.log")
    page.notes("The last 64 kB of 5.0 GB.")
    content = page.page.shows("#content", lambda text: text.endswith("last é"))
    assert len(content.encode()) <= 64 << 10 and "\ufffd" not in content
    with open(folder / "huge.log", "a") as file:
        file.write("\nthe newest line")
    page.page.shows("#content", lambda text: text.endswith("the newest line"))
    pre = "document.getElementById('content')"
    assert page.page.run(f"return {pre}.scrollTop + {pre}.clientHeight >= {pre}.scrollHeight - 4")


# Names may be anything but a slash and a zero byte.

HOSTILE = {
    "<img src=x onerror=alert(1)>": "<img src=x onerror=alert(1)>",
    "<script>alert(1)<": "<script>alert(1)<",
    "\"quotes' & &amp;": "\"quotes' & &amp;",
    "two\nlines\t\x07": "two\\nlines\\t\\x07",
    " spaces  around ": " spaces  around ",
    "ünïcödé 😀 日本": "ünïcödé 😀 日本",
    "evil\u202etxt.exe": "evil\\u202etxt.exe",
    "100%41?a=b#c": "100%41?a=b#c",
    "..hidden": "..hidden",
    "a::b": "a::b",
    "\\backslash": "\\backslash",
    "x" * 255: "x" * 255,
    b"latin\xe9\xff.txt": "latin\\xe9\\xff.txt",
    "日" * 85: "日" * 85,
}


@by_both_transports
def test_hostile_names_are_shown_as_they_are_and_open(folder, page, chromium):
    chromium.console_errors()
    for name in HOSTILE:
        with open(os.path.join(os.fsencode(folder), os.fsencode(name)), "wb") as file:
            file.write(b"content of " + ascii(name).encode())
    eventually(lambda: sorted(page.names()) == sorted(HOSTILE.values()), "all names are listed")
    for name, shown in HOSTILE.items():
        page.page.run("[...document.querySelectorAll('#files button')]"
                      ".find(row => row.querySelector('.name').textContent === arguments[0]).click()", shown)
        page.shows_content("content of " + ascii(name))
        eventually(lambda: len(room_states(page.page)) == 2, "the file's room is joined")
    with open(os.path.join(os.fsencode(folder), os.fsencode(name)), "wb") as file:
        file.write(b"changed")
    page.shows_content("changed")
    assert page.page.run("return document.querySelectorAll('#files img, #files script, #file img, #file script').length") == 0
    assert chromium.console_errors() == []


def test_hostile_content_is_shown_as_text(folder, page):
    (folder / "a.html").write_text("<script>window.broken = 1</script><img src=x onerror='window.broken = 1'>")
    page.lists("a.html")
    page.open("a.html")
    page.shows_content("<script>window.broken = 1</script><img src=x onerror='window.broken = 1'>")
    assert page.page.run("return window.broken ?? null") is None


# Nothing outside the directory.

def get_file(example, id):
    return requests.get(example.url + "file?id=" + urllib.parse.quote(id, safe=""), timeout=PATIENCE)


@pytest.mark.parametrize("id", ["../secret.txt", "..%2Fsecret.txt", "%2E%2E%2Fsecret.txt", "..", ".", "", "%2Fetc%2Fpasswd", "/etc/passwd",
                                "a%00", "shown%2F..%2Fsecret.txt"])
def test_a_path_is_no_files_name(example, folder, id):
    (folder.parent / "secret.txt").write_text("secret")
    answer = get_file(example, id)
    assert (answer.status_code, answer.json()) == (400, {"problem": "this is no file's name"})


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/app.py", "/run", "//etc/passwd"])
def test_the_web_server_serves_no_other_file(example, folder, path):
    (folder.parent / "secret.txt").write_text("secret")
    connection = http.client.HTTPConnection("localhost", example.port, timeout=PATIENCE)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 404 and b"secret" not in answer.read()
    connection.close()


def test_links_are_neither_listed_nor_followed(example, folder, open_page):
    outside = folder.parent / "secret.txt"
    outside.write_text("secret")
    (folder / "link").symlink_to(outside)
    (folder / "inner").symlink_to("plain")
    (folder / "plain").write_text("plain")
    (folder / "subfolder").mkdir()
    os.mkfifo(folder / "fifo")
    page = open_page()
    page.lists("plain")
    page.page.shows("#note", lambda text: text.startswith("Not shown: 4 more"))
    for name in "link", "fifo", "subfolder":
        value = get_file(example, name).json()
        assert "text" not in value and value["problem"], value


def test_a_file_that_becomes_a_link_is_not_followed(example, folder, page):
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "a.txt").write_text("a")
    page.lists("a.txt")
    page.open("a.txt")
    page.shows_content("a")
    (folder.parent / "new").symlink_to(folder.parent / "secret.txt")
    (folder.parent / "new").rename(folder / "a.txt")
    page.lists()
    page.notes("This file is gone.")
    assert "secret" not in page.page.run("return document.body.textContent")


def test_a_file_that_is_not_there_is_404(example):
    assert get_file(example, "nothing.txt").status_code == 404


def test_another_name_for_the_server_is_refused(example):
    answer = requests.get(example.url + "files", headers={"Host": f"evil.example:{example.port}"}, timeout=PATIENCE)
    assert answer.status_code == 421


# The command line.

def refusal(program, *arguments, **env):
    running = Running([program, *arguments], env={"PORT": str(free_port()), **env})
    assert running.wait_for_exit() != 0, running.output
    return running.output


def test_without_a_directory_it_says_its_usage(program):
    assert re.search(r"usage: dir2web\S* .*directory", refusal(program), re.I)


def test_a_directory_that_is_missing_is_told_with_the_command(program, tmp_path):
    missing = tmp_path / "missing"
    assert f"there is no directory {missing}; make one: mkdir -p {missing}" in refusal(program, missing)


def test_a_file_is_no_directory(program, tmp_path):
    (tmp_path / "file").touch()
    assert f"{tmp_path / 'file'} is no directory" in refusal(program, tmp_path / "file")


def test_a_relative_path_is_taken_from_where_it_is_started(program, folder, redis_server, start_bridge, monkeypatch, chromium):
    monkeypatch.chdir(folder.parent)
    example = Example(program, pathlib.Path("shown"), redis_server=redis_server, start_bridge=start_bridge)
    try:
        chromium.load(example.url).shows("#directory", str(folder))
    finally:
        example.stop()


def test_without_redis_it_says_how_to_get_one(program, folder):
    said = refusal(program, folder, REDIS=f"redis://:hidden@127.0.0.1:{free_port()}/0")
    assert "Redis can't be used" in said and "redis-server" in said and "hidden" not in said
