"""Envelopes that a command prints."""

import json

from tests.parsers.transcripts import TRANSCRIPTS, events_of, expected, parse, spool_of

(ENVELOPES,) = (path for path in TRANSCRIPTS if path.stem == "envelope")


def envelope(kind, **payload):
    return {
        "type": kind,
        "taskId": "task",
        "agentId": "agent",
        "sequenceNumber": 1,
        "timestamp": "2026-11-20T23:38:40.133Z",
        "payload": payload,
    }


def test_every_envelope_becomes_one_event_that_carries_it():
    printed = [json.loads(line) for line in ENVELOPES.read_text().splitlines()]
    found = expected(ENVELOPES)[: len(printed)]

    for value, (kind, data) in zip(printed, found, strict=True):
        assert data["value" if kind == "custom" else "envelope"] == value


def test_unknown_fields_go_along():
    value = envelope("thought", content="x", mood="good") | {"extra": [1]}

    assert events_of("envelope", value) == [("thought", {"text": "x", "envelope": value})]


def test_answers_belong_to_the_oldest_open_call_of_their_tool():
    call = envelope("action", tool="ls", args={}, status="invoking")
    other = envelope("action", tool="cat", args={}, status="invoking")
    done = envelope("action", tool="ls", args={}, status="success")

    found = events_of("envelope", other, call, call, done, done, done)

    ids = [data["tool_call_id"] for _, data in found]
    assert ids == ["call-1", "call-2", "call-3", "call-2", "call-3", "call-4", "call-1"]


def test_an_invalid_envelope_is_kept_and_counted():
    value = envelope("action", tool="ls", args=[], status="invoking")
    found, parser = parse("envelope", spool_of([json.dumps(value).encode() + b"\n"]))

    assert found == [("custom", {"name": "action", "value": value})]
    assert parser.unknown == 1
