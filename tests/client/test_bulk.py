"""Reading many frames at once gives what reading them one by one gives."""

from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from runcast.client.errors import ApiError
from runcast.client.following import of_run, read_bulk
from runcast.client.sse import SseParser
from runcast.client.types import StreamEvent
from runcast.wires.sse import bare_frame, frame

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=8), st.lists, max_leaves=6
)
DATA = st.dictionaries(st.text(max_size=8), JSON, max_size=4)
FRAMES = st.builds(frame, st.sampled_from(["log", "status", "tool_call"]), DATA, st.integers(1, 99))
ODD = st.sampled_from(
    [
        *(": hb\n", ": hb\n\n", "retry: 5\n\n", "\n", "\ufeff"),
        *("event: log\ndata: {\ndata: }\nid: 7\n\n", "event: log\nid: 7\ndata: {}\n\n"),
        *(
            "data: {}\nid: 7\n\n",
            "event:log\ndata:{}\nid:7\n\n",
            "event: log\ndata: {}\nid: 07\n\n",
        ),
        *("event: log\nwhat: ever\ndata: {}\nid: 7\n\n", "event: log\r\ndata: {}\r\nid: 7\r\n\r\n"),
        bare_frame("heartbeat", {}).decode(),
    ]
)
STREAMS = st.lists(FRAMES | ODD, max_size=8).map(lambda texts: "".join(texts).encode())


def one_by_one(stream: bytes) -> list[StreamEvent] | None:
    frames = [found for found in SseParser().feed(stream) if found.event != "heartbeat"]
    try:
        return [
            StreamEvent(found.event, msgspec.json.decode(found.data, type=dict), int(found.id))
            for found in frames
        ]
    except ValueError:
        return None


def followed(chunks: list[bytes]) -> list[StreamEvent] | None:
    following = of_run("r")
    try:
        return [event for chunk in chunks for piece in following.feed(chunk) for event in piece]
    except ApiError:
        return None


@given(STREAMS, st.lists(st.integers(0, 400), max_size=4))
def test_whatever_comes_and_however_it_is_cut_the_events_are_the_same(
    stream: bytes, cuts: list[int]
) -> None:
    places = [0, *sorted(cuts), len(stream)]
    chunks = [stream[begin:end] for begin, end in pairwise(places)]
    assert followed(chunks) == one_by_one(stream)


@given(st.lists(FRAMES, min_size=1, max_size=8))
def test_what_our_server_writes_is_read_at_once(frames: list[str]) -> None:
    stream = "".join(frames).encode()
    assert read_bulk(stream.removesuffix(b"\n\n")) == one_by_one(stream)


def test_what_lies_behind_the_last_frame_is_kept_for_later() -> None:
    following = of_run("r")
    whole, half = frame("log", {"line": "a"}, 1).encode(), b'event: log\ndata: {"li'
    assert [len(piece) for piece in following.feed(whole + half)] == [1]
    assert following.last_id == "1"
    (piece,) = following.feed(b'ne": "b"}\nid: 2\n\n')
    assert (piece[0].data, following.last_id) == ({"line": "b"}, "2")
