"""Approvals: the questions of an agent, as the owner of its run must keep track of them."""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from runcast.core.events import Draft, Entry
from runcast.stores import Approval, Store

Decision = Literal["allow", "deny"]
STATES: dict[Decision, str] = {"allow": "allowed", "deny": "denied"}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says to an approval: `input` replaces what the tool was to be given."""

    decision: Decision
    message: str | None = None
    input: dict[str, Any] | None = None


def settling(approval: Approval, state: str, time: int, **more: Any) -> Draft:
    """Make the event that settles an approval; the first such event of an approval counts."""
    given = {name: value for name, value in more.items() if value is not None}
    return Draft(time, "approval", approval.data | {"state": state} | given)


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
        self._known = {approval.id: approval for approval in found}

    def pending(self) -> list[Approval]:
        """Return the approvals that wait for an answer, the oldest first."""
        return [approval for approval in self._known.values() if approval.state == "pending"]

    def admit(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return entries that the store will take.

        An agent may withdraw a question that has just been answered, or use an id twice; what
        it said is kept, but is no approval.
        """
        states = {approval.id: approval.state for approval in self._known.values()}
        return [self._admitted(entry, states) for entry in entries]

    def committed(self, entries: Iterable[Entry]) -> None:
        """Take note of the approvals among entries that were committed."""
        for entry in entries:
            if isinstance(entry, Draft) and entry.type == "approval":
                data = entry.data
                asked = self._known.get(data["id"])
                time = entry.time if asked is None else asked.time
                self._known[data["id"]] = Approval(
                    id=data["id"], state=data["state"], data=data, time=time
                )

    def withdrawals(self, time: int) -> list[Entry]:
        """Make the events that settle all that is pending, because nobody waits any more."""
        return [settling(approval, "withdrawn", time) for approval in self.pending()]

    def _admitted(self, entry: Entry, states: dict[str, str]) -> Entry:
        if not isinstance(entry, Draft) or entry.type != "approval":
            return entry
        approval_id, state = entry.data["id"], entry.data["state"]
        before = states.get(approval_id)
        if (before is None) if state == "pending" else (before == "pending"):
            states[approval_id] = state
            asked = self._known.get(approval_id)
            return entry if asked is None else settling(asked, state, entry.time)
        return Draft(entry.time, "custom", {"name": "approval", "value": entry.data})
