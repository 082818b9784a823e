"""The contract of every wire: whole frames, once each, in order, from any cursor."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.core.events import Batch, Draft, Lines, count_events, encode_entries
from runcast.wires import WIRES, Keep, new_wire

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
entries = st.lists(
    st.builds(Lines, st.just(1), st.sampled_from(["stdout", "stderr"]), st.lists(ODD, min_size=1))
    | st.builds(lambda text: Draft(2, "thought", {"text": text}), ODD)
    | st.builds(
        lambda text: Draft(2, "output", {"stream": "stdout", "text": text, "partial": True}), ODD
    )
    | st.builds(lambda text: Draft(3, "custom", {"name": text, "value": [text, None]}), ODD),
    min_size=1,
    max_size=5,
)


def batch_of(made, first_seq=1, first_position=1):
    return Batch("run:r", first_seq, first_position, count_events(made), encode_entries(made))


def sse_frames(written):
    """Read frames strictly: three lines each, in this order, and nothing else."""
    text = written.decode("ascii")
    assert "\r" not in text
    assert not text or text.endswith("\n\n")
    for block in text.split("\n\n")[:-1]:
        event, data, number = block.split("\n")
        yield (
            int(number.removeprefix("id: ")),
            event.removeprefix("event: "),
            json.loads(data.removeprefix("data: ")),
        )


def ndjson_frames(written):
    for line in written.decode("ascii").splitlines():
        shown = json.loads(line)
        yield shown["seq"], shown["type"], shown["data"]


READERS = {"runs": sse_frames, "ndjson": ndjson_frames}


@pytest.mark.parametrize("name", WIRES)
@given(made=entries, data=st.data())
def test_any_cursor_gives_exactly_the_events_after_it(name, made, data):
    wire = new_wire(name, Keep(), "seq")
    batch = batch_of(made, first_seq=5)
    after = data.draw(st.integers(0, batch.last_seq))

    whole = list(READERS[name](wire.events(batch, 0)))
    rest = list(READERS[name](wire.events(batch, after)))

    assert [number for number, _, _ in whole] == list(range(5, batch.last_seq + 1))
    assert rest == [frame for frame in whole if frame[0] > after]


@pytest.mark.parametrize("name", WIRES)
@given(made=entries)
def test_no_text_can_break_a_frame(name, made):
    written = new_wire(name, Keep(), "seq").events(batch_of(made), 0)
    texts = [
        data.get("line", data.get("text", data.get("name")))
        for _, _, data in READERS[name](written)
    ]

    events = batch_of(made).events()
    expected = [event.data.get("text", event.data.get("name")) for event in events]
    assert texts == expected


@pytest.mark.parametrize("name", WIRES)
def test_equal_wires_share_their_encodings_and_unequal_ones_do_not(name):
    keep = Keep(types=frozenset({"output"}))

    assert new_wire(name, keep, "seq").key == new_wire(name, keep, "seq").key
    keys = {
        new_wire(name, Keep(), "seq").key,
        new_wire(name, Keep(), "position").key,
        new_wire(name, keep, "seq").key,
    }
    assert len(keys) == 3
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
        (Keep(), [1, 2, 3, 4, 5]),
        (Keep(types=frozenset({"output"})), [1, 2, 3]),
        (Keep(types=frozenset({"thought", "custom"})), [4, 5]),
        (Keep(streams=frozenset({"stderr"})), [3, 4, 5]),
        (Keep(grep="apple"), [1, 3, 4]),
        (Keep(grep="pear"), [2, 5]),
        (Keep(frozenset({"output"}), frozenset({"stdout"}), "apple"), [1]),
    ],
)
def test_a_filter_lets_through_what_it_names(name, keep, numbers):
    written = new_wire(name, keep, "seq").events(batch_of(FILTERED), 0)

    assert [number for number, _, _ in READERS[name](written)] == numbers


def test_positions_number_a_stream_over_all_runs():
    wire = new_wire("runs", Keep(), "position")
    batch = batch_of(FILTERED, first_seq=3, first_position=70)

    assert [number for number, _, _ in sse_frames(wire.events(batch, 0))] == [70, 71, 72, 73, 74]
    assert [number for number, _, _ in sse_frames(wire.events(batch, 72))] == [73, 74]
