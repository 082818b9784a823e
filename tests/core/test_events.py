import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.core.events import (
    Batch,
    Draft,
    Lines,
    count_events,
    encode_entries,
    run_log,
    run_of,
    text_of,
)

ENTRIES = [
    Draft(1, "status", {"status": "running"}),
    Lines(2, "stdout", ["a", "b", "c"]),
    Draft(3, "output", {"stream": "stderr", "text": "d", "partial": True}),
]


def batch_of(entries, first_seq=10, first_position=100):
    body = encode_entries(entries)
    return Batch("run:r", first_seq, first_position, count_events(entries), body)


def test_a_batch_numbers_every_event_that_its_entries_stand_for():
    batch = batch_of(ENTRIES)
    events = list(batch.events())

    assert [event.seq for event in events] == [10, 11, 12, 13, 14]
    assert [event.position for event in events] == [100, 101, 102, 103, 104]
    assert (batch.last_seq, batch.last_position) == (14, 104)
    assert events[2].data == {"stream": "stdout", "text": "b"}
    assert events[4].data["partial"] is True


def test_events_after_a_seq_begin_in_the_middle_of_an_entry():
    events = list(batch_of(ENTRIES).events(after=12))

    assert [(event.seq, event.data["text"]) for event in events] == [(13, "c"), (14, "d")]


def test_entries_survive_encoding():
    assert batch_of(ENTRIES).entries() == ENTRIES


def test_a_run_and_its_log_name_each_other():
    assert run_of(run_log("x.1")) == "x.1"
    assert run_of("lifecycle") is None


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"stream": "stdout", "text": "hi"}, "hi"),
        ({"role": "user", "text": ""}, ""),
        ({"tool": "Bash", "input": {"command": 'say "a"', "n": 1}, "ok": True}, 'Bash\nsay "a"'),
        ({"value": [["a", {"k": "b"}], None, "c"], "name": "d"}, "a\nb\nc\nd"),
        ({"text": ["odd"], "stream": "stdout"}, "odd\nstdout"),
        ({"input_tokens": 5}, ""),
        ({}, ""),
    ],
)
def test_what_an_event_says_are_its_texts(data, text):
    assert text_of(data) == text


def test_what_is_said_may_be_nested_deeper_than_calls():
    nested = "deep"
    for _ in range(10_000):
        nested = [nested]
    assert text_of({"value": nested}) == "deep"


leaves = st.text() | st.integers(0, 99) | st.none() | st.booleans()
anything = st.recursive(
    leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@given(st.dictionaries(st.text(), anything, max_size=4))
def test_every_line_that_an_event_says_stands_in_its_batch_as_it_is(data):
    body = encode_entries([Draft(1, "custom", data)])
    assert all(line.encode() in body for line in text_of(data).split("\n"))
