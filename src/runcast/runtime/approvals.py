"""Approvals: the questions of an agent, as the owner of its run must keep track of them."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from runcast.core.errors import Conflict
from runcast.core.events import Data, Draft, Entry, run_log
from runcast.runtime.clock import now
from runcast.runtime.spill import CUT
from runcast.stores import Advance, Approval, Store

Decision = Literal["allow", "deny"]
BRIEF_BYTES = 4096  # of an input that is told again
WITHDRAWN_AT_ONCE = 100
ID_CHARS = 256  # of an approval: it is part of an address

_encode = msgspec.msgpack.Encoder().encode
STATES: dict[Decision, str] = {"allow": "allowed", "deny": "denied"}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says to an approval: `input` replaces what the tool was to be given."""

    decision: Decision
    message: str | None = None
    input: dict[str, Any] | None = None


def settling(approval: Approval, state: str, time: int, **more: Any) -> Draft:
    """Make the event that settles an approval; the first such event of an approval counts.

    What was asked is told again if it is short: there may be many, settled all at once.
    """
    given = {name: value for name, value in more.items() if value is not None}
    return Draft(time, "approval", brief(approval.data) | {"state": state} | given)


def brief(data: Data) -> Data:
    """Return what tells one question from another, and its input unless that is long."""
    told: Data = {name: data[name] for name in ("id", "tool", "tool_call_id") if name in data}
    short = "input" in data and len(_encode(data["input"])) <= BRIEF_BYTES
    return told | {"input": data["input"]} if short and CUT not in data else told


class Approvals:
    """What the owner of a run knows of its approvals; the store decides, this follows.

    Answers may be committed by others at any time, so that what is pending here may have been
    settled meanwhile: whoever is refused because of it calls `load` and looks again.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self._known: dict[str, Approval] = {}

    async def load(self) -> None:
        """Read how things stand."""
        found = await self._store.approvals(self._run_id)
        self._known = {approval.id: _noted(approval) for approval in found}

    def pending(self) -> list[Approval]:
        """Return the approvals that wait for an answer, the oldest first."""
        return [approval for approval in self._known.values() if approval.state == "pending"]

    def committed(self, entries: Iterable[Entry]) -> None:
        """Take note of the approvals among entries that were committed."""
        for entry in entries:
            if isinstance(entry, Draft) and entry.type == "approval":
                data = entry.data
                asked = self._known.get(data["id"])
                time = entry.time if asked is None else asked.time
                told = Approval(id=data["id"], state=data["state"], data=data, time=time)
                self._known[data["id"]] = _noted(told)

    async def append(self, entries: Sequence[Entry], advance: Advance) -> None:
        """Append what the run said and move its checkpoint, in one commit.

        What the store does not take as an approval is kept as another event. Raises what
        `Store.append` raises, but not that an approval is settled.
        """
        while True:
            admitted = self._admit(entries)
            try:
                await self._store.append(run_log(self._run_id), admitted, advance=advance)
                break
            except Conflict as error:
                if error.code != "approval_settled":
                    raise
                await self.load()
        self.committed(admitted)

    async def withdraw(self, log: str) -> None:
        """Settle all that is pending, some at a time, because nobody waits any more."""
        while pending := self.pending()[:WITHDRAWN_AT_ONCE]:
            entries = [settling(approval, "withdrawn", now()) for approval in pending]
            try:
                await self._store.append(log, entries)
            except Conflict as error:
                if error.code != "approval_settled":
                    raise
                await self.load()  # somebody answered in the last moment
            else:
                self.committed(entries)

    def _admit(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return entries that the store will take.

        An agent may withdraw a question that has just been answered, or use an id twice; what
        it said is kept, but is no approval.
        """
        if not any(map(is_approval, entries)):
            return entries
        states = {approval.id: approval.state for approval in self._known.values()}
        return [self._admitted(entry, states) for entry in entries]

    def _admitted(self, entry: Entry, states: dict[str, str]) -> Entry:
        if not isinstance(entry, Draft) or entry.type != "approval":
            return entry
        approval_id, state = entry.data["id"], entry.data["state"]
        before = states.get(approval_id)
        if len(approval_id) > ID_CHARS:
            before = "too long to be answered"
        if (before is None) if state == "pending" else (before == "pending"):
            states[approval_id] = state
            asked = self._known.get(approval_id)
            return entry if asked is None else settling(asked, state, entry.time)
        return Draft(entry.time, "custom", {"name": "approval", "value": entry.data})


def is_approval(entry: Entry) -> bool:
    """Tell whether an entry asks or settles a question."""
    return type(entry) is Draft and entry.type == "approval"


def _noted(approval: Approval) -> Approval:
    """Return what is kept of an approval in memory."""
    data = brief(approval.data) if approval.state == "pending" else {}
    return Approval(id=approval.id, state=approval.state, data=data, time=approval.time)
