"""POST /emit, request by request."""
import json
import socket

import pytest

from support.clients import http_request
from support.waiting import PATIENCE

JSON = {"Content-Type": "application/json"}


def post(bridge, body, headers=JSON, path="/emit"):
    return http_request(bridge, "POST", path, body if isinstance(body, (bytes, str)) else json.dumps(body), headers)


def message(room, **changes):
    return {"event": "update", "room": room, "data": {"time": 1}, "namespace": None, "secret": "123", **changes}


@pytest.fixture
def member(raw, room):
    client = raw()
    client.join(room)
    return client


def test_a_message_reaches_the_room(bridge, member, room):
    answer = post(bridge, message(room))
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"OK\n", "text/html; charset=utf-8")
    assert member.receive() == '42["update",{"time":1}]'


@pytest.mark.parametrize("namespace", [None, "", "/"])
def test_no_namespace_is_the_main_one(bridge, member, room, namespace):
    assert post(bridge, message(room, namespace=namespace)).status == 200
    assert member.receive() == '42["update",{"time":1}]'


def test_a_missing_namespace_is_the_main_one(bridge, member, room):
    body = message(room)
    del body["namespace"]
    assert post(bridge, body).status == 200
    assert member.receive() == '42["update",{"time":1}]'


@pytest.mark.parametrize("nobody", [None, ""])
def test_no_room_is_everyone(bridge, raw, nobody):
    client = raw()
    assert post(bridge, message(nobody)).status == 200
    assert client.receive() == '42["update",{"time":1}]'


def test_a_list_of_rooms(bridge, member, room):
    assert post(bridge, message([room, room + "-x"])).status == 200
    assert post(bridge, message(room, data="marker")).status == 200
    assert [member.receive(), member.receive()] == ['42["update",{"time":1}]', '42["update","marker"]']


def test_a_room_without_members_is_fine(bridge, member, room):
    assert post(bridge, message("nobody-is-here")).body == b"OK\n"
    assert post(bridge, message(room)).status == 200
    assert member.receive() == '42["update",{"time":1}]'


@pytest.mark.parametrize("data, frame", [
    (None, '42["update"]'), ("s", '42["update","s"]'), (5, '42["update",5]'), ([1, 2], '42["update",[1,2]]'),
    ({"t": "é😀"}, '42["update",{"t":"\\u00e9\\ud83d\\ude00"}]'), (True, '42["update",true]'),
])
def test_data_of_each_kind(bridge, member, room, data, frame):
    assert post(bridge, message(room, data=data)).status == 200
    assert member.receive() == frame


def test_numbers_keep_their_value(bridge, member, room):
    body = json.dumps(message(room, data="DATA")).replace('"DATA"', "[12345678901234567890,1.10,1e5,-0.0]")
    assert post(bridge, body).status == 200
    assert member.receive() == '42["update",[12345678901234567890,1.1,100000.0,-0.0]]'


@pytest.mark.ours
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_json_cannot_say_is_null(bridge, member, room, number):
    body = json.dumps(message(room, data="DATA")).replace('"DATA"', f'{{"n":{number}}}')
    assert post(bridge, body).status == 200
    assert member.receive() == '42["update",{"n":null}]'


def test_a_repeated_key_counts_once_with_its_last_value(bridge, member, room):
    body = json.dumps(message(room))[:-1] + ',"data":"last"}'
    assert post(bridge, body).status == 200
    assert member.receive() == '42["update","last"]'


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_other_encodings_of_json(bridge, member, room, encoding):
    assert post(bridge, json.dumps(message(room, data="é")).encode(encoding)).status == 200
    assert member.receive() == '42["update","\\u00e9"]'


@pytest.mark.ours
@pytest.mark.parametrize("report", [False, True])
def test_to_is_the_room(bridge, raw, member, room, report):
    other = raw()
    other.join(room + "-other")
    body = message(room, to=room + "-other", data="private", report=report)
    del body["room"]
    assert post(bridge, body).status == 200
    assert post(bridge, message([room, room + "-other"], data="marker")).status == 200
    assert other.receive() == '42["update","private"]'
    assert [other.receive(), member.receive()] == ['42["update","marker"]'] * 2


@pytest.mark.ours
@pytest.mark.parametrize("key, changes", [
    ("event", {"event": None}), ("event", {"event": 5}), ("event", {"event": ["a"]}), ("room", {"room": 5}),
    ("room", {"room": []}), ("room", {"room": ["a", 1]}), ("to", {"to": 5}), ("to", {"to": "another"}),
    ("report", {"report": "yes"}), ("report", {"report": None}), ("namespace", {"namespace": 5}), ("rooms", {"rooms": "a"}),
    ("keep", {"keep": 0}), ("keep", {"keep": "300"}), ("keep", {"keep": True, "room": None}), ("key", {"key": 5}),
    ("key", {"key": "k" * 1025}), ("skip_sid", {"skip_sid": "a"}), ("extra", {"extra": None})], ids=str)
def test_a_wrong_key_is_refused_by_its_name_and_reaches_nobody(bridge, member, room, key, changes):
    answer = post(bridge, {**message(room), **changes})
    assert answer.status == 400 and answer.headers["Content-Type"] == "application/json", answer
    assert list(json.loads(answer.body)) == ["error"] and key in json.loads(answer.body)["error"], answer
    assert post(bridge, message(room, data="marker")).status == 200
    assert member.receive() == '42["update","marker"]'


SECRETS = ["nope", None, 123, "", "123 ", ["123"], {"a": 1}, True, "it's \"q\" \n é"]


@pytest.mark.parametrize("secret", SECRETS, ids=repr)
def test_a_wrong_secret_is_forbidden(bridge, member, room, secret):
    answer = post(bridge, message(room, secret=secret))
    assert answer.status == 403 and answer.body.startswith(b"Incorrect secret"), answer
    assert post(bridge, message(room, data="marker")).status == 200
    assert member.receive() == '42["update","marker"]'


@pytest.mark.ours
def test_a_tried_secret_is_not_echoed(bridge, room):
    answer = post(bridge, message(room, secret="almost-the-right-one"))
    assert b"almost" not in answer.body and answer.body == b"Incorrect secret\n"


@pytest.mark.parametrize("body", [{}, {"event": "x"}])
def test_a_missing_secret_is_forbidden(bridge, body):
    assert post(bridge, body).status == 403


def test_a_secret_beside_the_body_does_not_count(bridge, room):
    body = message(room)
    del body["secret"]
    assert post(bridge, body, {**JSON, "secret": "123", "Authorization": "Bearer 123"}).status == 403
    assert post(bridge, body, path="/emit?secret=123").status == 403


@pytest.mark.parametrize("body", [b"{", b"", b'{"event":"x",}', b'"\xff"', b"{} {}"])
def test_broken_json_is_a_bad_request(bridge, body):
    assert post(bridge, body).status == 400


@pytest.mark.ours
def test_deeply_nested_json_is_a_bad_request(bridge):
    assert post(bridge, b"[" * 100_000).status == 400


@pytest.mark.ours
@pytest.mark.parametrize("body", [b"null", b"[]", b'"abc"', b"5"])
def test_json_that_is_no_object_is_a_bad_request_with_a_sentence(bridge, body):
    answer = post(bridge, body)
    assert answer.status == 400 and "JSON object" in answer.text, answer


@pytest.mark.ours
@pytest.mark.parametrize("kind", [None, "text/plain", "text/json", "application/x-www-form-urlencoded"])
def test_another_content_type_is_refused_with_a_sentence(bridge, room, kind):
    answer = post(bridge, message(room), {"Content-Type": kind} if kind else {})
    assert answer.status == 415 and "application/json" in answer.text, answer


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.api+json", "APPLICATION/JSON"])
def test_other_spellings_of_the_content_type(bridge, member, room, kind):
    assert post(bridge, message(room), {"Content-Type": kind}).status == 200
    assert member.receive() == '42["update",{"time":1}]'


@pytest.mark.ours
def test_a_chunked_body_is_read(bridge, member, room):
    whole = json.dumps(message(room)).encode()
    answer = post(bridge, b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (whole[:9], whole[9:])) + b"0\r\n\r\n",
                  {**JSON, "Transfer-Encoding": "chunked"})
    assert answer.status in (200, 400), answer
    if answer.status == 200:
        assert member.receive() == '42["update",{"time":1}]'


def test_expect_continue_is_answered_first(bridge, member, room):
    body = json.dumps(message(room)).encode()
    with socket.create_connection((bridge.host, bridge.port), PATIENCE) as connection:
        connection.sendall(b"POST /emit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                           b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(body))
        stream = connection.makefile("rb")
        assert stream.readline().startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert stream.readline() == b"\r\n"
        assert stream.readline().startswith(b"HTTP/1.1 200 ")
    assert member.receive() == '42["update",{"time":1}]'


def test_a_connection_may_carry_several_messages(bridge, member, room):
    import http.client
    connection = http.client.HTTPConnection(bridge.host, bridge.port, timeout=PATIENCE)
    for number in range(3):
        connection.request("POST", "/emit", json.dumps(message(room, data=number)), JSON)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"OK\n")
    connection.close()
    assert [member.receive() for _ in range(3)] == [f'42["update",{n}]' for n in range(3)]


def test_messages_that_come_together_are_delivered_in_order(bridge, member, room):
    def request(number, secret="123"):
        body = json.dumps(message(room, data=number, secret=secret)).encode()
        return b"POST /emit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
            len(body), body)

    with socket.create_connection((bridge.host, bridge.port), PATIENCE) as connection:
        connection.sendall(b"".join(map(request, range(20))) + request(20, "wrong") + request(21))
        answers = b""
        while answers.count(b"HTTP/1.1 ") < 22 or not answers.endswith(b"OK\n"):
            part = connection.recv(65536)
            assert part, answers
            answers += part
    statuses = [int(answer[:3]) for answer in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200] * 20 + [403, 200]
    assert [member.receive() for _ in range(21)] == [f'42["update",{n}]' for n in [*range(20), 21]]


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "answer by answer"])
def test_a_connection_carries_messages_whole_in_pieces_and_between_other_requests(bridge, member, room, waits):
    def request(number, size=0):
        body = json.dumps(message(room, data=[number, "x" * size])).encode()
        return b"POST /emit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
            len(body), body)

    large = request(1, 100_000)
    # Each part, and how many requests are complete with it.
    parts = [(request(0), 1), (large[:150], 1), (large[150:], 2), (request(2) + request(3)[:60], 3), (request(3)[60:], 4),
             (request(4), 5), (b"GET /emit HTTP/1.1\r\nHost: x\r\n\r\n" + request(5), 7), (request(6), 8)]
    answers = b""
    with socket.create_connection((bridge.host, bridge.port), PATIENCE) as connection:
        for part, complete in parts:
            connection.sendall(part)
            while (waits or complete == 8) and answers.count(b"HTTP/1.1 ") < complete:
                received = connection.recv(65536)
                assert received, answers
                answers += received
    statuses = [int(answer[:3]) for answer in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200] * 5 + [405] + [200] * 2
    assert [json.loads(member.receive()[2:])[1] for _ in range(7)] == [
        [n, "x" * (100_000 if n == 1 else 0)] for n in range(7)]


def test_answers_leave_before_a_broken_request_ends_the_connection(bridge, member, room):
    body = json.dumps(message(room)).encode()
    with socket.create_connection((bridge.host, bridge.port), PATIENCE) as connection:
        connection.sendall(
            b"POST /emit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            b"POST /emit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nbroken\r\n" % (len(body), body))
        assert connection.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
    assert member.receive() == '42["update",{"time":1}]'


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD"])
def test_other_methods_are_not_allowed(bridge, method):
    answer = http_request(bridge, method, "/emit")
    assert answer.status == 405, answer
    assert {m.strip() for m in answer.headers["Allow"].split(",")} == {"POST", "OPTIONS"}


def test_options_lists_the_methods(bridge):
    answer = http_request(bridge, "OPTIONS", "/emit", headers={"Origin": "http://evil.example"})
    assert answer.status == 200 and {m.strip() for m in answer.headers["Allow"].split(",")} == {"POST", "OPTIONS"}


def test_the_origin_does_not_matter(bridge, room):
    answer = post(bridge, message(room), {**JSON, "Origin": "http://evil.example"})
    assert answer.status == 200
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("path", ["/emit/", "/", "/other"])
def test_other_paths_are_not_found(bridge, path):
    assert post(bridge, message("x"), path=path).status == 404


@pytest.mark.ours
def test_a_body_over_the_limit_is_refused_at_once(bridge):
    with socket.create_connection((bridge.host, bridge.port), PATIENCE) as connection:
        connection.sendall(b"POST /emit HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                           b"Content-Length: 5000000\r\n\r\n")
        answer = connection.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 413 ") and b'\r\n\r\n{"error":"' in answer


def test_without_a_secret_there_is_no_such_page(redis_server, start_bridge):
    for secret, env in ((None, {}), ("", {}), (None, {"SECRET": ""})):
        bridge = start_bridge(redis_server, secret=secret, env=env)
        assert post(bridge, message("x")).status == 404
        assert post(bridge, message("x", secret="")).status == 404
        assert http_request(bridge, "GET", "/emit").status == 404


def test_another_ws_emit_delivers_it_too(bridge, redis_server, start_bridge, member, room):
    assert post(start_bridge(redis_server, secret="other"), message(room, secret="other")).status == 200
    assert member.receive() == '42["update",{"time":1}]'
    assert post(bridge, message(room, data="marker")).status == 200
    assert member.receive() == '42["update","marker"]'
