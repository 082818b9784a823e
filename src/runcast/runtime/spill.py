"""Spilling: what is too long for an event is kept as a blob beside the spool. Pure."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from runcast.core.events import Data, Draft, Entry
from runcast.core.limits import INLINE_BYTES, PREVIEW_BYTES

Blobs = dict[str, bytes]
Path = list[str]
SUFFIX = "_blob"  # `<field>_blob: {id, size, json?}` stands beside the field that was cut
# The event's own list of what was cut. Only this is believed: all below it an agent may have said.
CUT = "cut"
_ID_CHARS = 32
_encode = msgspec.msgpack.Encoder().encode


def spill(entries: Iterable[Entry]) -> tuple[list[Entry], Blobs]:
    """Return the entries with short texts, and what was cut from them by the id of its blob.

    An id is made of the content, so that the same output spilled again is the same blob.
    """
    blobs: Blobs = {}
    return [_spilled(entry, blobs) for entry in entries], blobs


def unspill(data: Data, read: Callable[[str], bytes]) -> Data:
    """Put back what `spill` cut from an event's data; what `read` raises for a blob is passed on.

    Nothing is changed in place.
    """
    whole = {name: value for name, value in data.items() if name != CUT}
    for path in data.get(CUT, ()):
        whole = _restored(whole, path, read)
    return whole


def _restored(value: Data, path: Path, read: Callable[[str], bytes]) -> Data:
    name, *rest = path
    if rest:
        return value | {name: _restored(value[name], rest, read)}
    blob = value[name + SUFFIX]
    content = read(blob["id"])
    text = msgspec.json.decode(content) if blob.get("json") else content.decode()
    return {field: item for field, item in value.items() if field != name + SUFFIX} | {name: text}


def _spilled(entry: Entry, blobs: Blobs) -> Entry:
    if not isinstance(entry, Draft) or not _is_long(entry.data):
        return entry
    cut: list[Path] = []
    data = dict(_fields(entry.data, [], cut, blobs))
    return Draft(entry.time, entry.type, data | {CUT: cut} if cut else data)


def _fields(value: Data, path: Path, cut: list[Path], blobs: Blobs) -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        here, inner, parts = [*path, name], list[Path](), Blobs()
        kept = dict(_fields(item, here, inner, parts)) if isinstance(item, dict) else item
        # Where the name of the reference is taken, what holds it all becomes the blob.
        if name + SUFFIX in value or not _is_long(kept):
            cut.extend(inner)
            blobs.update(parts)
            yield name, kept
            continue
        is_text = isinstance(item, str)
        content = item.encode() if is_text else msgspec.json.encode(item)
        cut.append(here)
        yield name, content[:PREVIEW_BYTES].decode(errors="ignore")
        yield name + SUFFIX, _keep(content, blobs) | ({} if is_text else {"json": True})


def _is_long(value: object) -> bool:
    if isinstance(value, str):
        return len(value) > INLINE_BYTES or len(value.encode()) > INLINE_BYTES
    return isinstance(value, dict | list) and len(_encode(value)) > INLINE_BYTES


def _keep(content: bytes, blobs: Blobs) -> Data:
    blob_id = hashlib.sha256(content).hexdigest()[:_ID_CHARS]
    blobs[blob_id] = content
    return {"id": blob_id, "size": len(content)}
