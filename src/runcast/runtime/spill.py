"""Spilling: what is too long for an event is kept as a blob beside the spool. Pure."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from runcast.core.events import Draft, Entry
from runcast.core.limits import INLINE_BYTES, PREVIEW_BYTES

Blobs = dict[str, bytes]
SUFFIX = "_blob"  # `<field>_blob: {id, size, json?}` stands beside the field that was cut
_ID_CHARS = 32
_MOST_BYTES_OF_A_CHARACTER = 4


def spill(entries: Iterable[Entry]) -> tuple[list[Entry], Blobs]:
    """Return the entries with short texts, and what was cut from them by the id of its blob.

    An id is made of the content, so that the same output spilled again is the same blob.
    """
    blobs: Blobs = {}
    return [_spilled(entry, blobs) for entry in entries], blobs


def unspill(value: Any, read: Callable[[str], bytes]) -> Any:
    """Put back what was cut anywhere in a value; what `read` raises for a blob is passed on."""
    if isinstance(value, list):
        return [unspill(item, read) for item in value]
    if not isinstance(value, dict):
        return value
    whole = {}
    for name, item in value.items():
        of = name.removesuffix(SUFFIX)
        if of != name and of in value and _is_reference(item):
            continue
        blob: Any = value.get(name + SUFFIX)
        whole[name] = _fetch(blob, read) if _is_reference(blob) else unspill(item, read)
    return whole


def _is_reference(value: object) -> bool:
    return isinstance(value, dict) and {"id", "size"} <= value.keys() <= {"id", "size", "json"}


def _fetch(blob: dict[str, Any], read: Callable[[str], bytes]) -> Any:
    data = read(blob["id"])
    return unspill(msgspec.json.decode(data), read) if blob.get("json") else data.decode()


def _spilled(entry: Entry, blobs: Blobs) -> Entry:
    if not isinstance(entry, Draft) or not _may_be_long(entry.data):
        return entry
    return Draft(entry.time, entry.type, dict(_fields(entry.data, blobs)))


def _may_be_long(value: object) -> bool:
    return sum(_characters(value)) * _MOST_BYTES_OF_A_CHARACTER > INLINE_BYTES


def _characters(value: object) -> Iterator[int]:
    if isinstance(value, str):
        yield len(value)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield len(name) + 4
            yield from _characters(item)
    elif isinstance(value, list):
        for item in value:
            yield 4
            yield from _characters(item)
    else:
        yield 8


def _fields(value: dict[str, Any], blobs: Blobs) -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        kept = dict(_fields(item, blobs)) if isinstance(item, dict) else item
        text = _text_of(kept)
        taken = name + SUFFIX in value  # then what holds it all becomes the blob
        if text is None or taken or len(encoded := text.encode()) <= INLINE_BYTES:
            yield name, kept
        else:
            yield name, encoded[:PREVIEW_BYTES].decode(errors="ignore")
            yield name + SUFFIX, _keep(encoded, blobs) | _kind(kept)


def _kind(value: object) -> dict[str, Any]:
    return {} if isinstance(value, str) else {"json": True}


def _text_of(value: object) -> str | None:
    """Return a text, or the JSON of what may be as long as one; None for the rest."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list) and _may_be_long(value):
        return msgspec.json.encode(value).decode()
    return None


def _keep(encoded: bytes, blobs: Blobs) -> dict[str, Any]:
    blob_id = hashlib.sha256(encoded).hexdigest()[:_ID_CHARS]
    blobs[blob_id] = encoded
    return {"id": blob_id, "size": len(encoded)}
