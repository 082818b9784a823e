"""Events as the lines of text that they would be in a terminal."""

import json
from collections.abc import Mapping
from typing import Any

from runcast.core.events import Data, Event
from runcast.core.limits import PREVIEW_BYTES

# The field of an event that has its text.
FIELDS: Mapping[str, str] = {
    "output": "text",
    "message": "text",
    "thought": "text",
    "tool_call": "input",
    "tool_result": "content",
    "error": "message",
}
# For people, so letters stay what they are: whoever puts the text on a wire escapes it there.
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def as_text(value: Any) -> str:
    """Return a text as it is, nothing as an empty text, anything else as compact JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else _compact(value)


def line_of(event: Event) -> str:
    """Return the text of an event of a type in FIELDS; of a tool's answer at most 4 KiB."""
    value = event.data.get(FIELDS[event.type])
    if event.type == "tool_call":
        return _call(event.data, value)
    text = as_text(value)
    return preview(text) if event.type == "tool_result" else text


def blob_of(event: Event) -> Data | None:
    """Return where the whole text is kept, if the event has only its beginning."""
    return event.data.get(f"{FIELDS[event.type]}_blob")


def preview(text: str) -> str:
    """Return the first 4 KiB, cut between two characters."""
    if len(text) * 4 <= PREVIEW_BYTES:  # as many bytes as UTF-8 has for a character at most
        return text
    return text.encode()[:PREVIEW_BYTES].decode(errors="ignore")


def _call(data: Data, given: Any) -> str:
    # What was cut is JSON text already.
    shown = as_text(given) if "input_blob" in data or given is None else _compact(given)
    return f"▶ {as_text(data.get('tool'))} {shown}".rstrip(" ")
