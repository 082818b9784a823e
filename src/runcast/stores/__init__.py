"""The store: numbered events, runs and checkpoints, committed together.

The contract is `Store`; an engine is one implementation of it, named in `STORES`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

from runcast.core.errors import ConfigError
from runcast.core.events import Batch, Data, Entry
from runcast.core.once import Answered, Once
from runcast.core.runs import Run, Status
from runcast.core.workspaces import Workspace
from runcast.stores.values import (
    ALL_RUNS,
    Addition,
    Advance,
    Approval,
    Checkpoint,
    LogHead,
    Piece,
    Positions,
    RunFilter,
    Selection,
    Span,
    Stdin,
)

__all__ = [
    "ALL_RUNS",
    "STORES",
    "Addition",
    "Advance",
    "Approval",
    "Checkpoint",
    "Listener",
    "LogHead",
    "Piece",
    "Positions",
    "RunFilter",
    "Selection",
    "Span",
    "Stdin",
    "Store",
    "known_stores",
    "open_store",
]

# Name of an engine -> "module:function" that opens it: `await open(location) -> Store`.
STORES: dict[str, str] = {
    "memory": "runcast.stores.memory:open_store",
    "sqlite": "runcast.stores.sqlite:open_store",
}


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
      is always the number of those that are pending, and a `run_asked` tells of every change.
      An event without an id or a state (texts) moves nothing.
    - **Done once.** A call with `once` keeps its answer under the key in the same commit, also
      when it changed nothing. If the key is taken already, it does nothing and raises Conflict
      `idempotency_conflict`: `answered` then has the answer. A call that raises keeps none.

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

    async def create(
        self, run: Run, entries: Sequence[Entry] = (), *, once: Once | None = None
    ) -> Run:
        """Add a run as it stands; its log begins with its `status` event, then `entries`.

        The log of an external run that has ended begins with `running`, in the same batch, so
        that no log ends before it began. Returns the run with `order`, `last_seq` and `bytes`
        set. Raises Conflict `id_taken` or `id_deleted`, and `log_sealed` if there are entries
        though the run has ended.
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

    async def workspace_totals(self) -> dict[str, int]:
        """Count the runs of each workspace that has any, by its id."""

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
        *,
        once: Once | None = None,
    ) -> Run:
        """Change a run's status: append `entries`, then the `status` event, in one commit.

        `outcome` sets fields of `OUTCOME_FIELDS`; `started_at` or `ended_at` takes `time` if it
        is not among them. With a terminal status, stdin that was not delivered is dropped;
        approvals stay pending unless `entries` settle them. The same status again changes
        nothing at all, whatever `outcome`, `entries` and `advance` say. Raises NotFound, Conflict
        `bad_transition`, or StaleCheckpoint if `advance` does not hold.
        """

    async def update(
        self,
        run_id: str,
        fields: Mapping[str, Any],
        time: int | None = None,
        *,
        once: Once | None = None,
    ) -> Run:
        """Set fields other than the status; NotFound if there is no run.

        With a time (µs) `lifecycle` tells of it, without one nothing does; the run's own log never
        does, so this may be done to a run that has ended. ValueError for what never changes or
        only the store sets (`rules.FIXED_FIELDS`).
        """

    async def append(
        self,
        log: str,
        entries: Sequence[Entry],
        *,
        advance: Advance | None = None,
        after: int | None = None,
        stdin: Stdin | None = None,
        once: Once | None = None,
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

    async def append_all(
        self,
        additions: Sequence[Addition],
        births: Sequence[Run] = (),
        *,
        once: Once | None = None,
    ) -> list[Span]:
        """Add runs as `create` does, then append to logs of runs as `append` does, in one commit.

        The additions come in their order, each as one batch, and find what those before them
        left; one with `advance` may have no entries. What would be refused of one run is refused
        of all: nothing is added then.
        """

    async def add_message(
        self,
        data: Data,
        time: int,
        parents: Collection[str] = (),
        *,
        once: Once | None = None,
    ) -> Span:
        """Append one event of type `message` to the log `messages`, known by `data["msg_id"]`.

        Raises BadRequest naming `parents` unless each is the id of a message that is still kept,
        and Conflict `id_taken` if another has this id.
        """

    async def put_workspace(
        self, workspace: Workspace, time: int, *, once: Once | None = None
    ) -> Workspace:
        """Add a workspace, created at `time`, or give one that exists its new name and color.

        Returns it as it is kept. Conflict `workspace_taken` if its `root_path` is another.
        """

    async def workspaces(self) -> list[Workspace]:
        """Return all workspaces in the order in which they were added."""

    async def workspace(self, workspace_id: str) -> Workspace:
        """Return a workspace; NotFound if there is none."""

    async def answered(self, key: str) -> tuple[bytes, Answered] | None:
        """Return the fingerprint and the answer that are kept under a key, None if none are."""

    async def forget_answers(self, before: int) -> int:
        """Drop the answers to what was asked before this time (µs); return how many went."""

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

    async def read_all(
        self, after: int, limit_bytes: int, where: Selection = ALL_RUNS
    ) -> list[Batch]:
        """Return the selected batches by position, from the one that holds `after` + 1 on.

        Stops as `read` does; no batch is left out between those that are returned. An unknown
        run, task or workspace gives nothing.
        """

    async def read_back(
        self,
        before: int,
        limit_bytes: int,
        where: Selection = ALL_RUNS,
        *,
        after: int = 0,
        since: int | None = None,
    ) -> list[Batch]:
        """Return the selected batches that begin before the position `before`, newest first.

        Stops as `read` does, and at the position `after`: only batches that begin behind it are
        looked at, so that whoever finds little can have it looked for in steps. With `since` (µs)
        batches are left out whose events are all older. Selects runs' logs alone: ValueError for
        any other.
        """

    async def head(self, log: str) -> LogHead:
        """Return where a log stands; NotFound for the log of a run that does not exist."""

    async def positions(self) -> Positions:
        """Return the newest position and the floor."""

    async def delete(
        self, run_ids: Sequence[str], time: int, *, once: Once | None = None
    ) -> list[str]:
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
