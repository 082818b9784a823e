"""The contract of every wire: whole frames, at most one an event, in order, from any cursor."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.core.events import EVENT_TYPES, Draft, Lines
from runcast.core.runs import STATUSES, RunRef
from runcast.wires import WIRES, Keep, new_wire
from runcast.wires.envelopes import envelope_texts
from tests.wires.said import Frame, batch_of, frames_of, sse_frames, written

NATIVE = {"runs", "ndjson"}  # they tell of every event
ODD = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    [
        "",
        "\r\n",
        "a\nid: 9\n\nevent: end",
        "data: x",
        "\x00",
        "\u2028\x85\v\f",
        "\x1b[31m",
        "\ufeff",
    ]
)
STREAMS = st.sampled_from(["stdout", "stderr"])
lines = st.builds(Lines, st.just(1), STREAMS, st.lists(ODD, min_size=1))
entries = st.lists(
    lines
    | st.builds(lambda text: Draft(2, "thought", {"text": text}), ODD)
    | st.builds(
        lambda text: Draft(2, "output", {"stream": "stdout", "text": text, "partial": True}), ODD
    )
    | st.builds(lambda text: Draft(3, "custom", {"name": text, "value": [text, None]}), ODD),
    min_size=1,
    max_size=5,
)
refs = st.builds(RunRef, ODD, ODD, ODD, ODD, st.sampled_from(["run", "external", "watch"]))


@pytest.mark.parametrize("name", WIRES)
@given(made=entries, ref=refs, data=st.data())
def test_any_cursor_gives_exactly_the_events_after_it(name, made, ref, data):
    wire = new_wire(name, Keep(), "seq")
    batch = batch_of(made, first_seq=5, first_position=50, ref=ref)
    after = data.draw(st.integers(0, batch.last_seq + 1))

    whole = frames_of(name, wire.events(batch, 0))
    rest = frames_of(name, wire.events(batch, after))

    told = [event.seq for event in batch.events() if name in NATIVE or event.type != "custom"]
    assert [frame.id for frame in whole] == told
    assert rest == [frame for frame in whole if frame.id > after]


@pytest.mark.parametrize("name", WIRES)
@given(made=entries, ref=refs, data=st.data())
def test_positions_are_cursors_like_seqs(name, made, ref, data):
    batch = batch_of(made, first_seq=5, first_position=50, ref=ref)
    after = data.draw(st.integers(0, batch.last_seq + 1))

    by_seq = new_wire(name, Keep(), "seq").events(batch, after)
    by_position = new_wire(name, Keep(), "position").events(batch, after + 45)

    if name == "ndjson":
        assert by_position == by_seq
        return
    assert sse_frames(by_position) == [
        frame._replace(id=frame.id + 45) for frame in sse_frames(by_seq)
    ]


@given(made=entries, ref=refs, data=st.data())
def test_the_texts_of_envelopes_are_those_of_the_frames(made, ref, data):
    batch = batch_of(made, first_seq=5, first_position=50, ref=ref)
    after = data.draw(st.integers(0, batch.last_position + 1))

    frames = sse_frames(new_wire("envelopes", Keep(), "position").events(batch, after))

    texts = envelope_texts(batch, after)
    assert [json.loads(text) for text in texts] == [frame.data for frame in frames]
    assert all(text.isascii() and "\n" not in text for text in texts)


def log_text(frame: Frame) -> str:
    data = frame.data
    return data.get("line", data.get("text", data.get("name")))


# Where a client finds the text of an event, per wire.
TEXTS = {
    "runs": log_text,
    "ndjson": lambda frame: frame.data.get("text", frame.data.get("name")),
    "envelopes": lambda frame: frame.data["payload"]["content"],
    "jobs": lambda frame: frame.data["line"],
    "processes": lambda frame: frame.data["content"],
    "activity": lambda frame: frame.data["content"],
}


def text_of(name, event):
    text = event.data.get("text", event.data.get("name"))
    return text + "\n" if name == "processes" and not event.data.get("partial") else text


@pytest.mark.parametrize("name", WIRES)
@given(made=entries)
def test_no_text_can_break_a_frame(name, made):
    frames = frames_of(name, new_wire(name, Keep(), "seq").events(batch_of(made), 0))

    told = (event for event in batch_of(made).events() if name in NATIVE or event.type != "custom")
    assert list(map(TEXTS[name], frames)) == [text_of(name, event) for event in told]


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3),
    max_leaves=5,
)
FIELDS = (
    *("stream", "text", "partial", "raw", "text_blob", "role", "kind", "message_id", "envelope"),
    *("tool_call_id", "tool", "input", "ok", "content", "size", "duration_ms", "path", "action"),
    *("percentage", "phase", "tool_calls", "elapsed_s", "message", "source", "reason", "bytes"),
)
reported = st.builds(
    Draft,
    st.just(1),
    st.sampled_from(sorted(set(EVENT_TYPES) - {"status"})),
    st.dictionaries(st.sampled_from(FIELDS) | ODD, anything, max_size=6),
) | st.builds(
    lambda status, more: Draft(1, "status", {"status": status, **more}),
    st.sampled_from(STATUSES),
    st.fixed_dictionaries(
        dict.fromkeys(("reason", "exit_code", "signal", "result"), anything),
        optional={"error": anything},
    ),
)


@pytest.mark.parametrize("name", WIRES)
@given(made=st.lists(reported, min_size=1, max_size=3), ref=refs, streams=st.sets(STREAMS))
def test_whatever_a_client_reports_is_told_in_sound_frames(name, made, ref, streams):
    wire = new_wire(name, Keep(streams=frozenset(streams)), "seq")
    frames = frames_of(name, wire.events(batch_of(made, ref=ref), 0))
    if name in NATIVE and not streams:
        assert [frame.id for frame in frames] == list(range(1, len(made) + 1))


@pytest.mark.parametrize("name", WIRES)
@given(made=lines, ref=refs)
def test_lines_are_written_as_each_alone_would_be(name, made, ref):
    alone = [
        Draft(made.time, "output", {"stream": made.stream, "text": text}) for text in made.texts
    ]
    wire = new_wire(name, Keep(), "position")
    together, apart = batch_of([made], 5, 50, ref), batch_of(alone, 5, 50, ref)
    assert wire.events(together, 0) == wire.events(apart, 0)


@pytest.mark.parametrize("name", WIRES)
def test_equal_wires_share_their_encodings_and_unequal_ones_do_not(name):
    keep = Keep(types=frozenset({"output"}))

    assert new_wire(name, keep, "seq").key == new_wire(name, keep, "seq").key
    keys = {
        new_wire(name, Keep(), "seq").key,
        new_wire(name, Keep(), "position").key,
        new_wire(name, keep, "seq").key,
        *(new_wire(other, keep, "seq").key for other in WIRES),
    }
    assert len(keys) == 2 + len(WIRES)
    assert new_wire(name, Keep(grep="x"), "seq").key is None


FILTERED = [
    Lines(1, "stdout", ["apple", "pear"]),
    Lines(1, "stderr", ["apple"]),
    Draft(1, "thought", {"text": "apple?"}),
    Draft(1, "custom", {"name": "fruit", "value": {"kind": "pear"}}),
]


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize(
    ("keep", "numbers"),
    [
        (Keep(), [7, 8, 9, 10, 11]),
        (Keep(types=frozenset({"output"})), [7, 8, 9]),
        (Keep(types=frozenset({"thought", "custom"})), [10, 11]),
        (Keep(streams=frozenset({"stderr"})), [9, 10, 11]),
        (Keep(grep="apple"), [7, 9, 10]),
        (Keep(grep="pear"), [8, 11]),
        (Keep(frozenset({"output"}), frozenset({"stdout"}), "apple"), [7]),
    ],
)
def test_a_filter_lets_through_what_it_names(name, keep, numbers):
    untold = set() if name in NATIVE else {11}
    frames = written(name, *FILTERED, keep=keep)
    assert [frame.id for frame in frames] == [number for number in numbers if number not in untold]


@pytest.mark.parametrize("name", WIRES)
def test_a_log_of_no_run_speaks_under_its_own_name(name):
    batch = batch_of([Lines(1, "stdout", ["a"])], ref=None)
    assert len(frames_of(name, new_wire(name, Keep(), "seq").events(batch, 0))) == 1


SSE = sorted(set(WIRES) - {"ndjson"})


@pytest.mark.parametrize("name", SSE)
def test_a_gap_leaves_the_cursor_before_the_first_kept_event(name):
    assert new_wire(name, Keep(), "seq").gap(3, 9, "retention") == (
        b'event: gap\ndata: {"after":3,"first":9,"reason":"retention"}\nid: 8\n\n'
    )


CLOSING = {
    "runs": ("end", {"run_id": "r", "last_seq": 9}),
    "envelopes": ("end", {"run_id": "r", "last_seq": 9}),
    "activity": ("end", {"run_id": "r", "last_seq": 9}),
    "processes": ("done", {"processId": "r"}),
}


@pytest.mark.parametrize("name", CLOSING)
def test_the_closing_frame_takes_an_id_that_no_event_has(name):
    event, data = CLOSING[name]
    wire = new_wire(name, Keep(), "seq")
    assert sse_frames(wire.closing("r", 9, deleted=False)) == [Frame(event, data, 10)]
    deleted = data | {"deleted": True}
    assert sse_frames(wire.closing("r", 9, deleted=True)) == [Frame(event, deleted, 10)]


@pytest.mark.parametrize("name", SSE)
def test_heartbeats_move_no_cursor_and_comments_are_no_events(name):
    wire = new_wire(name, Keep(), "seq")
    silent = name in {"envelopes", "jobs"}
    assert wire.heartbeat() == (b": hb\n" if silent else b"event: heartbeat\ndata: {}\n\n")
    assert wire.comment() == b": hb\n"


@pytest.mark.parametrize("name", SSE)
def test_the_reconnection_delay_rides_in_the_first_frame(name):
    wire = new_wire(name, Keep(), "seq")
    assert wire.media_type == "text/event-stream"
    assert wire.first(b"event: x\n", 1500) == b"retry: 1500\nevent: x\n"


def test_lines_without_sse_have_an_end_and_gaps_too():
    wire = new_wire("ndjson", Keep(), "seq")
    assert wire.closing("r", 9, deleted=True) == (
        b'{"type":"end","data":{"run_id":"r","last_seq":9,"deleted":true}}\n'
    )
    gap = {"type": "gap", "data": {"after": 3, "first": 9, "reason": "retention"}}
    assert json.loads(wire.gap(3, 9, "retention")) == gap
    assert wire.heartbeat() == wire.comment() == b"\n"
    assert wire.first(b"{}\n", 1500) == b"{}\n"
