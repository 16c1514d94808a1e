"""What clients acknowledge goes back, through Redis, to the server that asked."""
import pytest


def test_a_library_client_answers_the_server_that_asked(emitter, library):
    client = library(answer=("yes", 2))
    emitter.server("emit", "question", {"n": 1}, room=client.sid(), callback=True)
    assert client.receive() == ("question", {"n": 1})
    assert emitter.acknowledged() == ("yes", 2)


def test_a_bare_client_answers_with_the_id_it_was_given(emitter, raw):
    client = raw()
    emitter.server("emit", "question", room=client.sid, callback=True)
    frame = client.receive()
    assert frame.startswith("42") and frame.endswith('["question"]'), frame
    client.send("43" + frame[2:-len('["question"]')] + '["yes",{"a":[1,null,true,1.5]},"é"]')
    assert emitter.acknowledged() == ("yes", {"a": [1, None, True, 1.5]}, "é")


def test_an_answer_without_arguments(emitter, raw):
    client = raw()
    emitter.server("emit", "question", room=client.sid, callback=True)
    number = client.receive()[2:-len('["question"]')]
    client.send(f"43{number}[]")
    assert emitter.acknowledged() == ()


def test_an_answer_in_a_namespace(emitter, raw):
    client = raw(namespaces=("/chat",))
    emitter.server("emit", "question", room=client.sids["/chat"], namespace="/chat", callback=True)
    frame = client.receive()
    assert frame.startswith("42/chat,"), frame
    client.send("43/chat," + frame[len("42/chat,"):-len('["question"]')] + "[7]")
    assert emitter.acknowledged() == (7,)


def test_a_question_with_bytes_is_answered(emitter, library):
    client = library(answer="got it")
    emitter.server("emit", "question", {"b": b"A"}, room=client.sid(), callback=True)
    assert client.receive() == ("question", {"b": b"A"})
    assert emitter.acknowledged() == ("got it",)


def test_an_unknown_or_repeated_answer_changes_nothing(emitter, raw):
    client = raw()
    emitter.server("emit", "question", room=client.sid, callback=True)
    number = client.receive()[2:-len('["question"]')]
    client.send('4399999["unknown"]')
    client.send(f'43{number}["first"]')
    client.send(f'43{number}["second"]')
    emitter.server("emit", "again", room=client.sid, callback=True)
    number = client.receive()[2:-len('["again"]')]
    client.send(f'43{number}["third"]')
    assert [emitter.acknowledged(), emitter.acknowledged()] == [("first",), ("third",)]


@pytest.mark.ours
def test_join_is_acknowledged(library, room):
    assert library().join(room) == {"ok": True}
