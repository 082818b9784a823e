"""Ids: the UUIDv7 that runcast makes, and the rule for ids that clients choose."""

import os
import re
import time

from runcast.core.errors import BadRequest

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def uuid7() -> str:
    """Make a UUIDv7 (RFC 9562 section 5.7): 48 bits of Unix ms, then 74 random bits.

    Ids of different milliseconds sort by time; within one millisecond their order is random.
    """
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def check_id(text: str, what: str = "id") -> str:
    """Return an id as it is compared, or raise BadRequest naming the rule it breaks."""
    if _ID.fullmatch(text) is None or ".." in text:
        raise BadRequest(
            "bad_id",
            f"{what} must be 1 to 128 letters, digits, '.', '_' or '-', "
            "start with a letter or digit and not contain '..'",
        )
    return folded(text)


def check_uuid(text: str, what: str) -> str:
    """Return a UUID of any version as it is compared, else raise BadRequest."""
    if _UUID.fullmatch(text) is None:
        raise BadRequest("bad_id", f"{what} must be a UUID, in groups of 8-4-4-4-12 hex digits")
    return text.lower()


def folded(text: str) -> str:
    """Return an id as it is compared: UUIDs in lower case, all others as they are."""
    return text.lower() if _UUID.fullmatch(text) else text
