"""What people are shown of each event type, and how it looks where."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.cli.render import RENDERERS, VERBOSE, Look, Shown, dress, renderers
from runcast.core.events import EVENT_TYPES

PIPE = Look(cleaned=False, coloured=False, width=40)
TERMINAL = Look(cleaned=True, coloured=True, width=40)
UNCOLOURED = Look(cleaned=True, coloured=False, width=40)
TABLE = renderers(lambda words: f"runcast {words}", verbose=True)


def written(kind: str, look: Look = PIPE, **data: Any) -> dict[str, str]:
    """Return what goes to each stream that something goes to."""
    streams: dict[str, str] = {}
    for shown in TABLE[kind]({"run_id": "r", **data}):
        streams[shown.stream] = streams.get(shown.stream, "") + dress(shown, look)
    return streams


def out(text: str) -> dict[str, str]:
    return {"stdout": text} if text else {}


def err(text: str) -> dict[str, str]:
    return {"stderr": text} if text else {}


CALL = {"tool_call_id": "c", "tool": "Bash"}
BLOB = {"id": "b", "size": 70_000}


@pytest.mark.parametrize(
    ("kind", "data", "shown"),
    [
        ("message", {"role": "assistant", "text": "one\n\ntwo\n"}, out("one\n\ntwo\n")),
        ("message", {"role": "user", "text": "do\nit"}, out("\u203a do\n  it\n")),
        ("message", {"role": "assistant", "text": ""}, {}),
        ("message", {"text": "begin", "text_blob": BLOB}, out("begin\n… 70.0 kB more\n")),
        (
            "message",
            {"text": "ü", "text_blob": {"id": "b", "size": 5e9}},
            out("ü\n… 5.0 GB more\n"),
        ),
        ("thought", {"text": "well\n\nthen\n"}, out("· well\n·\n· then\n")),
        ("thought", {"text": ""}, {}),
        ("tool_call", CALL | {"input": {"command": "ls"}}, out('▶ Bash {"command":"ls"}\n')),
        ("tool_call", CALL | {"input": {}}, out("▶ Bash\n")),
        ("tool_call", CALL | {"input": "two\nlines"}, out("▶ Bash two lines\n")),
        ("tool_call", CALL | {"input": "x" * 50}, out(f"▶ Bash {'x' * 32}…\n")),
        (
            "tool_result",
            {"ok": True, "content": "hello\n", "duration_ms": 812},
            out("  ✓ 0.8s  hello\n"),
        ),
        ("tool_result", {"ok": False, "content": "", "duration_ms": 61_000}, out("  ✗ 1m 1s\n")),
        ("tool_result", {"ok": True, "content": None, "duration_ms": None}, out("  ✓\n")),
        ("tool_result", {"ok": True, "content": [1, 2]}, out("  ✓  [1,2]\n")),
        (
            "tool_result",
            {"ok": True, "content": "1\n\n 2\n3\n4\n5"},
            out("  ✓  1\n    2\n    3\n    4\n    … 1 more line\n"),
        ),
        (
            "tool_result",
            {"ok": True, "content": "1\n2\n3\n4\n5\n6", "content_blob": BLOB},
            out("  ✓  1\n    2\n    3\n    4\n    … 70.0 kB more\n"),
        ),
        (
            "file_changed",
            {"path": "a/b.py", "action": "created", "size": 10},
            out("+ created a/b.py (10 B)\n"),
        ),
        ("file_changed", {"path": "a b", "action": "deleted"}, out("- deleted a b\n")),
        ("file_changed", {"path": "a", "action": "renamed"}, out("~ renamed a\n")),
        (
            "usage",
            {"input_tokens": 12_345, "output_tokens": 0, "cost_usd": 0.12345},
            out("tokens: 12,345 in, 0 out, $0.1235\n"),
        ),
        ("usage", {"input_tokens": None, "output_tokens": 7}, out("tokens: 7 out\n")),
        ("usage", {}, {}),
        ("error", {"message": "no\nkey", "source": "agent"}, err("error: no\nkey\n")),
        ("error", {"message": "x", "message_blob": BLOB}, err("error: x\n… 70.0 kB more\n")),
        ("input", {"text": "go on\nplease\n"}, err("\u203a go on\n  please\n")),
        ("input", {"text": ""}, {}),
        ("gap", {"reason": "truncated"}, err("runcast: output is missing: truncated\n")),
        (
            "progress",
            {"percentage": 40.0, "phase": "tool: Bash", "tool_calls": 2, "elapsed_s": 65},
            err("… 40%, tool: Bash, 2 tool calls, 1m 5s\n"),
        ),
        ("progress", {"phase": "working", "tool_calls": 0}, err("… working\n")),
        ("custom", {"name": "todo", "value": {"a": [1]}}, out('todo {"a":[1]}\n')),
        ("approval", {"id": "a", "tool": "Write", "state": "allowed"}, err("? Write: allowed\n")),
        ("approval", {"id": "a", "state": "withdrawn"}, err("? the question: withdrawn\n")),
        (
            "approval",
            {"id": "a", "tool": "Write", "state": "denied", "message": "not\nhere"},
            err("? Write: denied: not here\n"),
        ),
        (
            "tool_call",
            CALL | {"input": {"text": "begin", "text_blob": BLOB}},
            out('▶ Bash {"text":"begin","text_blob":{"id…\ntext: … 70.0 kB more\n'),
        ),
    ],
)
def test_each_event_has_its_form_and_its_stream(
    kind: str, data: dict[str, Any], shown: dict[str, str]
) -> None:
    assert written(kind, **data) == shown


def test_an_approval_shows_all_that_is_asked_and_how_to_answer_it() -> None:
    asked = {"file_path": "/etc/passwd", "content": "x" * 100}
    data = {"id": "q 1", "tool": "Write", "input": asked, "state": "pending"}
    assert written("approval", **data) == err(
        "? May it use Write?\n"
        f'  {{\n    "file_path": "/etc/passwd",\n    "content": "{"x" * 100}"\n  }}\n'
        "  yes: runcast approve r 'q 1'\n"
        "  no:  runcast approve r 'q 1' --deny\n"
    )


def test_a_question_that_cannot_be_answered_does_not_say_how() -> None:
    asking = renderers(None, verbose=False)["approval"]
    data = {"id": "q", "run_id": "r", "tool": "Write", "input": {}, "state": "pending"}
    assert [shown.text for shown in asking(data)] == [
        "? May it use Write?",
        "  nobody can answer: the run takes no input",
    ]


@pytest.mark.parametrize(
    "asked", [{"command": "rm -rf /\r\x1b[2Kls\u202e"}, "rm -rf /\r\x1b[2Kls\u202e"]
)
def test_no_text_of_an_approval_can_hide_another(asked: object) -> None:
    data = {"id": "a\x1b[2K\n", "tool": "Bash\x1b[1A", "input": asked, "state": "pending"}
    shown = written("approval", TERMINAL, **data)["stderr"]
    assert "rm -rf /" in shown
    assert not re.search(r"[\r\u202e]|\x1b\[[0-9;]*[^0-9;m]", shown)
    assert "approve r a --deny" in shown


def test_colours_are_only_where_they_are_wanted_and_end_with_the_text() -> None:
    shown = Shown("old \x1b[31mred", "dim")
    assert dress(shown, PIPE) == "old \x1b[31mred\n"
    assert dress(shown, TERMINAL) == "\x1b[2mold \x1b[31mred\x1b[0m\n"
    assert dress(shown, UNCOLOURED) == "old \x1b[31mred\x1b[0m\n"
    assert dress(Shown("as it is"), TERMINAL) == "as it is\n"


def test_a_terminal_gets_clean_text_and_a_pipe_every_character() -> None:
    shown = Shown("a\x1b[2Jb\x07")
    assert dress(shown, PIPE) == "a\x1b[2Jb\x07\n"
    assert dress(shown, TERMINAL) == "ab\n"


def test_only_short_lines_are_cut() -> None:
    text = "\n".join(("a" * 50, "漢" * 30, "c"))
    assert dress(Shown(text), PIPE) == text + "\n"
    assert dress(Shown(text, short=True), PIPE) == f"{'a' * 39}…\n{'漢' * 19} …\nc\n"


def test_what_is_not_for_everyday_is_shown_on_demand() -> None:
    everyday = renderers(str, verbose=False)
    assert set(TABLE) - set(everyday) == set(VERBOSE) == {"progress", "custom"}
    assert set(EVENT_TYPES) - set(TABLE) == {"output", "delta", "status"}
    assert set(RENDERERS) < set(everyday)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
FIELDS = (
    *("text", "role", "tool", "input", "content", "message", "path", "name", "value", "id"),
    *("state", "size", "ok", "duration_ms", "cost_usd", "input_tokens", "percentage"),
    *("text_blob", "input_blob", "content_blob", "tool_calls", "elapsed_s"),
)


@pytest.mark.parametrize("kind", sorted(TABLE))
@given(data=st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_no_data_stops_the_printing_or_acts_on_a_terminal(kind: str, data: dict[str, Any]) -> None:
    for text in written(kind, UNCOLOURED, **data).values():
        assert text.endswith("\n")
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x7f-\x9f\u202a-\u202e]", text)
