from hypothesis import given
from hypothesis import strategies as st

from runcast.spool.records import Block, Broken, blocks, whole_records

TIMES = (
    b"2026-11-21T08:57:30.123456789Z",
    b"2026-11-21T08:57:30.123456790Z",
    b"1970-01-01T00:00:00.000001000Z",
)

records = st.tuples(
    st.sampled_from(TIMES),
    st.sampled_from((b"stdout", b"stderr")),
    st.sampled_from((b"F", b"P")),
    st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"")),
)


def line(record):
    return b"%b %b %b %b\n" % record


def spread(found):
    """Every record of the blocks, as what it was made from."""
    return [
        (block.stream.encode(), b"F" if block.full else b"P", text)
        for block in found
        for text in block.texts()
    ]


@given(st.lists(records, max_size=60))
def test_blocks_hold_exactly_the_records_in_order(made):
    found = list(blocks(b"".join(map(line, made))))

    assert all(isinstance(block, Block) for block in found)
    assert spread(found) == [(stream, flag, text) for _, stream, flag, text in made]


@given(st.lists(records, max_size=30))
def test_the_raw_bytes_are_what_the_command_printed(made):
    raw = b"".join(block.raw() for block in blocks(b"".join(map(line, made))))

    assert raw == b"".join(text + (b"\n" if flag == b"F" else b"") for _, _, flag, text in made)


def test_records_of_one_header_are_one_block_however_many():
    data = line((TIMES[0], b"stdout", b"F", b"x" * 59)) * 5_000

    (block,) = blocks(data)

    assert len(block.lines()) == 5_000
    assert block.time == 1_795_251_450_123_456


def test_a_header_that_comes_again_after_another_one_is_not_joined_over_it():
    first = (TIMES[0], b"stdout", b"F", b"a")
    other = (TIMES[0], b"stderr", b"F", b"b")
    made = [first, first, other, first]

    assert [text for _, _, text in spread(blocks(b"".join(map(line, made))))] == [
        *(b"a", b"a", b"b", b"a")
    ]


@given(st.lists(st.one_of(records.map(line), st.binary(max_size=60)), max_size=20))
def test_junk_is_reported_with_its_size_and_never_raises(pieces):
    data = b"".join(pieces)
    data = data[: whole_records(data)]
    size = 0
    for block in blocks(data):
        if isinstance(block, Broken):
            size += block.size
        else:
            size += sum(40 + len(text) + 1 for text in block.texts())

    assert size == len(data)


def test_zeros_after_a_power_cut_are_stepped_over():
    good = line((TIMES[0], b"stdout", b"F", b"good"))

    before, zeros, after = blocks(good + bytes(100) + b"\n" + good)

    assert (before.lines(), after.lines()) == (["good"], ["good"])
    assert zeros.size == 101


def test_data_without_a_newline_is_one_broken_piece():
    (broken,) = blocks(b"x" * 100)

    assert broken.size == 100


def test_only_what_ends_in_a_newline_is_whole():
    assert whole_records(b"abc\nde") == 4
    assert whole_records(b"abc") == 0
