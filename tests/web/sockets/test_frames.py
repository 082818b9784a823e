"""Frames: written once for all, and read back for servers that make their own."""

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from runcast.web.sockets.frames import frame, frames, texts_of
from tests.web.sockets.client import add_run, say_lines, talking

SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 70_000)


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_frame_has_the_head_that_its_size_asks_for(size, head):
    assert frame("x" * size) == head + b"x" * size


def test_frames_are_read_back_as_they_were_written():
    texts = ["x" * size for size in SIZES] + ["ü\u2028\x00", "{}"]
    assert list(texts_of(frames(texts))) == texts


async def test_a_server_that_makes_its_own_frames_says_the_same(live, runtime):
    await add_run(runtime)
    await say_lines(runtime, ["x" * size for size in SIZES])
    heard = []
    for protocol in (live.server.config.ws_protocol_class, WebSocketsSansIOProtocol):
        live.server.config.ws_protocol_class = protocol
        async with talking(live) as talk:
            await talk.ask(type="subscribe", runId="r", after=0, format="native")
            heard.append(await talk.until(seq=1 + len(SIZES)))

    assert heard[0] == heard[1]
