"""What a process prints as chunks, and how it ends."""

import pytest

from runcast.core.events import Lines
from runcast.core.runs import RunRef
from tests.wires.said import STAMP, TIME, Frame, draft, status, written

EXTERNAL = RunRef("r", "t", "w", "editor", "external")
BLOB = {"id": "b1", "size": 70_000}
PARTIAL = draft("output", stream="stdout", text="h", partial=True)


@pytest.mark.parametrize(
    ("entry", "content", "external"),
    [
        (Lines(TIME, "stdout", ["a"]), "a\n", "a"),
        (Lines(TIME, "stderr", [""]), "\n", ""),
        (PARTIAL, "h", "h"),
        (draft("output", stream="stdout", text="a\r\n", raw="YQ0K"), "a\r\n\n", "a\r\n"),
        (draft("message", role="assistant", text="a"), "a\n", "a\n"),
        (draft("thought", text="a"), "a\n", "a\n"),
        (draft("tool_call", tool="Bash", input={"a": 1}), '▶ Bash {"a":1}\n', '▶ Bash {"a":1}\n'),
        (draft("tool_result", content="x" * 5000), "x" * 4096 + "\n", "x" * 4096 + "\n"),
        (draft("error", message="oh", source="agent"), "oh\n", "oh\n"),
    ],
)
def test_what_is_said_is_a_chunk_and_what_a_client_posted_is_left_as_it_is(
    entry, content, external
):
    assert written("processes", entry) == [Frame("chunk", {"content": content}, 7)]
    assert written("processes", entry, ref=EXTERNAL) == [Frame("chunk", {"content": external}, 7)]


def test_a_chunk_that_was_cut_names_the_whole():
    [frame] = written("processes", draft("thought", text="h", text_blob=BLOB))
    assert frame.data == {"content": "h\n", "contentBlob": BLOB}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {"duration": "0.0s"}),
        ({"started_at": "2026-11-21T08:54:56.000Z"}, {"duration": "2m 34s"}),
        (
            {"started_at": "2026-11-21T08:54:56.000Z", "ended_at": "2026-11-21T08:54:56.300Z"},
            {"duration": "0.3s"},
        ),
        ({"started_at": STAMP, "ended_at": "2026-11-21T08:54:56.000Z"}, {"duration": "0.0s"}),
        (
            {"result": {"a": 0}, "error": "e"},
            {"result": {"a": 0}, "error": "e", "duration": "0.0s"},
        ),
        ({"result": False}, {"result": False, "duration": "0.0s"}),
    ],
)
def test_the_end_says_what_came_of_it_and_how_long_it_took(more, expected):
    frames = written("processes", status("failed", **more))
    assert frames == [Frame("status", {"status": "failed", **expected}, 7)]
