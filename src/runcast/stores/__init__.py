"""The store: numbered events, runs and checkpoints, committed together.

The contract is `Store`; an engine is one implementation of it, named in `STORES`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

import msgspec

from runcast.core.errors import ConfigError
from runcast.core.events import Batch, Entry
from runcast.core.runs import Run, Status

# Name of an engine -> "module:function" that opens it: `await open(location) -> Store`.
STORES: dict[str, str] = {
    "memory": "runcast.stores.memory:open_store",
    "sqlite": "runcast.stores.sqlite:open_store",
}


class Span(msgspec.Struct, frozen=True):
    """The numbers an append was given: seqs `first`..`last`, and the position of `last`."""

    first: int
    last: int
    position: int


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """How far ingest has read a run's spool, committed together with what it read.

    `offset` lies behind the last consumed record. `open` names unfinished lines by reference
    (stream -> [start, bytes] in the spool). `state` is the parser's, of `state_version`.
    `finished` says that the spool is read to its end.
    """

    offset: int = 0
    open: dict[str, tuple[int, int]] = {}
    state: bytes = b""
    state_version: int = 0
    finished: bool = False


class Advance(msgspec.Struct, frozen=True):
    """A compare-and-swap on a run's checkpoint: valid only while its offset is `expected`."""

    expected: int
    checkpoint: Checkpoint


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
    kind: str | None = None  # the run's agent or tool name, or "command"
    since: int | None = None  # created at or after, µs


Listener = Callable[[Sequence[Batch]], None]


class Store(Protocol):
    """Numbered logs, the runs they belong to, and the checkpoints that feed them.

    Promises, which the contract tests hold every engine to:

    - **Atomic.** Each call below happens whole or not at all, whatever crashes.
    - **Durable.** A call returns, and listeners hear of it, only after the commit is safe as
      the engine's durability setting says (`safe`: on disk).
    - **Gapless.** The seqs of a log are 1, 2, 3 …, in the order of the appends. Positions grow
      over all logs in commit order, are consecutive within a batch and are never used again.
    - **Sealed.** The terminal `status` event is the last of its run's log; later appends raise
      Conflict `log_sealed`.
    - **Paired.** A run's status and the event that tells of it are one commit, and so is the
      `lifecycle` event (`custom`, named run_added, run_updated or run_removed, the value being
      the public run).
    - **Answered once.** An `approval` event in a run's log, however it gets there, moves the
      approval of its `id` in the same commit: `state` `pending` asks it, every other settles it.
      Asking under an id that the run has used, or settling again, raises Conflict
      `approval_settled`; settling what was never asked raises NotFound. `Run.pending_approvals`
      is always the number of those that are pending, and a `run_updated` tells of every change.
      An event without an id or a state (texts) moves nothing.

    All methods run on one event loop. Cancelling an await does not undo a write already begun:
    it may commit or not. If storage refuses (disk full, I/O error), Unavailable `storage` is
    raised, nothing was written, and the same call may be tried again. A closed store raises
    Unavailable `draining`.
    """

    async def close(self) -> None:
        """Finish what is under way and release everything."""

    def listen(self, listener: Listener) -> None:
        """Call `listener` on the loop with every committed batch, in order of position.

        It is called before the call that wrote the batches returns, for `run:` logs,
        `lifecycle` and `messages` alike. A listener that raises is logged, nothing else.
        """

    async def create(self, run: Run, entries: Sequence[Entry] = ()) -> Run:
        """Add a run as it stands; its log begins with its `status` event, then `entries`.

        Returns it with `order`, `last_seq` and `bytes` set. Raises Conflict `id_taken` or
        `id_deleted`, and `log_sealed` if there are entries though the run has ended.
        """

    async def get(self, run_id: str) -> Run:
        """Return the run, with `last_seq` and `bytes` up to date; NotFound if there is none."""

    async def runs(
        self, where: RunFilter, limit: int, *, before: int | None = None, offset: int = 0
    ) -> list[Run]:
        """List runs, newest first; `before` is the `order` of the last run of the page before."""

    async def count(self, where: RunFilter) -> int:
        """Count the runs that match."""

    async def totals(self) -> dict[Status, int]:
        """Count the runs of each status; every status is a key."""

    async def keys(self) -> set[str]:
        """Return the folder keys of all runs."""

    async def claim(self, limit: int, time: int) -> list[Run]:
        """Make the oldest `limit` queued runs of source `run` running, oldest first.

        Runs with `cancel_requested` are passed over. `started_at` and the event take `time`.
        """

    async def transition(
        self,
        run_id: str,
        status: Status,
        time: int,
        outcome: Mapping[str, Any] = {},
        entries: Sequence[Entry] = (),
        advance: Advance | None = None,
    ) -> Run:
        """Change a run's status: append `entries`, then the `status` event, in one commit.

        `outcome` sets fields of `OUTCOME_FIELDS`; `started_at` or `ended_at` takes `time` if it
        is not among them. With a terminal status, stdin that was not delivered is dropped;
        approvals stay pending unless `entries` settle them. The same status again changes
        nothing at all, whatever `outcome`, `entries` and `advance` say. Raises NotFound, Conflict
        `bad_transition`, or StaleCheckpoint if `advance` does not hold.
        """

    async def update(self, run_id: str, fields: Mapping[str, Any]) -> Run:
        """Set fields other than the status, without an event; NotFound if there is no run.

        ValueError for what only the store sets (`rules.FIXED_FIELDS`).
        """

    async def append(
        self,
        log: str,
        entries: Sequence[Entry],
        *,
        advance: Advance | None = None,
        after: int | None = None,
        stdin: Stdin | None = None,
    ) -> Span:
        """Append at least one entry to a log as one batch.

        For a run's log the run must exist (NotFound) and not be ended (`log_sealed`); the logs
        `lifecycle` and `messages` always exist. `advance` moves the run's checkpoint in the same
        commit and raises StaleCheckpoint if it no longer holds; `after` is the expected last seq
        and raises Conflict `stale_after`. `stdin` is queued for the run's command in the same
        commit, at the offset `Run.stdin_bytes`, which it raises; after a last one it raises
        Conflict `input_closed`. With `advance` or `stdin`, `entries` may be empty: nothing else
        happens, and the span is empty (`first` = `last` + 1, at the newest position).
        """

    async def approvals(self, run_id: str) -> list[Approval]:
        """Return all approvals of a run in the order in which they were asked."""

    async def stdin(self, run_id: str) -> list[Piece]:
        """Return what waits to be delivered to a run's command, in order."""

    async def delivered(self, run_id: str, end: int) -> None:
        """Drop the pieces whose `end` is not beyond this one: the command has them."""

    async def checkpoint(self, run_id: str) -> Checkpoint:
        """Return a run's checkpoint; the empty one if none was committed yet."""

    async def read(self, log: str, after: int, limit_bytes: int) -> list[Batch]:
        """Return whole batches, in order, from the one that holds seq `after` + 1 on.

        Stops once the bodies add up to `limit_bytes`, never before one batch. Where events
        after `after` were pruned, it begins with the first kept; `head` tells. An unknown log
        gives nothing.
        """

    async def read_all(self, after: int, limit_bytes: int) -> list[Batch]:
        """Return batches of all `run:` logs by position, from the one that holds `after` + 1 on."""

    async def head(self, log: str) -> LogHead:
        """Return where a log stands; NotFound for the log of a run that does not exist."""

    async def positions(self) -> Positions:
        """Return the newest position and the floor."""

    async def delete(self, run_ids: Sequence[str], time: int) -> list[str]:
        """Remove runs that are not running, with their logs, for good; return which existed.

        The runs are gone, their ids are spent, `floor` is raised and `lifecycle` tells of it in
        one commit; the space of the events is given back afterwards, in small steps. A running
        run of source `run` raises Conflict `run_active` and nothing is removed.
        """

    async def is_deleted(self, run_id: str) -> bool:
        """Tell whether a run of this id was deleted."""

    async def trim(self, log: str, before: int) -> int:
        """Drop whole batches whose events all have a time before `before` from the log's head.

        Only for `lifecycle` and `messages`. Raises the floor, never drops the newest batch and
        returns how many events went.
        """


def known_stores() -> str:
    """List the schemes that a store's URL may have."""
    return " or ".join(f"{scheme}:" for scheme in STORES)


async def open_store(url: str) -> Store:
    """Open a store by its URL: `sqlite:PATH[?durability=fast]` or `memory:`.

    Raises ConfigError if no engine has this scheme, or the engine cannot use the location.
    """
    scheme, _, location = url.partition(":")
    if scheme not in STORES:
        raise ConfigError(f"there is no store {scheme!r}; store.url begins with {known_stores()}")
    module, _, name = STORES[scheme].partition(":")
    opened: Store = await getattr(import_module(module), name)(location)
    return opened
