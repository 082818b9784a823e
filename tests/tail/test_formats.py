"""What each framing makes of the bytes of a file, however they are cut, kept and taken up again."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.core.events import Draft, Entry, Lines
from runcast.parsers import new_parser
from runcast.spool.cri import PART_BYTES, Framer
from runcast.spool.records import Block, blocks
from runcast.tail.formats import FRAMINGS, new_framing
from tests.tail.framing import NOW, at_once, copy, cri, docker, joined

# Cuts, restarts and rotation, of anything that may be in a file.

some_text = st.one_of(
    st.sampled_from([b"", b"x", "ä€😀".encode(), b"\r", b"50 %\r100 %", b"\0", b"\xff\xc3", b"{}"]),
    st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"")),
    st.integers(0, 9).map(lambda digit: b"%d" % digit * (PART_BYTES // 2 + 5)),
)
streams = st.sampled_from([b"stdout", b"stderr"])
tags = st.sampled_from([b"F", b"P", b"P", b"F:x", b"P:x"])
cri_record = st.builds(cri, some_text, tags, streams)
docker_record = st.builds(
    lambda text, end, stream: docker(text.decode(errors="replace") + end, stream.decode()),
    some_text,
    st.sampled_from(["\n", "", ""]),
    streams,
)
plain_line = some_text.map(lambda text: text + b"\n")
RECORDS = {
    "plain": plain_line,
    "cri": st.one_of(cri_record, cri_record, cri_record, plain_line),
    "docker-json": st.one_of(docker_record, docker_record, docker_record, plain_line),
}


@st.composite
def cut_files(draw: st.DrawFn, name: str) -> list[list[tuple[bytes, bool]]]:
    """Draw files in chunks, each chunk with whether the reader is started anew behind it."""
    files = []
    for _ in range(draw(st.integers(1, 3))):
        data = b"".join(draw(st.lists(RECORDS[name], max_size=8)))
        if draw(st.booleans()):
            data = data[: draw(st.integers(0, len(data)))]  # no newline at its end
        ends = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
        chunks = [
            data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)
        ]
        files.append([(chunk, draw(st.booleans())) for chunk in chunks])
    return files


@pytest.mark.parametrize("joins", [False, True])
@pytest.mark.parametrize("name", sorted(FRAMINGS))
@given(data=st.data())
def test_every_cut_gives_the_same_lines_and_so_does_every_restart(
    name: str, joins: bool, data: st.DataObject
) -> None:
    files = data.draw(cut_files(name))
    wanted = at_once(name, *(b"".join(chunk for chunk, _ in one) for one in files), joins=joins)
    framing = new_framing(name, joins=joins)
    said: list[Block] = []
    for number, chunks in enumerate(files):
        if number:
            said += framing.end(NOW)
        content = b""
        for chunk, is_killed in chunks:
            content += chunk
            said += framing.feed(content[framing.position :], NOW)
            if is_killed:
                framing, kept = copy(framing, name, joins=joins)
                assert kept.offset <= len(content)
        said += framing.feed(content[framing.position :], NOW)
    said += framing.finish(NOW)
    assert joined(said) == joined(wanted)


@pytest.mark.parametrize("name", sorted(FRAMINGS))
@given(data=st.data())
def test_a_flush_at_any_time_gives_the_same_lines(name: str, data: st.DataObject) -> None:
    files = data.draw(cut_files(name))
    framing = new_framing(name, joins=False)
    said: list[Block] = []
    for number, chunks in enumerate(files):
        if number:
            said += framing.end(NOW)
        content = b""
        for chunk, is_quiet in chunks:
            content += chunk
            said += framing.feed(content[framing.position :], NOW)
            if is_quiet:
                said += framing.flush(NOW)
                framing, _ = copy(framing, name, joins=False)
        said += framing.feed(content[framing.position :], NOW)
    said += framing.finish(NOW)
    whole = [b"".join(chunk for chunk, _ in one) for one in files]
    assert joined(said) == joined(at_once(name, *whole))


@given(data=st.binary(max_size=200), ends=st.lists(st.integers(0, 200), max_size=5))
def test_plain_bytes_are_kept_as_they_are(data: bytes, ends: list[int]) -> None:
    framing = new_framing("plain", joins=False)
    said: list[Block] = []
    for start, end in zip([0, *sorted(ends)], [*sorted(ends), None], strict=True):
        said += framing.feed(data[start:end], NOW)
    said += framing.finish(NOW)
    assert b"".join(block.raw() for block in said) == data


# Plain.


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"\n\n\n", [b"", b"", b""]),
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a\r", b"b\r"]),
        (b"10 %\r50 %\r100 %\n", [b"10 %\r50 %\r100 %"]),
        (b"10 %\r50 %\r", [b"10 %\r50 %\r"]),
        (b"\0\na\0b\n", [b"\0", b"a\0b"]),
        (b"\xff\xfe\n\xc3", [b"\xff\xfe", b"\xc3"]),
        (b"a\x0bb\x0cc\x1cd\xe2\x80\xa8e\n", [b"a\x0bb\x0cc\x1cd\xe2\x80\xa8e"]),
        (b"\xef\xbb\xbfa\n", [b"\xef\xbb\xbfa"]),
    ],
)
@pytest.mark.parametrize("joins", [False, True])
def test_only_a_newline_ends_a_plain_line(data: bytes, lines: list[bytes], joins: bool) -> None:
    assert joined(at_once("plain", data, joins=joins)) == [("stdout", line) for line in lines]


def test_a_plain_file_has_the_stream_it_was_said_to_have() -> None:
    framing = new_framing("plain", "stderr", joins=False)
    said = framing.feed(b"a\nb", NOW) + framing.flush(NOW)
    assert [(block.stream, block.time, block.full) for block in said] == [
        ("stderr", NOW, True),
        ("stderr", NOW, False),
    ]


def test_lines_read_together_come_in_one_block() -> None:
    (block,) = new_framing("plain", joins=False).feed(b"a\nb\nc\n", NOW)
    assert block.texts() == [b"a", b"b", b"c"]


LENGTHS = (PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 200 * 1024)
CHUNKS = (1_000, PART_BYTES, 131_072, 10_000_000)


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", sorted(FRAMINGS))
def test_a_long_line_comes_in_parts_of_a_bounded_size(name: str, length: int, chunk: int) -> None:
    text = b"x" * length
    data = {"plain": text + b"\n", "cri": cri(text), "docker-json": docker(text.decode() + "\n")}
    content = data[name] * 2
    framing = new_framing(name, joins=False)
    said: list[Block] = []
    for start in range(0, len(content), chunk):
        said += framing.feed(content[start : start + chunk], NOW)
    assert max(len(one) for block in said for one in block.texts()) <= PART_BYTES
    assert all(block.full for block in said) == (length <= PART_BYTES)
    assert joined(said) == [("stdout", text)] * 2


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", sorted(FRAMINGS))
def test_a_long_line_comes_whole_where_lines_are_joined(name: str, length: int) -> None:
    text = b"x" * length
    data = {"plain": text + b"\n", "cri": cri(text), "docker-json": docker(text.decode() + "\n")}
    framing = new_framing(name, joins=True)
    said = [
        block
        for byte in range(0, len(data[name]), 50_000)
        for block in framing.feed(data[name][byte : byte + 50_000], NOW)
    ]
    assert [(block.full, block.texts()) for block in said] == [(True, [text])]


def test_junk_of_any_length_comes_in_parts_too() -> None:
    said = at_once("cri", b"j" * 200_000 + b"\n")
    assert max(len(block.texts()[0]) for block in said) <= PART_BYTES
    assert joined(said) == [("stdout", b"j" * 200_000)]


@pytest.mark.parametrize("name", ["plain", "cri"])
def test_a_line_longer_than_memory_should_hold_comes_in_parts(name: str) -> None:
    """17 MiB, cut in two ways: of a record only so much is read as one."""
    text = b"0123456789abcdef" * (17 * 65_536)
    data = text + b"\n" + (cri(b"next") if name == "cri" else b"next\n")
    results = []
    for chunk in (131_072, 1_000_003):
        framing = new_framing(name, joins=True)
        said: list[Block] = []
        for start in range(0, len(data), chunk):
            said += framing.feed(data[start : start + chunk], NOW)
        results.append(joined(said))
    assert results[0] == results[1]
    assert b"".join(line for _, line in results[0]) == text + b"next"
    assert results[0][-1] == ("stdout", b"next")


@given(text=st.text(min_size=1, max_size=30), at=st.integers(0, 200))
def test_parts_are_cut_between_characters(text: str, at: int) -> None:
    encoded = text.replace("\n", "").encode()
    framing = new_framing("plain", joins=False)
    said = framing.feed(encoded[:at], NOW) + framing.flush(NOW)
    said += framing.feed(encoded[at:], NOW) + framing.flush(NOW)
    assert "".join(block.lines()[0] for block in said) == encoded.decode()


@pytest.mark.parametrize("lead", [0, 1, 2, 3])
def test_parts_of_a_long_line_are_cut_between_characters(lead: int) -> None:
    text = "x" * lead + "😀" * PART_BYTES
    said = at_once("plain", text.encode() + b"\n")
    assert "".join(block.lines()[0] for block in said) == text


def test_nothing_is_flushed_where_lines_come_whole() -> None:
    framing = new_framing("plain", joins=True)
    assert framing.feed(b"abc", NOW) + framing.flush(NOW) == []
    assert framing.unfinished
    assert joined(framing.finish(NOW)) == [("stdout", b"abc")]


def test_what_nobody_ended_is_a_part_unless_lines_come_whole() -> None:
    (part,) = at_once("plain", b"abc")
    (whole,) = at_once("plain", b"abc", joins=True)
    assert (part.full, whole.full) == (False, True)


def test_a_plain_line_ends_with_its_file() -> None:
    assert joined(at_once("plain", b"a\nb", b"c\n")) == [
        ("stdout", b"a"),
        ("stdout", b"b"),
        ("stdout", b"c"),
    ]


def test_a_flushed_line_that_its_file_ends_is_ended_by_an_empty_rest() -> None:
    framing = new_framing("plain", joins=False)
    said = framing.feed(b"abc", NOW) + framing.flush(NOW) + framing.end(NOW)
    assert [(block.full, block.texts()) for block in said] == [(False, [b"abc"]), (True, [b""])]
    assert framing.end(NOW) == []


# Through the parsers: what a spool of the same output would give.


def outputs(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """Return the stream and the text of each line of output, its parts joined."""
    lines: list[tuple[str, str]] = []
    open_parts: dict[str, str] = {}
    for entry in entries:
        if isinstance(entry, Lines):
            drafts = [(entry.stream, text, False) for text in entry.texts]
        else:
            data = entry.data
            drafts = [(str(data["stream"]), str(data["text"]), bool(data.get("partial")))]
        for stream, text, is_partial in drafts:
            whole = open_parts.pop(stream, "") + text
            if is_partial:
                open_parts[stream] = whole
            else:
                lines.append((stream, whole))
    return lines


def spooled(output: bytes) -> list[Block]:
    framer = Framer("stdout")
    spool = b"".join(
        framer.feed(output[start : start + PART_BYTES], NOW * 1000)
        for start in range(0, len(output), PART_BYTES)
    )
    return [one for one in blocks(spool + framer.close(NOW * 1000)) if isinstance(one, Block)]


OUTPUT = b"".join(
    (
        b"one\ntwo\r\n\n",
        "ä€😀\n".encode() * 1_000,
        b"x" * 100_000 + b"\n",
        "€".encode() * 100_000 + b"\n",
        b"\xff\xfe not text\n",
        b"\0\n" + b"last\n",
    )
)


@pytest.mark.parametrize("name", sorted(FRAMINGS))
def test_plain_lines_are_the_output_that_a_spool_would_give(name: str) -> None:
    output = OUTPUT.replace(b"\xff\xfe", b"") if name == "docker-json" else OUTPUT
    lines = output.removesuffix(b"\n").split(b"\n")
    data = {
        "plain": output,
        "cri": b"".join(cri(line) for line in lines),
        "docker-json": b"".join(docker(line.decode(errors="replace") + "\n") for line in lines),
    }
    said = new_parser("lines").feed(at_once(name, data[name]))
    wanted = new_parser("lines").feed(spooled(output))
    assert outputs(said) == outputs(wanted)


def message(text: str) -> bytes:
    content = [{"type": "text", "text": text}]
    return msgspec.json.encode({"type": "assistant", "message": {"id": "m", "content": content}})


def entries_of(said: list[Block]) -> list[tuple[str, object]]:
    parser = new_parser("claude")
    entries = [*parser.feed(said), *parser.finish()]
    return [(one.type, one.data) for one in entries if isinstance(one, Draft)]


@pytest.mark.parametrize("name", ["plain", "cri", "cri in parts"])
def test_a_long_line_of_an_agent_is_read_as_from_a_spool(name: str) -> None:
    lines = [message("short"), message("ä" * 50_000), message("last")]
    output = b"".join(line + b"\n" for line in lines)
    data = {
        "plain": output,
        "cri": b"".join(cri(line) for line in lines),
        "cri in parts": b"".join(
            cri(line[start : start + 16_384], b"P" if start + 16_384 < len(line) else b"F")
            for line in lines
            for start in range(0, len(line), 16_384)
        ),
    }
    framing = new_framing(name.split()[0], joins=True)
    said: list[Block] = []
    for start in range(0, len(data[name]), 10_000):
        said += framing.feed(data[name][start : start + 10_000], NOW)
    found = entries_of(said)
    assert found == entries_of(spooled(output))
    assert [kind for kind, _ in found].count("message") == 3


def test_a_line_that_no_agent_should_write_is_output_as_from_a_spool() -> None:
    output = message("y" * (17 * 1024 * 1024)) + b"\n" + message("after") + b"\n"
    framing = new_framing("plain", joins=True)
    said: list[Block] = []
    for start in range(0, len(output), 131_072):
        said += framing.feed(output[start : start + 131_072], NOW)
    parser, other = new_parser("claude"), new_parser("claude")
    found, wanted = parser.feed(said), other.feed(spooled(output))
    texts = [
        "".join(
            str(one.data["text"])
            for one in entries
            if isinstance(one, Draft) and one.type == "output"
        )
        for entries in (found, wanted)
    ]
    assert texts[0] == texts[1] == output.partition(b"\n")[0].decode()
    assert isinstance(found[-1], Draft)
    assert (found[-1].type, found[-1].data) == (
        "message",
        {"role": "assistant", "text": "after", "message_id": "m"},
    )


def test_there_is_no_other_framing() -> None:
    with pytest.raises(KeyError):
        new_framing("xml", joins=False)
