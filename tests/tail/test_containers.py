"""The records of container runtimes: their parts, their times, and what is no record."""

import msgspec
import pytest

from runcast.spool.cri import Framer
from runcast.spool.records import Block, blocks
from runcast.tail.formats import new_framing
from tests.tail.framing import MICROS, NOW, TIME, at_once, copy, cri, docker, joined

# CRI.


@pytest.mark.parametrize("digits", range(10))
@pytest.mark.parametrize(
    ("offset", "hours"), [(b"Z", 0), (b"+02:00", 2), (b"-05:30", -5.5), (b"+00:00", 0)]
)
def test_cri_times_have_any_number_of_digits_and_any_offset(
    digits: int, offset: bytes, hours: float
) -> None:
    fraction = b"123456789"[:digits]
    time = b"2026-11-21T08:57:30" + (b"." + fraction if digits else b"") + offset
    (block,) = at_once("cri", cri(b"x", time=time))
    micros = int(fraction[:6].ljust(6, b"0"))
    assert block.time == MICROS - MICROS % 1_000_000 + micros - int(hours * 3600e6)


@pytest.mark.parametrize("tag", [b"P", b"P:x", b"P:x:y"])
def test_parts_of_cri_give_one_line_with_the_time_of_its_end(tag: bytes) -> None:
    later = b"2026-11-21T08:57:31Z"
    data = cri(b"one ", tag) + cri(b"two ", tag, time=later) + cri(b"three", b"F:x", time=later)
    (block,) = at_once("cri", data)
    assert (block.time, block.full, block.texts()) == (
        MICROS - MICROS % 1_000_000 + 1_000_000,
        True,
        [b"one two three"],
    )


def test_the_other_stream_is_not_held_up_by_parts() -> None:
    framing = new_framing("cri", joins=True)
    said = framing.feed(cri(b"a", b"P") + cri(b"error", stream=b"stderr"), NOW)
    assert joined(said) == [("stderr", b"error")]
    assert joined(framing.feed(cri(b"b"), NOW)) == [("stdout", b"ab")]


def test_a_restart_between_parts_gives_the_other_stream_once() -> None:
    first = cri(b"a", b"P") + cri(b"error", stream=b"stderr")
    framing = new_framing("cri", joins=True)
    framing.feed(first, NOW)
    framing, kept = copy(framing, "cri", joins=True)
    assert kept.offset == 0
    said = framing.feed((first + cri(b"b") + cri(b"c", stream=b"stderr"))[kept.offset :], NOW)
    assert joined(said) == [("stdout", b"ab"), ("stderr", b"c")]


@pytest.mark.parametrize("joins", [False, True])
@pytest.mark.parametrize("is_killed", [False, True])
def test_a_line_goes_on_behind_a_rotation(joins: bool, is_killed: bool) -> None:
    framing = new_framing("cri", joins=joins)
    said = framing.feed(cri(b"a", b"P") + cri(b"1", b"P", b"stderr"), NOW) + framing.end(NOW)
    if is_killed:
        framing, kept = copy(framing, "cri", joins=joins)
        assert kept.offset == 0
    said += framing.feed(cri(b"b", b"P") + cri(b"2", b"F", b"stderr") + cri(b"c"), NOW)
    assert joined(said) == [("stderr", b"12"), ("stdout", b"abc")]


def test_too_much_of_a_line_is_not_carried_to_the_next_file() -> None:
    framing = new_framing("cri", joins=True)
    said = framing.feed(cri(b"a" * 70_000, b"P"), NOW) + framing.end(NOW)
    assert joined(said) == [("stdout", b"a" * 70_000)]
    assert len(msgspec.msgpack.encode(framing.kept())) < 100


def test_what_is_missing_behind_a_part_ends_it() -> None:
    framing = new_framing("cri", joins=True)
    said = framing.feed(cri(b"a", b"P") + cri(b"1", b"P", b"stderr"), NOW) + framing.cut(NOW)
    assert joined(said) == [("stdout", b"a"), ("stderr", b"1")]
    assert joined(framing.feed(cri(b"b"), NOW)) == [("stdout", b"b")]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not a record",
        TIME,
        TIME + b" stdout F",
        TIME + b" stdin F x",
        TIME + b" stdout X x",
        TIME + b" stdout f x",
        TIME + b" stdout  F x",
        b" " + TIME + b" stdout F x",
        b"2026-11-21 stdout F x",
        b"2026-11-21T08:57:30 stdout F no offset",
        b"2026-13-21T08:57:30Z stdout F x",
        b"0001-01-01T00:00:00+05:00 stdout F before all times",
        b"9999-12-31T23:59:59-05:00 stdout F after them",
        b"\xff\xff stdout F x",
        "\uff12026-11-21T08:57:30Z stdout F x".encode(),
        b"\0" * 50,
    ],
)
def test_what_is_no_cri_record_is_a_line_as_it_stands(line: bytes) -> None:
    (block,) = at_once("cri", line + b"\n")
    assert (block.time, block.stream, block.texts()) == (NOW, "stdout", [line])


@pytest.mark.parametrize("text", [b"", b" ", b"  two", b"a b c", b"x\r", b"\0", b"\xff", b"F x"])
def test_the_text_of_a_cri_record_is_all_behind_its_tag(text: bytes) -> None:
    (block,) = at_once("cri", cri(text, stream=b"stderr"))
    assert (block.time, block.stream, block.texts()) == (MICROS, "stderr", [text])


def test_records_of_one_moment_come_in_one_block() -> None:
    said = at_once("cri", cri(b"a") + cri(b"b") + cri(b"c", stream=b"stderr") + cri(b"d"))
    assert [block.texts() for block in said] == [[b"a", b"b"], [b"c"], [b"d"]]


def test_a_spool_is_a_cri_file() -> None:
    framer = Framer("stdout")
    spool = framer.feed(b"a\nb" + b"x" * 65_000, 1) + framer.feed(b"y" * 65_000 + b"\nz", 2)
    spool += framer.close(3)
    spooled = [one for one in blocks(spool) if isinstance(one, Block)]
    assert joined(at_once("cri", spool)) == joined(spooled)


# docker-json.


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n", b"a"),
        ("\n", b""),
        ("a\r\n", b"a\r"),
        ("\x1b[1mä😀\0\n", "\x1b[1mä😀\0".encode()),
        ('"quoted" \\ \n', b'"quoted" \\ '),
    ],
)
def test_docker_writes_the_text_as_json(text: str, line: bytes) -> None:
    (block,) = at_once("docker-json", docker(text, "stderr"))
    assert (block.time, block.stream, block.full, block.texts()) == (
        MICROS,
        "stderr",
        True,
        [line],
    )


def test_docker_cuts_long_lines_and_leaves_out_their_newlines() -> None:
    parts = ["x" * 16_384, "y" * 16_384, "z\n"]
    data = docker(parts[0]) + docker("e\n", "stderr") + docker(parts[1]) + docker(parts[2])
    said = at_once("docker-json", data, joins=True)
    assert joined(said) == [("stderr", b"e"), ("stdout", "".join(parts)[:-1].encode())]


def test_a_docker_line_goes_on_behind_a_rotation() -> None:
    said = at_once("docker-json", docker("a"), docker("b\n"), joins=True)
    assert joined(said) == [("stdout", b"ab")]


def test_docker_need_not_name_the_stream_and_may_say_more() -> None:
    line = b'{"attrs":{"tag":"x"},"log":"a\\n","time":"2026-11-21T10:57:30.5+02:00"}\n'
    (block,) = at_once("docker-json", line)
    assert (block.stream, block.texts()) == ("stdout", [b"a"])
    assert block.time == MICROS - MICROS % 1_000_000 + 500_000


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"junk",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"stream":"stdout","time":"2026-11-21T08:57:30Z"}',
        b'{"log":"no time\\n"}',
        b'{"log":"a\\n","time":"yesterday"}',
        b'{"log":1,"time":"2026-11-21T08:57:30Z"}',
        b'{"log":"\xff\\n","time":"2026-11-21T08:57:30Z"}',
        b'{"log":"\\ud800\\n","time":"2026-11-21T08:57:30Z"}',
        b'{"log":"a\\n","time":"2026-11-21T08:57:30Z"} and more',
        b"[" * 60_000,
        b'{"x":' + b"[" * 60_000,
    ],
)
def test_what_is_no_docker_record_is_a_line_as_it_stands(line: bytes) -> None:
    (block,) = at_once("docker-json", line + b"\n")
    assert (block.time, block.stream, block.texts()) == (NOW, "stdout", [line])
