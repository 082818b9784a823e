from base64 import b64decode

from hypothesis import given
from hypothesis import strategies as st

from runcast.core.events import Batch, Lines, count_events, encode_entries
from runcast.parsers import PARSERS, new_parser
from runcast.parsers.lines import LinesParser
from runcast.parsers.outputs import RAW_PART_BYTES
from runcast.spool.records import Broken, blocks

STAMP = b"2026-11-21T08:57:30.123456789Z"


def record(text, stream=b"stdout", flag=b"F"):
    return b"%b %b %b %b\n" % (STAMP, stream, flag, text)


def events(entries):
    batch = Batch("run:r", 1, 1, count_events(entries), encode_entries(entries))
    return [(event.time, event.type, event.data) for event in batch.events()]


def parse(data):
    return events(LinesParser().feed(blocks(data)))


def test_every_record_is_one_output_event():
    found = parse(record(b"one") + record(b"two", b"stderr") + record(b"thr", flag=b"P"))

    assert [data for _, _, data in found] == [
        {"stream": "stdout", "text": "one"},
        {"stream": "stderr", "text": "two"},
        {"stream": "stdout", "text": "thr", "partial": True},
    ]
    assert {time for time, _, _ in found} == {1_795_251_450_123_456}


def test_an_empty_full_record_ends_a_partial_line():
    found = parse(record(b"all", flag=b"P") + record(b""))

    assert [data["text"] for _, _, data in found] == ["all", ""]
    assert "partial" not in found[1][2]


def test_many_lines_of_one_read_stay_one_entry():
    (entry,) = LinesParser().feed(blocks(record(b"x") * 1000))

    assert isinstance(entry, Lines)
    assert len(entry.texts) == 1000


def test_bytes_that_are_not_utf8_are_shown_and_kept():
    ((_, _, data),) = parse(record(b"caf\xe9\0"))

    assert data["text"] == "caf\ufffd\0"
    assert b64decode(data["raw"]) == b"caf\xe9\0"


def test_one_bad_line_leaves_its_neighbours_alone():
    found = parse(record(b"a") + record(b"\xff") + record("ö".encode()))

    assert [data["text"] for _, _, data in found] == ["a", "\ufffd", "ö"]
    assert ["raw" in data for _, _, data in found] == [False, True, False]


@given(st.binary(min_size=1, max_size=3 * RAW_PART_BYTES).map(lambda b: b.replace(b"\n", b"")))
def test_a_long_line_of_junk_comes_in_parts_of_bounded_size_and_whole(text):
    text += b"\xff"
    found = [data for _, _, data in parse(record(text))]

    assert b"".join(b64decode(data["raw"]) for data in found) == text
    assert [data.get("partial", False) for data in found] == [True] * (len(found) - 1) + [False]
    assert all(len(data["text"].encode()) <= 65_536 for data in found)


def test_what_is_no_record_becomes_a_gap_at_the_time_of_the_record_before():
    entries = LinesParser().feed([*blocks(record(b"a")), Broken(12)])

    assert events(entries)[1] == (
        1_795_251_450_123_456,
        "gap",
        {"reason": "truncated", "bytes": 12},
    )


texts = st.binary(max_size=12).map(lambda text: text.replace(b"\n", b""))
spools = st.lists(
    st.builds(record, texts, st.sampled_from((b"stdout", b"stderr")), st.sampled_from((b"F", b"P")))
)


@given(spools, st.data())
def test_any_cut_between_records_gives_the_same_events(made, data):
    cut = data.draw(st.integers(0, len(made)))
    parser = LinesParser()
    parts = [b"".join(made[:cut]), b"".join(made[cut:])]

    cut_up = [event for part in parts for event in events(parser.feed(blocks(part)))]

    assert cut_up == parse(b"".join(made))


def test_every_dialect_of_the_table_can_be_made():
    for dialect in PARSERS:
        assert new_parser(dialect).feed([]) == []
