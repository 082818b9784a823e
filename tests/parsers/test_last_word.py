"""When an agent's word is its last, and what it left open when it went."""

import json

import pytest

from runcast.parsers import Word, new_parser
from runcast.spool.records import blocks
from tests.parsers.transcripts import parse, spool_of

DONE = {"type": "result", "subtype": "success", "is_error": False, "result": "Done."}
INIT = {"type": "system", "subtype": "init"}


def tasks(*ids):
    listed = [{"task_id": task} for task in ids]
    return {"type": "system", "subtype": "background_tasks_changed", "tasks": listed}


def spool(*lines):
    return spool_of(json.dumps(line).encode() + b"\n" for line in lines)


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ([INIT, DONE], Word(True, "Done.")),
        # What it works on in the background will be followed by another turn.
        ([INIT, tasks("a"), DONE], None),
        ([INIT, tasks("a"), DONE, tasks()], None),
        ([INIT, tasks("a"), DONE, tasks(), INIT, DONE], Word(True, "Done.")),
        # A turn that began and did not end has no last word, whatever the one before said.
        ([INIT, DONE, INIT], None),
    ],
)
def test_claude_s_result_is_its_last_word_unless_it_goes_on(lines, word):
    _, parser = parse("claude", spool(*lines))
    assert parser.account().word == word


def test_codex_s_turn_that_began_and_did_not_end_has_no_last_word():
    turns = [{"type": "turn.completed"}, {"type": "turn.started"}]
    _, parser = parse("codex", spool(*turns))
    assert parser.account().word is None


def test_opencode_s_end_between_two_steps_is_a_failure():
    step = {"type": "step_finish", "part": {"reason": "tool-calls"}}
    _, parser = parse("opencode", spool(step))
    assert not parser.account().word.ok

    _, parser = parse("opencode", spool(step, {"type": "step_finish", "part": {"reason": "stop"}}))
    assert parser.account().word is None


@pytest.mark.parametrize("dialect", ["claude", "jsonl"])
def test_the_tools_that_never_answered_are_known_after_the_end_and_a_restart(dialect):
    call = {"type": "tool_use", "id": "a", "name": "Bash", "input": {}}
    line = {"type": "assistant", "message": {"content": [call]}} if dialect == "claude" else call
    parser = new_parser(dialect)
    parser.feed(blocks(spool(line)))
    assert parser.account().open_calls == ("Bash",)

    (closed,) = parser.finish()
    again = new_parser(dialect)
    again.restore(parser.save(), ())

    assert closed.data["ok"] is False
    assert parser.account().open_calls == again.account().open_calls == ("Bash",)
    assert again.finish() == []
