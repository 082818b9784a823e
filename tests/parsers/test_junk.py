"""Nothing that an agent can print raises, and nothing of it is lost."""

import json
import random
import time
from base64 import b64decode
from itertools import product

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runcast.core.events import encode_entries
from runcast.core.limits import LINE_BYTES
from runcast.parsers import PARSERS, new_parser, open_line
from runcast.spool.cri import PART_BYTES
from runcast.spool.records import blocks
from tests.parsers.transcripts import (
    START_NS,
    TRANSCRIPTS,
    dialect_of,
    events_of,
    expected,
    expected_unknown,
    found_in,
    parse,
    printed,
    read_in_parts,
    record_ends,
    spool_of,
)

OUTPUTS = {
    "torn object": b'{"type":"assistant","message":{"id":"msg_00","cont',
    "torn surrogate": b'{"type":"x","y":"\\ud83d',
    "surrogate beside no number": b'{"type":"x","y":"\\ud83d","n":NaN}',
    "nothing": b"",
    "text": b"Loaded cached credentials.",
    "random bytes": random.Random(7).randbytes(3000).replace(b"\n", b"\0"),
    "too deep": b"[" * 100_000,
    "too deep and closed": b'{"type":"x","y":' + b"[" * 300 + b"]" * 300 + b"}",
    "huge number": b'{"type":"result","n":' + b"9" * 100 + b"}",
    "number of 65 bits": b'{"type":"x","n":[18446744073709551616]}',
    "endless number": b'{"type":"x","n":' + b"9" * 10_000 + b"}",
    "infinite number": b'{"type":"x","n":1e999}',
    "no number": b'{"type":"x","n":NaN}',
    "null": b"null",
    "list": b'[{"type":"text","text":"x"}]',
    "two objects": b'{"type":"x"} {"type":"y"}',
    "not UTF-8": b'{"type":"x","y":"caf\xe9"}',
}
KEPT = {
    "unknown type": b'{"type":"from the future","x":[1,{"y":null}]}',
    "no type": b'{"x":1}',
    "wrong type": b'{"type":["text"],"text":5}',
    "lone surrogate": b'{"type":"x","y":"cut \\ud83d"}',
    "deep": b'{"type":"x","y":' + b"[" * 150 + b"]" * 150 + b"}",
    "largest number": b'{"type":"x","n":18446744073709551615}',
    "many digits": b'{"type":"x","n":"99999999999999999999999"}',
}
SHORT = {dialect_of(path): path for path in sorted(TRANSCRIPTS, key=lambda p: -p.stat().st_size)}
each_dialect = pytest.mark.parametrize("transcript", SHORT.values(), ids=SHORT)
each_transcript = pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)


def parse_with(transcript, place, line):
    """Return the events that a line adds to a transcript, and how many were not understood."""
    lines = printed(transcript)
    writes = [text + b"\n" for text in [*lines[:place], line, *lines[place:]]]
    found, parser = parse(dialect_of(transcript), spool_of(writes))
    golden = expected(transcript)
    more = len(found) - len(golden)
    before = next((i for i, known in enumerate(golden) if found[i] != known), len(golden))
    assert found[:before] + found[before + more :] == golden
    return found[before : before + more], parser.unknown


def bytes_of(outputs):
    """Join the bytes of `output` events that make up one line."""
    datas = [data for _, data in outputs]
    assert {kind for kind, _ in outputs} == {"output"}
    assert [data.get("partial", False) for data in datas] == [True] * (len(datas) - 1) + [False]
    return b"".join(
        b64decode(data["raw"]) if "raw" in data else data["text"].encode() for data in datas
    )


def some_places(transcript):
    last = len(printed(transcript))
    return {0, last // 2, last}


@each_transcript
def test_lines_that_are_no_objects_become_output_wherever_they_come(transcript):
    counted = dialect_of(transcript) != "jsonl"
    for name, place in product(OUTPUTS, some_places(transcript)):
        added, unknown = parse_with(transcript, place, OUTPUTS[name])

        assert bytes_of(added) == OUTPUTS[name], name
        assert unknown == expected_unknown(transcript) + counted, name


@each_transcript
def test_objects_that_nobody_understands_are_kept_whole(transcript):
    for name, place in product(KEPT, some_places(transcript)):
        ((kind, data),), _ = parse_with(transcript, place, KEPT[name])

        text = json.dumps(json.loads(KEPT[name]), ensure_ascii=False)
        assert data["value"] == json.loads(text.replace("\ud83d", "\ufffd")), name
        assert kind == "custom", name


@each_dialect
def test_a_long_line_is_kept_whole(transcript):
    text = b"x" * 5_000_000

    outputs, _ = parse_with(transcript, 1, text)
    ((_, data),), _ = parse_with(transcript, 1, b'{"type":"from the future","x":"%b"}' % text)

    assert bytes_of(outputs) == text
    assert data["value"]["x"] == text.decode()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_random_bytes_between_any_two_lines_are_kept(data):
    transcript = data.draw(st.sampled_from(TRANSCRIPTS))
    place = data.draw(st.integers(0, len(printed(transcript))))
    line = data.draw(st.binary(max_size=40)).replace(b"\n", b"{")

    added, _ = parse_with(transcript, place, line)

    assert bytes_of(added) == line


# Fields of the wrong type.

WRONG = [None, True, 7, -(2**60), 2**64 - 1, 1.5, "", "other", [], {}, ["other"], [{}], {"a": [1]}]


def fields(value, path=()):
    """Yield the path of every field in a line."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in items:
        yield (*path, name)
        if isinstance(inner, dict | list):
            yield from fields(inner, (*path, name))


def replaced(value, path, new):
    copy = json.loads(json.dumps(value))
    place = copy
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = new
    return copy


def lines_of(transcript):
    for line in printed(transcript):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def parse_line(dialect, value):
    return parse(dialect, spool_of([json.dumps(value).encode() + b"\n"]))[0]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_field_of_any_other_value_never_raises(data):
    transcript = data.draw(st.sampled_from(TRANSCRIPTS))
    lines = list(lines_of(transcript))
    index = data.draw(st.integers(0, len(lines) - 1))
    path = data.draw(st.sampled_from(list(fields(lines[index]))))
    lines[index] = replaced(lines[index], path, data.draw(st.sampled_from(WRONG)))
    writes = [json.dumps(line).encode() + b"\n" for line in lines]

    found, _ = parse(dialect_of(transcript), spool_of(writes))

    for _, event in found:
        json.loads(msgspec.json.encode(event))


# They add to what the text of the answer says, in a form that every tool chooses for itself.
ADDITIONS = {"tool_use_result", "metadata", "tool_result_meta"}


@each_transcript
def test_a_field_that_says_something_is_not_lost_when_its_type_is_another(transcript):
    dialect = dialect_of(transcript)
    for line in lines_of(transcript):
        as_it_was = parse_line(dialect, line)
        for path in fields(line):
            if ADDITIONS.intersection(path) or not matters(dialect, line, path, as_it_was):
                continue
            found = parse_line(dialect, replaced(line, path, ["marker"]))
            assert "marker" in json.dumps(found), path


def matters(dialect, line, path, as_it_was):
    return any(
        parse_line(dialect, replaced(line, path, other)) != as_it_was
        for other in ("another", 12_345, False, None)
    )


# Lines that are too long.


def test_a_line_longer_than_any_may_be_becomes_parts_that_join_to_it():
    line = b'{"type":"text","text":"%b"}' % (b"x" * (LINE_BYTES + PART_BYTES))
    parser = new_parser("claude")

    found = found_in(parser.feed(blocks(spool_of([line + b"\n", KEPT["no type"] + b"\n"]))))

    assert bytes_of(found[:-1]) == line
    assert all(len(data["text"]) <= PART_BYTES for _, data in found[:-1])
    assert found[-1] == ("custom", {"name": "object", "value": {"x": 1}})
    assert parser.unknown == 2
    assert not parser.save().open


def test_a_restart_within_a_line_that_is_too_long_goes_on_with_its_parts(monkeypatch):
    monkeypatch.setattr(open_line, "LINE_BYTES", 3 * PART_BYTES)
    line = b"{" * (10 * PART_BYTES)
    spool = spool_of([line + b"\n"])
    ends = record_ends(spool)

    entries, _ = read_in_parts("claude", spool, ends, set(ends))

    assert bytes_of(found_in(entries)) == line


def test_the_longest_line_that_may_be_is_read():
    line = b'{"type":"text","text":"%b"}' % (b"x" * (LINE_BYTES - 100))

    ((kind, data),), _ = parse("jsonl", spool_of([line + b"\n"]))

    assert (kind, len(data["text"])) == ("message", LINE_BYTES - 100)


@pytest.mark.parametrize("dialect", PARSERS)
def test_output_without_a_newline_at_its_end_is_read(dialect):
    parser = new_parser(dialect)
    assert found_in(parser.feed(blocks(spool_of([b"the last line"])))) + found_in(
        parser.finish()
    ) == [("output", {"stream": "stdout", "text": "the last line"} | partial(dialect))]


def partial(dialect):
    return {"partial": True} if dialect == "lines" else {}


def test_many_open_calls_and_giant_ids_are_remembered_within_bounds():
    parser = new_parser("claude")
    parser.feed(blocks(spool_of([b"".join(call(b"%d" % n) for n in range(100_000))])))
    small = len(parser.save().state)
    parser.feed(blocks(spool_of([call(b"x" * 1_000_000, b"y" * 1_000_000)])))
    parser.feed(blocks(spool_of([start(b"%d" % number) for number in range(1000)])))
    parser.feed(blocks(spool_of([start(b"z" * 1_000_000)])))

    account = parser.account()

    assert account.tool_calls == 100_001
    assert len(account.phase) < 300
    assert small < 20_000
    assert len(parser.save().state) < small + 2000
    assert len(encode_entries(parser.finish())) < 100_000


def call(call_id, tool=b"Bash"):
    block = b'{"type":"tool_use","id":"call-%b","name":"%b","input":{}}' % (call_id, tool)
    return b'{"type":"assistant","message":{"id":"m","content":[%b]}}\n' % block


def start(name):
    message = b'{"type":"message_start","message":{"id":"%b"}}' % name
    return b'{"type":"stream_event","parent_tool_use_id":"%b","event":%b}\n' % (name, message)


@pytest.mark.parametrize(
    "content",
    [b"[" + b"1," * 300_000 + b"1]", b"[" + b"{}," * 300_000 + b"{}]"],
    ids=["numbers", "objects"],
)
def test_a_line_of_very_many_parts_is_kept_as_the_text_that_it_is(content):
    line = b'{"type":"assistant","message":{"content":%b}}' % content
    begun = time.process_time()
    (found,), parser = parse("claude", spool_of([line + b"\n"]))

    assert found == ("output", {"stream": "stdout", "text": line.decode()})
    assert parser.unknown == 1
    assert time.process_time() - begun < 1


def test_a_line_that_would_be_very_many_events_is_one():
    blocks = [{"type": "text", "text": "x"}] * 2_000
    line = {"type": "assistant", "message": {"content": blocks}}
    ((kind, data),) = events_of("claude", line)
    assert (kind, data) == ("custom", {"name": "assistant", "value": line})


def test_a_gap_after_a_restart_has_the_time_of_the_record_before_it():
    spool = spool_of([b"one\n"])
    parser = new_parser("lines")
    parser.feed(blocks(spool))
    again = new_parser("lines")
    again.restore(parser.save(), ())

    (gap,) = again.feed(blocks(b"torn\n"))
    assert (gap.type, gap.time) == ("gap", (START_NS + 1_000_000) // 1_000)
