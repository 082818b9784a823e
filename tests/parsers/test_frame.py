"""What all dialects of JSON lines do alike."""

import pytest

from runcast.parsers import PARSERS, Saved, new_parser
from runcast.spool.cri import Framer
from runcast.spool.records import Broken, blocks
from tests.parsers.transcripts import START_NS, found_in, spool_of

DIALECTS = sorted(set(PARSERS) - {"lines"})
SAY = b'{"type":"text","text":"hi"}\n'
CALL = b'{"type":"tool_use","id":"t","name":"sleep","input":{}}\n'


def stderr(text, now=START_NS):
    framer = Framer("stderr")
    return framer.feed(text, now) + framer.close(now)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_stderr_is_output_and_its_last_line_the_complaint(dialect):
    parser = new_parser(dialect)

    found = found_in(parser.feed(blocks(stderr(b"{}\nno\xff room\n\n"))))

    assert [data["text"] for _, data in found] == ["{}", "no\ufffd room", ""]
    assert {data["stream"] for _, data in found} == {"stderr"}
    assert parser.account().complaint == "no\ufffd room"
    assert parser.unknown == 0


def test_stderr_within_a_line_of_stdout_does_not_break_it():
    parser = new_parser("jsonl")
    head, tail = spool_of([SAY[:9], SAY[9:]], paused=[0]).splitlines(keepends=True)

    found = found_in(parser.feed(blocks(head + stderr(b"x\n") + tail)))

    assert [kind for kind, _ in found] == ["output", "message"]


def test_what_is_no_record_is_a_gap():
    parser = new_parser("jsonl")

    found = found_in(parser.feed([*blocks(spool_of([SAY])), Broken(12)]))

    assert found[1] == ("gap", {"reason": "truncated", "bytes": 12})


def test_the_phase_follows_the_events():
    parser = new_parser("jsonl")
    phases = [parser.account().phase]
    for line in (
        b'{"type":"thinking","text":"x"}\n',
        SAY,
        CALL,
        b'{"type":"tool_result","tool_use_id":"t"}\n',
    ):
        parser.feed(blocks(spool_of([line])))
        phases.append(parser.account().phase)

    assert phases == ["starting", "thinking", "responding", "running sleep", "thinking"]


def test_open_calls_are_named_and_closed_as_failed_at_the_end():
    parser = new_parser("jsonl")
    parser.feed(blocks(spool_of([CALL])))

    assert parser.account().open_calls == ("sleep",)
    ((kind, data),) = found_in(parser.finish())
    assert (kind, data["tool_call_id"], data["ok"]) == ("tool_result", "t", False)
    assert parser.account().open_calls == ("sleep",)


def test_a_call_takes_as_long_as_lies_between_its_lines():
    parser = new_parser("jsonl")
    answer = b'{"type":"tool_result","tool_use_id":"t","content":"x"}\n'

    _, result = parser.feed(blocks(spool_of([CALL, SAY[:5], b"\n", answer])))[::2]

    assert result.data["duration_ms"] == 3


def test_a_clock_that_stepped_back_gives_no_negative_duration():
    parser = new_parser("jsonl")
    late = spool_of([b""] * 50 + [CALL])
    early = spool_of([b'{"type":"tool_result","tool_use_id":"t","content":"x"}\n'])

    *_, result = parser.feed([*blocks(late), *blocks(early)])

    assert result.data["duration_ms"] == 0


@pytest.mark.parametrize("state", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\x80"])
def test_a_state_that_cannot_be_read_is_forgotten(state):
    parser = new_parser("claude")
    parser.restore(Saved({}, state), [])

    assert parser.account() == new_parser("claude").account()


def test_a_last_word_is_kept_within_bounds():
    parser = new_parser("codex")
    message = "größer".encode() * 20_000
    parser.feed(blocks(spool_of([b'{"type":"turn.failed","error":{"message":"%b"}}\n' % message])))

    kept = parser.account().word.text.encode()
    assert 65_530 < len(kept) <= 65_536
    assert message.startswith(kept)


def test_empty_lines_are_no_complaint():
    parser = new_parser("codex")
    parser.feed(blocks(stderr(b"no room\n") + stderr(b"\n \n", START_NS + 1)))

    assert parser.account().complaint == "no room"


def test_at_the_end_of_nothing_there_is_nothing():
    for dialect in PARSERS:
        assert new_parser(dialect).finish() == []
