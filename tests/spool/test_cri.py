"""The framing of output as CRI records, for any output cut in any way."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runcast.spool.cri import HEADER_BYTES, PART_BYTES, Framer, mended, output_bytes
from tests.runner.held import joined

NOON = 1_795_262_250_123_456_789  # 2026-11-21T11:57:30.123456789Z
HEADER = b"2026-11-21T11:57:30.123456789Z stdout "

# What is hard: line ends, bytes that are not UTF-8, characters of 2 to 4 bytes, long stretches.
pieces = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=20).map(str.encode),
    st.sampled_from([b"\n", b"\r\n", b"\0", b"\xff", b"\xe2\x82", "é€🙂".encode()]),
    st.builds(bytes.__mul__, st.sampled_from([b"a", b"\n", "€".encode()]), st.integers(0, 70_000)),
)
outputs = st.lists(pieces, max_size=8).map(b"".join)
texts = st.lists(st.text(max_size=30) | st.sampled_from(["€" * 50_000, "\n", "🙂" * 40_000]))


@st.composite
def chunkings(draw: st.DrawFn, output: bytes) -> list[bytes]:
    """Cut `output` into chunks such as reads of at most 64 KiB give."""
    cuts = draw(st.lists(st.integers(0, len(output)), max_size=8))
    whole = sorted({0, len(output), *cuts, *range(0, len(output), PART_BYTES)})
    return [output[start:end] for start, end in pairwise(whole)]


def framed(data: st.DataObject, output: bytes) -> list[bytes]:
    """Frame `output` chunk by chunk, flushing now and then, and return the records."""
    framer = Framer("stdout")
    spool = b""
    for chunk in data.draw(chunkings(output)):
        spool += framer.feed(chunk, NOON)
        if data.draw(st.booleans()):
            spool += framer.flush(NOON)
            assert not framer.waiting
    spool += framer.close(NOON)
    assert framer.held == 0
    assert spool == b"" or spool.endswith(b"\n")
    return spool.split(b"\n")[:-1]


@settings(max_examples=60, deadline=None)
@given(st.data(), outputs)
def test_joined_texts_are_the_output_byte_for_byte(data: st.DataObject, output: bytes) -> None:
    records = framed(data, output)
    assert joined(records, "stdout") == output
    assert all(len(record) <= HEADER_BYTES + PART_BYTES for record in records)
    assert all(record.startswith(HEADER) for record in records)
    assert sum(output_bytes(record + b"\n") for record in records) == len(output)


@settings(max_examples=60, deadline=None)
@given(st.data(), texts.map("".join))
def test_no_character_is_cut_in_two(data: st.DataObject, text: str) -> None:
    for record in framed(data, text.encode()):
        record[HEADER_BYTES:].decode()


def test_only_a_newline_ends_a_line() -> None:
    text = b"50%\r\x0b\x0c\x1c\x1d\x1e\xc2\x85\xe2\x80\xa8100%\r\n"
    assert Framer("stdout").feed(text, NOON) == HEADER + b"F " + text


def test_an_unfinished_line_ends_with_an_empty_full_record_once_its_newline_comes() -> None:
    framer = Framer("stdout")
    assert framer.feed(b"name? ", NOON) == b""
    assert framer.flush(NOON) == HEADER + b"P name? \n"
    assert framer.feed(b"\n", NOON) == HEADER + b"F \n"
    assert framer.close(NOON) == b""


def test_the_start_of_a_character_is_held_back_at_a_flush_but_not_at_the_end() -> None:
    framer = Framer("stdout")
    framer.feed("5 €".encode()[:-1], NOON)
    assert framer.flush(NOON) == HEADER + b"P 5 \n"
    assert not framer.waiting
    assert framer.close(NOON) == HEADER + b"P \xe2\x82\n"


def test_a_line_of_exactly_one_part_is_one_full_record() -> None:
    framer = Framer("stdout")
    assert framer.feed(b"x" * PART_BYTES, NOON) == b""
    assert framer.feed(b"\n", NOON) == HEADER + b"F " + b"x" * PART_BYTES + b"\n"


def test_the_date_follows_the_clock() -> None:
    framer = Framer("stderr")
    assert framer.feed(b"a\n", 0).startswith(b"1970-01-01T00:00:00.000000000Z stderr F a")
    assert framer.feed(b"b\n", 1_000_000_001).startswith(b"1970-01-01T00:00:01.000000001Z")


@pytest.mark.parametrize("flag", [b"F", b"P"])
def test_a_record_torn_in_its_text_becomes_a_part(flag: bytes) -> None:
    assert mended(HEADER + flag + b" some te") == HEADER + b"P some te\n"


@pytest.mark.parametrize("size", range(HEADER_BYTES + 1))
def test_a_record_torn_before_its_text_becomes_nothing(size: int) -> None:
    assert mended((HEADER + b"F ")[:size]) == b""


def test_what_is_no_record_is_not_mended() -> None:
    assert mended(b"\0" * 100) == b""


def test_framing_a_chunk_costs_no_work_per_line() -> None:
    framer = Framer("stdout")
    chunk = b"\n" * PART_BYTES
    started = time.perf_counter()
    framer.feed(chunk, NOON)
    assert time.perf_counter() - started < 0.05
