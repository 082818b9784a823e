"""What Gemini prints beyond the recorded transcripts."""

import json

import pytest

from runcast.parsers import Word
from runcast.spool.records import blocks
from tests.parsers.transcripts import events_of, found_in, new_parser, parse, spool_of


def piece(text):
    return {"type": "message", "role": "assistant", "content": text, "delta": True}


def use(tool, **parameters):
    return {"type": "tool_use", "tool_name": tool, "tool_id": "t", "parameters": parameters}


def answer(status, **more):
    return {"type": "tool_result", "tool_id": "t", "status": status, **more}


def test_pieces_are_told_at_once_and_joined_at_the_end():
    parser = new_parser("gemini")

    live = found_in(parser.feed(blocks(spool_of([json.dumps(piece("a")).encode() + b"\n"]))))
    rest = found_in(parser.finish())

    assert [kind for kind, _ in live] == ["delta"]
    assert rest == [("message", {"role": "assistant", "text": "a", "message_id": "message-1"})]


def test_lines_that_say_nothing_of_the_agent_do_not_cut_its_message():
    found = events_of("gemini", piece("a"), b"a notice", {"type": "new"}, piece("b"))

    assert found[-1][1]["text"] == "ab"
    assert [kind for kind, _ in found] == ["delta", "output", "custom", "delta", "message"]


def test_a_long_message_comes_in_parts_with_ids_of_their_own():
    found = events_of("gemini", piece("a" * 40_000), piece("b"))

    messages = [data for kind, data in found if kind == "message"]
    deltas = [data for kind, data in found if kind == "delta"]
    assert [message["text"][0] for message in messages] == ["a", "b"]
    assert [data["message_id"] for data in deltas] == ["message-1", "message-2"]
    assert [data["message_id"] for data in messages] == ["message-1", "message-2"]


def test_a_whole_message_is_one():
    whole = {"type": "message", "role": "assistant", "content": "whole"}

    assert [data["text"] for _, data in events_of("gemini", piece("a"), whole)[1:]] == [
        "a",
        "whole",
    ]


def test_a_file_is_changed_when_the_tool_succeeded():
    wrote = use("replace", file_path="/a")

    done = events_of("gemini", wrote, answer("success"))
    failed = events_of("gemini", wrote, answer("error", error={"message": "no"}))
    read = events_of("gemini", use("read_file", file_path="/a"), answer("success", output="x"))

    assert done[2] == ("file_changed", {"path": "/a", "action": "modified"})
    assert (failed[1][1]["ok"], failed[1][1]["content"]) == (False, "no")
    assert len(failed) == len(read) == 2


def test_a_path_too_long_to_remember_is_not_told_wrongly():
    wrote = use("write_file", file_path="/a" * 1000)

    assert len(events_of("gemini", wrote, answer("success"))) == 2


def test_a_failed_result_is_an_error_and_the_last_word():
    end = {"type": "result", "status": "error", "error": {"type": "x", "message": "API Error"}}
    found, parser = parse("gemini", spool_of([json.dumps(end).encode() + b"\n"]))

    assert found == [("error", {"message": "API Error", "source": "gemini"})]
    assert parser.account().word == Word(False, "API Error")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ('[API Error: {"error": {"message": "no more credit", "code": 429}}]', "no more credit"),
        ("[API Error: no more credit]", "[API Error: no more credit]"),
        ("[API Error: {}]", "{}"),
        ("", "the agent gave no reason"),
    ],
)
def test_an_error_is_what_the_api_said_not_the_json_it_came_in(message, told):
    end = {"type": "result", "status": "error", "error": {"message": message}}
    found, parser = parse("gemini", spool_of([json.dumps(end).encode() + b"\n"]))

    assert found == [("error", {"message": told, "source": "gemini"})]
    assert parser.account().word == Word(False, told)


def test_an_error_in_between_is_no_last_word():
    warning = {"type": "error", "severity": "warning", "message": "loop detected"}
    found, parser = parse("gemini", spool_of([json.dumps(warning).encode() + b"\n"]))

    assert found == [("error", {"message": "loop detected", "source": "gemini"})]
    assert parser.account().word is None
