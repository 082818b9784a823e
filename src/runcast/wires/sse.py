"""Server-sent events as the WHATWG standard defines them: frames that no data can break.

Every frame has its fields in the order event, data, id: a client that is cut inside a frame has
not yet seen the id, so it asks for the event again. Data is one line of ASCII JSON.
"""

from typing import Any

from runcast.wires.jsontext import dumps

MEDIA_TYPE = "text/event-stream"
COMMENT = b": hb\n"  # without a blank line: some clients take one for an empty event


def frame(event: str, data: dict[str, Any], number: int) -> str:
    """Write one event with its id; `event` must be a name from a table, never client text."""
    return f"event: {event}\ndata: {dumps(data)}\nid: {number}\n\n"


def bare_frame(event: str, data: dict[str, Any]) -> bytes:
    """Write one event that moves no cursor."""
    return f"event: {event}\ndata: {dumps(data)}\n\n".encode("ascii")


def with_retry(frames: bytes, retry_ms: int) -> bytes:
    """Put `retry:` into the first frame, for in a block of its own it would be an empty event."""
    return b"retry: %d\n" % retry_ms + frames
