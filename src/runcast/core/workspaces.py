"""Workspaces: the folders that runs belong to, and the ids they have unless one is given."""

from hashlib import sha256

import msgspec

_ID_DIGITS = 16


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """A folder under a name; `created_at` is µs since the epoch, `color` whatever a client likes.

    `root_path` is absolute and never changes. Two workspaces may share it.
    """

    id: str
    name: str
    root_path: str
    color: str | None = None
    created_at: int = 0


def derived_id(real_path: str) -> str:
    """Return the id of a workspace that was given none: the same for the same real path."""
    return sha256(real_path.encode("utf-8", "surrogateescape")).hexdigest()[:_ID_DIGITS]
