"""SQLite and the memory model, driven side by side by random calls, must never differ."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from operator import methodcaller
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from runcast.core.errors import RuncastError
from runcast.core.events import LIFECYCLE, MESSAGES, Batch, Entry, run_log
from runcast.core.runs import STATUSES, Run, Status
from runcast.stores import Advance, Checkpoint, RunFilter, Store, open_store
from tests.stores.make import PLENTY, a_run, facts, lines, say

RUNS = st.sampled_from("abcd")
LOGS = st.sampled_from([*map(run_log, "abcd"), LIFECYCLE, MESSAGES])
TIMES = st.integers(1, 40)
ENTRIES = st.lists(
    st.builds(say, st.text(max_size=3), TIMES)
    | st.builds(lambda texts, time: lines(*texts, time=time), st.lists(st.just("x")), TIMES),
    max_size=3,
)
OFFSETS = st.integers(0, 2)
ADVANCES = st.none() | st.builds(
    lambda expected, offset: Advance(expected, Checkpoint(offset=offset)), OFFSETS, OFFSETS
)
LIMITS = st.sampled_from([1, 100, PLENTY])
STEPS = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
Call = Callable[[Store], Awaitable[Any]]


class Compared(RuleBasedStateMachine):
    """Makes every call on both stores and compares what they answer, tell and then hold."""

    @initialize()
    def open(self) -> None:
        self.loop = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"sqlite:{Path(self.folder.name) / 'store.db'}?durability=fast"
        self.told: dict[str, list[Batch]] = {"memory": [], "sqlite": []}
        self.model = self._open("memory", "memory:")
        self.sqlite = self._open("sqlite", self.url)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.run(self.sqlite.close())
            self.loop.close()
            self.folder.cleanup()

    @rule(run_id=RUNS, status=st.sampled_from(STATUSES), external=st.booleans(), entries=ENTRIES)
    def create(self, run_id: str, status: Status, external: bool, entries: list[Entry]) -> None:
        source = "external" if external else "run"
        run = a_run(run_id, status=status, source=source)
        self.both(lambda store: store.create(run, entries))

    @rule(
        run_id=RUNS,
        status=st.sampled_from(STATUSES),
        time=TIMES,
        entries=ENTRIES,
        advance=ADVANCES,
    )
    def transition(
        self,
        run_id: str,
        status: Status,
        time: int,
        entries: list[Entry],
        advance: Advance | None,
    ) -> None:
        outcome = {"exit_code": time}
        self.both(lambda store: store.transition(run_id, status, time, outcome, entries, advance))

    @rule(run_id=RUNS, cancel=st.booleans())
    def update(self, run_id: str, cancel: bool) -> None:
        self.both(lambda store: store.update(run_id, {"cancel_requested": cancel}))

    @rule(limit=st.integers(0, 3), time=TIMES)
    def claim(self, limit: int, time: int) -> None:
        self.both(lambda store: store.claim(limit, time))

    @rule(log=LOGS, entries=ENTRIES, advance=ADVANCES, after=st.none() | st.integers(0, 4))
    def append(
        self, log: str, entries: list[Entry], advance: Advance | None, after: int | None
    ) -> None:
        self.both(lambda store: store.append(log, entries, advance=advance, after=after))

    @rule(calls=st.lists(st.tuples(LOGS, ENTRIES), min_size=2, max_size=8))
    def append_at_once(self, calls: list[tuple[str, list[Entry]]]) -> None:
        async def all_of(store: Store) -> list[Any]:
            appends = [answer_of(store.append(log, entries)) for log, entries in calls]
            return await asyncio.gather(*appends)

        self.both(all_of)

    @rule(run_ids=st.lists(RUNS, max_size=3), time=TIMES)
    def delete(self, run_ids: list[str], time: int) -> None:
        self.both(lambda store: store.delete(run_ids, time))

    @rule(log=LOGS, before=TIMES)
    def trim(self, log: str, before: int) -> None:
        self.both(lambda store: store.trim(log, before))

    @rule(log=LOGS, after=st.integers(0, 12), limit=LIMITS)
    def read(self, log: str, after: int, limit: int) -> None:
        self.both(lambda store: store.read(log, after, limit))

    @rule(after=st.integers(0, 40), limit=LIMITS)
    def read_all(self, after: int, limit: int) -> None:
        self.both(lambda store: store.read_all(after, limit))

    @rule()
    def restart(self) -> None:
        self.loop.run(self.sqlite.close())
        self.sqlite = self._open("sqlite", self.url)

    @invariant()
    def hold_the_same(self) -> None:
        if not hasattr(self, "loop"):
            return
        self.both(Store.positions)
        self.both(Store.totals)
        self.both(lambda store: store.runs(RunFilter(), 9))
        self.both(lambda store: store.read_all(0, PLENTY))
        self.both(lambda store: store.read(LIFECYCLE, 0, PLENTY))
        assert facts(self.told["memory"]) == facts(self.told["sqlite"])

    @invariant()
    def hold_the_same_of_each_run(self) -> None:
        if not hasattr(self, "loop"):
            return
        for run_id in "abcd":
            self.both(methodcaller("head", run_log(run_id)))
            self.both(methodcaller("checkpoint", run_id))
            self.both(methodcaller("is_deleted", run_id))

    def both(self, call: Call) -> None:
        modelled = self.loop.run(answer_of(call(self.model)))
        stored = self.loop.run(answer_of(call(self.sqlite)))
        assert comparable(stored) == comparable(modelled)

    def _open(self, name: str, url: str) -> Store:
        store = self.loop.run(open_store(url))
        store.listen(self.told[name].extend)
        return store


async def answer_of(call: Awaitable[Any]) -> Any:
    """Return what a call gives, or the kind and code of its refusal."""
    try:
        return await call
    except RuncastError as error:
        return type(error), error.code, error.message
    except ValueError as error:
        return ValueError, str(error)


def comparable(answer: Any) -> Any:
    """Return what must be equal: `order` says only who came first, and lists show that."""
    match answer:
        case Run():
            return msgspec.structs.replace(answer, order=0)
        case Batch():
            return facts([answer])
        case list():
            return [comparable(item) for item in answer]
    return answer


@pytest.mark.timeout(60)
def test_sqlite_never_differs_from_the_model() -> None:
    run_state_machine_as_test(Compared, settings=STEPS)
