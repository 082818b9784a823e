"""JSON lines of programs that know nothing of us."""

import json

import pytest

from tests.parsers.transcripts import parse, spool_of


@pytest.mark.parametrize(
    "value",
    [
        {"type": "text"},
        {"type": "thinking"},
        {"type": "thinking", "text": 5},
        {"type": "tool_use", "id": 5, "name": "x"},
        {"type": "tool_result", "tool_use_id": "t", "is_error": "no"},
        {"type": "error"},
        {"type": "anything"},
        {"type": 5},
        {},
    ],
)
def test_other_objects_are_kept_and_surprise_nobody(value):
    (((kind, data),), parser) = parse("jsonl", spool_of([json.dumps(value).encode() + b"\n"]))

    assert (kind, data["value"]) == ("custom", value)
    assert parser.unknown == 0


@pytest.mark.parametrize("name", ["text", "thinking", "content"])
def test_a_thought_stands_in_any_of_three_fields(name):
    line = json.dumps({"type": "thinking", name: "hm"}).encode() + b"\n"

    assert parse("jsonl", spool_of([line]))[0] == [("thought", {"text": "hm"})]


def test_an_answer_may_be_any_value():
    line = b'{"type":"tool_result","tool_use_id":"t","content":%b}\n'
    answers = [b'{"type":"text","text":"x"}', b'{"a":1}', b"5", b"null", b'"\xc3\xb6"']

    found, _ = parse("jsonl", spool_of([line % answer for answer in answers]))

    assert [data["content"] for _, data in found] == ["x", '{"a":1}', "5", "", "ö"]
    assert [data["size"] for _, data in found] == [1, 7, 1, 0, 2]
