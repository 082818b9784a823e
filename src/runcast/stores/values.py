"""The values that go in and out of a store."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from runcast.core.events import Batch, Entry
from runcast.core.runs import Status


class Span(msgspec.Struct, frozen=True):
    """The numbers an append was given: seqs `first`..`last`, and the position of `last`."""

    first: int
    last: int
    position: int


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """How far ingest has read a run's spool, committed together with what it read.

    `offset` lies behind the last consumed record. `open` names unfinished lines by reference
    (stream -> [start, bytes] in the spool). `state` is the parser's, of `state_version`.
    `finished` says that the spool is read to its end. A run that is read from log files has where
    these stand in `source`, and as `offset` a number that grows with every step.
    """

    offset: int = 0
    open: dict[str, tuple[int, int]] = {}
    state: bytes = b""
    state_version: int = 0
    finished: bool = False
    source: bytes = b""


class Advance(msgspec.Struct, frozen=True):
    """A compare-and-swap on a run's checkpoint: valid only while its offset is `expected`."""

    expected: int
    checkpoint: Checkpoint


class Addition(msgspec.Struct, frozen=True):
    """What is to be appended to the log of a run, and where its checkpoint moves with it."""

    run_id: str
    entries: Sequence[Entry]
    advance: Advance | None = None


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A question that a run has asked a person, as its `approval` events tell it.

    `data` is that of the event that asked, and over it that of the event that settled it; `time`
    is when it was asked, in µs.
    """

    id: str
    state: str
    data: dict[str, Any]
    time: int


class Stdin(msgspec.Struct, frozen=True):
    """Bytes for the command's stdin; nothing comes after the `last`, which may be empty."""

    data: bytes
    last: bool = False


class Piece(msgspec.Struct, frozen=True):
    """Bytes that wait to be delivered: they are those from `offset` on of all its stdin."""

    offset: int
    data: bytes
    last: bool = False

    @property
    def end(self) -> int:
        """Where it ends, for `delivered`: the end of all input counts one, behind the bytes."""
        return self.offset + len(self.data) + self.last


class LogHead(msgspec.Struct, frozen=True):
    """Where a log stands: kept seqs are `first`..`last` (`first` = `last` + 1 when none)."""

    first: int
    last: int
    sealed: bool
    bytes: int


class Positions(msgspec.Struct, frozen=True):
    """Where a store stands: the newest position, and the highest that was ever pruned."""

    head: int
    floor: int


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs to list; empty collections and None do not filter."""

    statuses: Collection[Status] = ()
    workspace_id: str | None = None
    task_id: str | None = None
    source: str | None = None
    kind: str | None = None  # as `kind_of` names it
    since: int | None = None  # created at or after, µs


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which events to read by position: those of all runs' logs, or of those runs that match.

    None does not filter. `log` is `lifecycle` or `messages`, and alone: that log instead of runs'.
    """

    task_id: str | None = None
    workspace_id: str | None = None
    run_id: str | None = None
    log: str | None = None

    def takes(self, batch: Batch) -> bool:
        """Tell whether a committed batch is among what is selected."""
        if self.log is not None or batch.ref is None:
            return batch.log == self.log
        return (
            self.task_id in (None, batch.ref.task_id)
            and self.workspace_id in (None, batch.ref.workspace_id)
            and self.run_id in (None, batch.ref.id)
        )


ALL_RUNS = Selection()
