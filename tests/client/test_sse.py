"""The event stream parser: however the bytes are cut, the same events come out."""

import random
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.client.sse import SseEvent, SseParser

TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=20)
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
LINES = st.one_of(
    st.builds("data: {}".format, TEXT),
    st.builds("event:{}".format, TEXT),
    st.builds("id: {}".format, st.integers(0, 9)),
    st.builds(":{}".format, TEXT),
    st.builds("retry: {}".format, st.integers(0, 99)),
    st.sampled_from(["", "", "data", "nonsense", "retry: soon", "id: a\0b", "\ufeffdata: x"]),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(st.tuples(LINES, LINE_ENDS), max_size=30))
    # An empty last line ends with LF: whether a final CR is half a CRLF can't be known.
    return "".join(line + end for line, end in lines).encode() + b"\n"


def parse_slowly(stream: bytes) -> tuple[list[SseEvent], str, int | None]:
    """The HTML standard's algorithm, line by line, over the whole stream."""
    text = stream.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    events: list[SseEvent] = []
    data: list[str] = []
    event, pending_id, last_id, retry = "", "", "", None
    pending_retry: int | None = None
    for line in text.split("\n")[:-1]:
        if line == "":
            last_id, retry = pending_id, pending_retry
            if data:
                events.append(SseEvent(event or "message", "\n".join(data).encode(), last_id))
            data, event = [], ""
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            event = value
        elif name == "id" and "\0" not in value:
            pending_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            pending_retry = int(value)
    return events, last_id, retry


def feed(parser: SseParser, stream: bytes, cuts: list[int]) -> list[SseEvent]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [event for start, stop in pairwise(edges) for event in parser.feed(stream[start:stop])]


@given(streams(), st.lists(st.integers(0, 10_000), max_size=40))
def test_any_chunking_gives_the_events_of_the_standard(stream: bytes, cuts: list[int]) -> None:
    parser = SseParser()
    events, last_id, retry = parse_slowly(stream)
    assert feed(parser, stream, cuts) == events
    assert (parser.last_id, parser.retry_ms) == (last_id, retry)


@given(streams())
def test_byte_by_byte_is_the_same_as_all_at_once(stream: bytes) -> None:
    assert feed(SseParser(), stream, list(range(len(stream)))) == SseParser().feed(stream)


FRAMES = b"".join(b'event: log\ndata: {"line":"%d"}\nid: %d\n\n' % (n, n) for n in range(1, 6))


@given(st.integers(0, len(FRAMES)))
def test_a_cut_commits_whole_events_and_nothing_of_the_next(cut: int) -> None:
    parser = SseParser("0")
    events = parser.feed(FRAMES[:cut])
    assert [event.id for event in events] == [str(n) for n in range(1, len(events) + 1)]
    assert parser.last_id == str(len(events))
    again = SseParser(parser.last_id)
    rest = again.feed(b"".join(FRAMES.split(b"\n\n")[i] + b"\n\n" for i in range(len(events), 5)))
    assert [event.id for event in [*events, *rest]] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b": hb\n: hb\nevent: log\ndata: 1\nid: 7\n\n", [("log", b"1", "7")]),
        (b"event: heartbeat\ndata: {}\n\n", [("heartbeat", b"{}", "")]),
        (b"data: a\ndata:\ndata: b\n\n", [("message", b"a\n\nb", "")]),
        (b"id: 3\n\ndata: x\n\n", [("message", b"x", "3")]),
        (b"data: x\nid: 3\n\ndata: y\nid\n\n", [("message", b"x", "3"), ("message", b"y", "")]),
        (b"event: only a name\n\ndata: x\n\n", [("message", b"x", "")]),
        (b"data:  two spaces\n\n", [("message", b" two spaces", "")]),
        ("data: \u2028\x0b\x85\n\n".encode(), [("message", "\u2028\x0b\x85".encode(), "")]),
        (b"data: unfinished\n", []),
        (b"", []),
    ],
)
def test_the_shapes_that_servers_send(stream: bytes, events: list[tuple[str, bytes, str]]) -> None:
    assert SseParser().feed(stream) == [SseEvent(*event) for event in events]


def test_retry_is_remembered_and_nonsense_ignored() -> None:
    parser = SseParser()
    parser.feed(b"retry: 1500\n\nretry: never\n\nretry: -1\n\n")
    assert parser.retry_ms == 1500


def test_a_large_event_in_small_pieces_takes_linear_time() -> None:
    body = b"data: " + b"x" * 8_000_000 + b"\n\n"
    parser = SseParser()
    started = time.process_time()
    events = [
        event for at in range(0, len(body), 4096) for event in parser.feed(body[at : at + 4096])
    ]
    assert len(events[0].data) == 8_000_000
    assert time.process_time() - started < 2


def test_a_hundred_thousand_frames_take_well_under_a_second() -> None:
    frame = b'event: log\ndata: {"run_id":"r","stream":"stdout","line":"line"}\nid: %d\n\n'
    stream = b"".join(frame % n for n in range(100_000))
    parser = SseParser()
    started = time.process_time()
    count, at = 0, 0
    while at < len(stream):
        size = random.randrange(1, 65_536)
        count += len(parser.feed(stream[at : at + size]))
        at += size
    assert count == 100_000
    assert time.process_time() - started < 2
