"""JSON that strangers wrote: decoded if it can be kept, and read by name with its type checked."""

import json
import re
from typing import Any

import msgspec

Json = dict[str, Any]

# A value is encoded again for the log and for every client, each with a recursion limit.
_MAX_DEPTH = 200
# A line of so many parts would take the server seconds, and some GB of memory.
_MAX_PARTS = 200_000
_MAX_WHOLE = 2**53  # beyond it, JavaScript's numbers leave some out
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]").search
_LONE = re.compile("[\ud800-\udfff]")
_decode = msgspec.json.Decoder().decode
_encode = msgspec.msgpack.Encoder().encode


class Unreadable(ValueError):
    """A line that is JSON, but not of the shape that its kind should have."""


def decode(line: bytes) -> Any:
    """Decode one JSON value; raise ValueError for what is none or what the log cannot keep."""
    if len(line) > _MAX_PARTS and line.count(b",") + line.count(b"[") > _MAX_PARTS:
        raise ValueError("too many parts")
    try:
        value = _decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        if not _SURROGATE(line):
            raise ValueError("this is no JSON") from None
        value = _without_surrogates(line)
    if len(line) > 2 * _MAX_DEPTH and _is_too_deep(line, value):
        raise ValueError("nested too deeply")
    try:
        _encode(value)
    except OverflowError:
        raise ValueError("a whole number of more than 64 bits") from None
    return value


def text(value: Json, name: str) -> str:
    """Return a field that must be text; raise Unreadable if it is not."""
    found = value.get(name)
    if isinstance(found, str):
        return found
    raise Unreadable(name)


def mapping(value: Json, name: str) -> Json:
    """Return a field that must be an object; raise Unreadable if it is not."""
    found = value.get(name)
    if isinstance(found, dict):
        return found
    raise Unreadable(name)


def maybe_text(value: Json, name: str) -> str:
    """Return a field that is text or absent, then empty; raise Unreadable for anything else."""
    return "" if value.get(name) is None else text(value, name)


def maybe_mapping(value: Json, name: str) -> Json:
    """Return a field that is an object or absent, then empty; else raise Unreadable."""
    return {} if value.get(name) is None else mapping(value, name)


def objects(value: Json, name: str) -> list[Json]:
    """Return a field that must be a list of objects, empty if absent; else raise Unreadable."""
    found = value.get(name)
    if found is None:
        return []
    if isinstance(found, list) and all(isinstance(item, dict) for item in found):
        return found
    raise Unreadable(name)


def whole(value: Json, name: str) -> int | None:
    """Return a field that is a whole number or absent, then None; else raise Unreadable."""
    found = value.get(name)
    if found is None:
        return None
    if isinstance(found, int) and not isinstance(found, bool) and abs(found) <= _MAX_WHOLE:
        return found
    raise Unreadable(name)


def number(value: Json, name: str) -> float | None:
    """Return a field that is a number or absent, then None; else raise Unreadable."""
    found = value.get(name)
    if found is None or (isinstance(found, int | float) and not isinstance(found, bool)):
        return found
    raise Unreadable(name)


def flag(value: Json, name: str) -> bool:
    """Return a field that is true, false or absent, then false; else raise Unreadable."""
    found = value.get(name)
    if found is None or isinstance(found, bool):
        return bool(found)
    raise Unreadable(name)


def as_text(value: Any) -> str:
    """Show any value as text: nothing for null, blocks line by line, of others the JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list) and any(map(_is_text_block, value)):
        return "\n".join(as_text(item) for item in value)
    if _is_text_block(value):
        return str(value["text"])
    return msgspec.json.encode(value).decode()


def reason(message: str) -> str:
    """Return what an error says, taken out of the JSON that an API answered with if it is that."""
    while (inner := _inner_message(message)) is not None:
        message = inner
    return message


def byte_size(text: str) -> int:
    """Count the bytes that a text takes as UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def within(text: str, size: int) -> str:
    """Cut a text to at most `size` bytes of UTF-8."""
    if len(text) * 4 <= size or byte_size(text) <= size:
        return text
    return text.encode()[:size].decode(errors="ignore")


def _inner_message(message: str) -> str | None:
    try:
        answer = decode(message.encode())
    except ValueError:
        return None
    error = answer.get("error") if isinstance(answer, dict) else None
    inner = error.get("message") if isinstance(error, dict) else None
    return inner if isinstance(inner, str) and inner else None


def _is_text_block(value: Any) -> bool:
    return (
        isinstance(value, dict) and value.get("type") == "text" and type(value.get("text")) is str
    )


def _without_surrogates(line: bytes) -> Any:
    """Decode what JavaScript writes of a text that was cut in the middle of a character."""
    try:
        text = json.dumps(json.loads(line), ensure_ascii=False)
        return _decode(_LONE.sub("\ufffd", text))
    except (ValueError, RecursionError, msgspec.DecodeError):
        raise ValueError("this is no JSON") from None


def _is_too_deep(line: bytes, value: Any) -> bool:
    if line.count(b"{") + line.count(b"[") <= _MAX_DEPTH:
        return False
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, dict | list)
        ]
    return bool(level)
