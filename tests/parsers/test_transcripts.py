"""Real outputs of agents become the expected events, however they are cut up or interrupted."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parsers.transcripts import (
    TRANSCRIPTS,
    dialect_of,
    expected,
    found_in,
    golden_of,
    parse,
    printed,
    read_in_parts,
    record_ends,
    report_of,
    spool_of,
)

each_transcript = pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)


def printed_bytes(transcript):
    return b"".join(line + b"\n" for line in printed(transcript))


@each_transcript
def test_a_transcript_becomes_the_expected_events_and_account(transcript):
    spool = spool_of([line + b"\n" for line in printed(transcript)])

    found = report_of(*parse(dialect_of(transcript), spool))

    assert found.splitlines() == golden_of(transcript).read_text().splitlines()


@each_transcript
def test_a_transcript_written_byte_by_byte_becomes_the_same_events(transcript):
    text = printed_bytes(transcript)[:6000]
    writes = [text[index : index + 1] for index in range(len(text))]

    cut_up, _ = parse(dialect_of(transcript), spool_of(writes, paused=range(len(writes))))
    whole, _ = parse(dialect_of(transcript), spool_of([text]))

    assert cut_up == whole


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_any_cut_and_any_restart_gives_the_same_events(data):
    transcript = data.draw(st.sampled_from(TRANSCRIPTS))
    text = printed_bytes(transcript)
    places = st.integers(1, len(text) - 1)
    cuts = sorted(data.draw(st.sets(places, max_size=12)))
    writes = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]
    paused = data.draw(st.sets(st.integers(0, len(writes) - 1)))
    spool = spool_of(writes, paused=sorted(paused))
    stops = data.draw(st.sets(st.sampled_from(record_ends(spool)), max_size=8))
    restarts = data.draw(st.sets(st.sampled_from(sorted(stops)))) if stops else set()
    dialect = dialect_of(transcript)

    entries, account = read_in_parts(dialect, spool, sorted(stops), restarts)
    whole, account_of_whole = read_in_parts(dialect, spool, [], set())

    assert entries == whole, "times and durations are the records', too"
    assert account == account_of_whole
    assert found_in(entries) == expected(transcript)


@each_transcript
def test_a_restart_after_every_record_changes_nothing(transcript):
    text = printed_bytes(transcript)
    writes = [text[start : start + 97] for start in range(0, len(text), 97)]
    spool = spool_of(writes, paused=range(0, len(writes), 2))
    ends = record_ends(spool)

    entries, _ = read_in_parts(dialect_of(transcript), spool, ends, set(ends))

    assert found_in(entries) == expected(transcript)
