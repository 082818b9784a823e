"""Where a tail stands: which file it reads, how far, and how that file is known again."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from runcast.tail.unfinished import Kept

HEAD_BYTES = 128
BEFORE_BYTES = 32
PAST_MARKS = 4

Identity = tuple[int, int]  # device and inode


class Mark(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One file, and how far it is read.

    A device and an inode are given to another file once this one is deleted, and a file may be
    truncated and written anew. So the mark has the file's first bytes, and those `before` the
    place up to which it was read, which never change as long as it only grows. `lost` is why
    output may be missing before the file, if nobody was told yet.
    """

    device: int
    inode: int
    kept: Kept = msgspec.field(default_factory=Kept)
    head: bytes = b""
    before: bytes = b""
    lost: str = ""

    @property
    def identity(self) -> Identity:
        """Return what tells this file from others that exist now."""
        return self.device, self.inode


class Trouble(msgspec.Struct):
    """Why a file cannot be read, and since when people were told of it, in ns since the epoch."""

    reason: str
    since: int


class State(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where a tail stands, for another tail of the same path to go on there.

    `marks` has the files that are being read, the oldest first; `late` those that were replaced a
    moment ago and may still be written to; `past` the last that were left. `confirmed` is when the
    path was last known to be the newest of `marks`, in ns since the epoch. `trouble` is noted for
    those who tell of it once; a tail does not look at it.
    """

    marks: list[Mark] = []
    late: list[Mark] = []
    past: list[Mark] = []
    confirmed: int = 0
    trouble: Trouble | None = None

    def all(self) -> Iterator[Mark]:
        """Yield the marks of all files that this tail has to do with."""
        yield from self.marks
        yield from self.late
        yield from self.past


class Seen(NamedTuple):
    """What a look at a path found."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @property
    def identity(self) -> Identity:
        """Return what tells this file from others that exist now."""
        return self.device, self.inode


Standing = Literal["same", "more", "replaced", "missing"]


def behind(state: State, found: Seen | None) -> Standing:
    """Tell how the file at a path stands to what was read of it.

    `same`: nothing is new; `more`: it has grown; `replaced`: it is another file, or shorter than
    what was read.
    """
    if found is None:
        return "missing"
    if not state.marks:
        return "more"
    mark = state.marks[-1]
    if mark.identity != found.identity or found.size < mark.kept.offset:
        return "replaced"
    return "same" if found.size == mark.kept.offset and len(state.marks) == 1 else "more"


def known(state: State) -> set[Identity]:
    """Return the files that a tail has to do with, unless they were deleted since."""
    return {mark.identity for mark in state.all()}
