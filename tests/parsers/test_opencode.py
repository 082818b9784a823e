"""What opencode prints beyond the recorded transcripts."""

import json

import pytest

from runcast.parsers import Word, new_parser
from runcast.spool.records import blocks
from tests.parsers.transcripts import events_of, parse, spool_of

DONE = {"type": "done", "reason": "idle"}


def used(tool, **state):
    state = {"status": "completed", "input": {}, "output": "", **state}
    return {"type": "tool_use", "part": {"tool": tool, "callID": "c", "state": state}}


def test_a_tool_says_itself_how_long_it_took():
    line = json.dumps(used("bash", time={"start": 1000, "end": 1422})).encode() + b"\n"

    entries = new_parser("opencode").feed(blocks(spool_of([line])))

    assert entries[1].data["duration_ms"] == 422


def test_a_tool_that_failed_answers_with_its_error():
    (_, (_, data)) = events_of("opencode", used("bash", status="error", error="denied"))

    assert (data["ok"], data["content"]) == (False, "denied")


@pytest.mark.parametrize(
    ("state", "changed"),
    [
        (
            {"input": {"filePath": "/a", "content": "x"}, "metadata": {"exists": True}},
            [{"path": "/a", "action": "modified", "size": 1}],
        ),
        ({"metadata": {"filepath": "/a", "exists": False}}, [{"path": "/a", "action": "created"}]),
        ({"input": {"patchText": "..."}}, []),
        (
            {
                "metadata": {
                    "files": [
                        {"filePath": "/a", "type": "add"},
                        {"filePath": "/b", "type": "delete"},
                        {"filePath": "/c", "type": "update"},
                        {"filePath": "/d", "type": "move", "movePath": "/e"},
                    ]
                }
            },
            [
                {"path": "/a", "action": "created"},
                {"path": "/b", "action": "deleted"},
                {"path": "/c", "action": "modified"},
                {"path": "/d", "action": "deleted"},
                {"path": "/e", "action": "created"},
            ],
        ),
    ],
)
def test_files_are_changed_where_a_tool_says_so(state, changed):
    found = events_of("opencode", used("apply_patch", **state))
    failed = events_of("opencode", used("apply_patch", **state, status="error"))

    assert [data for _, data in found[2:]] == changed
    assert len(failed) == 2


def test_reading_a_file_changes_none():
    assert len(events_of("opencode", used("read", input={"filePath": "/a"}))) == 2


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ([{"type": "text", "part": {"text": "bye"}}], None),
        (
            [{"type": "text", "part": {"text": "bye"}}, DONE],
            Word(True, "bye"),
        ),
        (
            [{"type": "error", "error": {"name": "X"}}, {"type": "done"}],
            Word(False, '{"name":"X"}'),
        ),
    ],
)
def test_the_last_word_is_an_error_or_the_end(lines, word):
    _, parser = parse("opencode", spool_of(json.dumps(line).encode() + b"\n" for line in lines))

    assert parser.account().word == word


def test_a_last_step_without_a_newline_is_read_before_its_end_is_judged():
    step = b'{"type":"step_finish","part":{"reason":"tool-calls"}}\n'
    last = b'{"type":"step_finish","part":{"reason":"stop"}}'
    _, parser = parse("opencode", spool_of([step + last]))

    assert parser.account().word is None
