"""Frames as bytes: what a server sends is the same for every client, so it is made once."""

from collections.abc import Iterable, Iterator

# RFC 6455 section 5.2: one final text frame, unmasked, as a server sends it.
_TEXT = 0x81
_TWO_BYTES = 126
_EIGHT_BYTES = 127
_PLACES = {_TWO_BYTES: 2, _EIGHT_BYTES: 8}


def frame(text: str) -> bytes:
    """Write a message as one frame."""
    body = text.encode()
    size = len(body)
    if size < _TWO_BYTES:
        return bytes((_TEXT, size)) + body
    code = _TWO_BYTES if size < 1 << 16 else _EIGHT_BYTES
    return bytes((_TEXT, code)) + size.to_bytes(_PLACES[code], "big") + body


def frames(texts: Iterable[str]) -> bytes:
    """Write messages as one frame each."""
    return b"".join(map(frame, texts))


def texts_of(written: bytes) -> Iterator[str]:
    """Read the messages back, for a server that makes frames of its own."""
    at = 0
    while at < len(written):
        size = written[at + 1]
        at += 2
        if places := _PLACES.get(size, 0):
            size = int.from_bytes(written[at : at + places], "big")
            at += places
        yield written[at : at + size].decode()
        at += size
