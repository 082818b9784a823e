"""Handover: a file that was renamed goes on in another run, exactly where its first one stopped."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from runcast.runtime.watching.births import Birth
from runcast.runtime.watching.newcomers import Newcomer
from runcast.runtime.watching.reader import Reader
from runcast.runtime.watching.source import States, Watched, encode_states
from runcast.stores import Addition, Advance, Checkpoint
from runcast.tail.marks import PAST_MARKS, Identity, State


class Handover:
    """Births of one commit, with what has to be taken from other runs in the same.

    Neither gets a line twice, since a run that reads on meanwhile refuses the commit.
    """

    def __init__(self, newcomers: Iterable[Newcomer]) -> None:
        self._rests: dict[Watched, dict[str, State]] = {}
        self.births = [self._birth(one) for one in newcomers]
        self._kept = dict(self._checkpoints())

    @property
    def additions(self) -> list[Addition]:
        """What is to be committed together with the births."""
        return [
            Addition(owner.run.id, (), Advance(owner.kept.offset, kept))
            for owner, kept in self._kept.items()
        ]

    def settle(self, reader: Reader) -> None:
        """Have the former owners stand where the commit has put them."""
        for owner, kept in self._kept.items():
            if reader.is_tailed(owner):
                reader.recall(owner)
            else:
                owner.committed(kept, self._rests[owner])

    def _birth(self, newcomer: Newcomer) -> Birth:
        # What has moved here is another file than that of which a run may have been deleted.
        there = newcomer.there and newcomer.moved is None
        return Birth(newcomer.source, self._states(newcomer), there=there)

    def _states(self, newcomer: Newcomer) -> States:
        states = dict(newcomer.states)
        if newcomer.moved is None:
            return states
        owner, files = newcomer.moved
        before = self._rests.get(owner, owner.states)
        for stream, identity in files.items():
            if (taken := _take(before[stream], identity)) is not None:
                states[stream], rest = taken
                before = {**before, stream: rest}
        if owner.stage == "open":
            self._rests[owner] = dict(before)
        return states

    def _checkpoints(self) -> Iterator[tuple[Watched, Checkpoint]]:
        for owner, rest in self._rests.items():
            kept = owner.kept
            yield owner, replace(kept, offset=kept.offset + 1, source=encode_states(rest))


def _take(state: State, identity: Identity) -> tuple[State, State] | None:
    """Return the state of who goes on with a file, and of who does not; None if nobody did."""
    mark = next((one for one in state.all() if one.identity == identity), None)
    if mark is None:
        return None
    marks, late, past = (
        [one for one in marks if one is not mark] for marks in (state.marks, state.late, state.past)
    )
    rest = replace(state, marks=marks, late=late, past=[mark, *past][:PAST_MARKS])
    return State(marks=[mark], confirmed=state.confirmed), rest
