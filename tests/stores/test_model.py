"""SQLite and the memory model, driven side by side by random calls, must never differ."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from runcast.core.errors import RuncastError
from runcast.core.events import LIFECYCLE, MESSAGES, Batch, Entry, run_log
from runcast.core.once import Once
from runcast.core.runs import STATUSES, Status
from runcast.core.workspaces import Workspace
from runcast.stores import (
    Advance,
    Checkpoint,
    LogHead,
    RunFilter,
    Selection,
    Store,
    open_store,
)
from tests.stores.make import PLENTY, a_run, facts, tell_approval
from tests.stores.stories import (
    AFTERS,
    BELIEFS,
    BORN,
    ENTRIES,
    KEYS,
    LIMITS,
    MAYBE_ENTRIES,
    MSG_IDS,
    ONCES,
    PICKS,
    QUESTIONS,
    SELECTIONS,
    TALK,
    TASKS,
    TIMES,
    WORKSPACES,
    Talk,
    comparable,
)

STEPS = settings(
    max_examples=30,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),  # shrinking such long stories takes minutes
    suppress_health_check=list(HealthCheck),
)
Call = Callable[[Store], Awaitable[Any]]


class Compared(RuleBasedStateMachine):
    """Makes every call on both stores and compares what they answer, tell and then hold."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"sqlite:{Path(self.folder.name) / 'store.db'}?durability=fast"
        self.ids: list[str] = []
        self.told: dict[str, list[Batch]] = {"memory": [], "sqlite": []}
        self.model = self._open("memory", "memory:")
        self.sqlite = self._open("sqlite", self.url)
        for _ in range(3):
            self.both(methodcaller("create", a_run(f"r{len(self.ids)}", created_at=1)))
            self.ids.append(f"r{len(self.ids)}")

    def teardown(self) -> None:
        self.loop.run(self.sqlite.close())
        self.loop.close()
        self.folder.cleanup()

    @rule(
        again=st.sampled_from([None, None, None, 0, 1]),
        status=BORN,
        external=st.booleans(),
        entries=MAYBE_ENTRIES,
        group=st.tuples(TASKS, WORKSPACES),
        once=ONCES,
    )
    def create(
        self,
        again: int | None,
        status: Status,
        external: bool,
        entries: list[Entry],
        group: tuple[str, str],
        once: Once | None,
    ) -> None:
        run_id = f"r{len(self.ids)}" if again is None else self.run_id(again)
        if again is None:
            self.ids.append(run_id)
        run = a_run(run_id, status=status, source="external" if external else "run", created_at=20)
        run.task_id, run.workspace_id = group
        self.both(methodcaller("create", run, entries, once=once))

    @rule(
        pick=PICKS,
        status=st.sampled_from(STATUSES),
        time=TIMES,
        entries=MAYBE_ENTRIES,
        questions=QUESTIONS,
        belief=BELIEFS,
        once=ONCES,
    )
    def transition(
        self,
        pick: int,
        status: Status,
        time: int,
        entries: list[Entry],
        questions: list[str],
        belief: int | None,
        once: Once | None,
    ) -> None:
        run_id, outcome = self.run_id(pick), {"exit_code": time}
        entries = [*entries, *self.moves(run_id, questions, "withdrawn")]
        advance = self.advance(run_id, belief)
        values = (run_id, status, time, outcome, entries, advance)
        self.both(methodcaller("transition", *values, once=once))

    @rule(pick=PICKS, cancel=st.booleans(), time=st.none() | TIMES, once=ONCES)
    def update(self, pick: int, cancel: bool, time: int | None, once: Once | None) -> None:
        fields = {"cancel_requested": cancel}
        self.both(methodcaller("update", self.run_id(pick), fields, time, once=once))

    @rule(
        ids=st.lists(MSG_IDS, min_size=1, max_size=3),
        parents=st.sets(MSG_IDS, max_size=1),
        time=TIMES,
        once=ONCES,
    )
    def add_messages_at_once(
        self, ids: list[str], parents: set[str], time: int, once: Once | None
    ) -> None:
        self.both(
            *(methodcaller("add_message", {"msg_id": i}, time, parents, once=once) for i in ids)
        )

    @rule(
        workspace_id=WORKSPACES,
        name=st.text(max_size=2),
        path=st.sampled_from(["/a", "/a", "/b"]),
        once=ONCES,
    )
    def put_workspace(self, workspace_id: str, name: str, path: str, once: Once | None) -> None:
        workspace = Workspace(id=workspace_id, name=name, root_path=path)
        self.both(methodcaller("put_workspace", workspace, 9, once=once))

    @rule(before=st.integers(0, 2))
    def forget_answers(self, before: int) -> None:
        self.both(methodcaller("forget_answers", before))

    @rule(limit=st.integers(0, 3), time=TIMES)
    def claim(self, limit: int, time: int) -> None:
        self.both(methodcaller("claim", limit, time))

    @rule(pick=PICKS, calls=st.lists(TALK, min_size=1, max_size=4))
    def ingest_and_answer_at_once(self, pick: int, calls: list[Talk]) -> None:
        run_id = self.run_id(pick)
        appends = [
            methodcaller(
                "append",
                run_log(run_id),
                [*entries, *self.moves(run_id, questions, answer)],
                advance=self.advance(run_id, belief),
                stdin=stdin,
            )
            for entries, questions, answer, stdin, belief in calls
        ]
        self.both(*appends)

    @rule(pick=PICKS, shared=st.booleans(), entries=ENTRIES, belief=BELIEFS, once=ONCES)
    def append(
        self,
        pick: int,
        shared: bool,
        entries: list[Entry],
        belief: int | None,
        once: Once | None,
    ) -> None:
        log = self.log(pick, shared)
        head = self.answer(self.model, methodcaller("head", log))
        after = head.last + belief if belief is not None and isinstance(head, LogHead) else None
        self.both(methodcaller("append", log, entries, after=after, once=once))

    @rule(calls=st.lists(st.tuples(PICKS, st.booleans(), ENTRIES, AFTERS), min_size=2, max_size=8))
    def append_at_once(self, calls: list[tuple[int, bool, list[Entry], int | None]]) -> None:
        self.both(
            *(
                methodcaller("append", self.log(pick, shared), entries, after=after)
                for pick, shared, entries, after in calls
            )
        )

    @rule(pick=PICKS, end=st.integers(0, 5))
    def deliver(self, pick: int, end: int) -> None:
        self.both(methodcaller("delivered", self.run_id(pick), end))

    @rule(picks=st.lists(PICKS, max_size=2), time=TIMES, once=ONCES)
    def delete(self, picks: list[int], time: int, once: Once | None) -> None:
        self.both(methodcaller("delete", [self.run_id(pick) for pick in picks], time, once=once))

    @rule(pick=PICKS, before=TIMES)
    def trim(self, pick: int, before: int) -> None:
        self.both(methodcaller("trim", self.log(pick, shared=True), before))

    @rule(pick=PICKS, shared=st.booleans(), after=st.integers(0, 12), limit=LIMITS)
    def read(self, pick: int, shared: bool, after: int, limit: int) -> None:
        self.both(methodcaller("read", self.log(pick, shared), after, limit))

    @rule(after=st.integers(0, 40), limit=LIMITS, where=SELECTIONS)
    def read_all(self, after: int, limit: int, where: Selection) -> None:
        self.both(methodcaller("read_all", after, limit, where))

    @rule(
        before=st.integers(0, 40),
        limit=LIMITS,
        where=SELECTIONS,
        pick=st.none() | PICKS,
        after=st.integers(0, 20),
        since=st.none() | TIMES,
    )
    def read_back(
        self,
        before: int,
        limit: int,
        where: Selection,
        pick: int | None,
        after: int,
        since: int | None,
    ) -> None:
        if pick is not None:
            where = replace(where, run_id=self.run_id(pick))
        self.both(methodcaller("read_back", before, limit, where, after=after, since=since))

    @rule()
    def restart(self) -> None:
        self.loop.run(self.sqlite.close())
        self.sqlite = self._open("sqlite", self.url)

    @invariant()
    def hold_the_same(self) -> None:
        calls: list[Call] = [
            methodcaller("positions"),
            methodcaller("totals"),
            methodcaller("workspace_totals"),
            methodcaller("workspaces"),
            *(methodcaller("answered", key) for key in KEYS),
            methodcaller("keys"),
            methodcaller("runs", RunFilter(), 99),
            methodcaller("read_all", 0, PLENTY),
            methodcaller("read", LIFECYCLE, 0, PLENTY),
        ]
        logs = (LIFECYCLE, MESSAGES, *map(run_log, self.ids))
        calls += [methodcaller("head", log) for log in logs]
        for name in ("checkpoint", "approvals", "stdin", "is_deleted"):
            calls += [methodcaller(name, run_id) for run_id in self.ids]
        self.both(*calls)
        assert facts(self.told["memory"]) == facts(self.told["sqlite"])
        urgent = {name: [batch.urgent for batch in told] for name, told in self.told.items()}
        assert urgent["memory"] == urgent["sqlite"]

    def run_id(self, pick: int) -> str:
        return self.ids[-1 - pick] if pick < len(self.ids) else "nobody"

    def log(self, pick: int, shared: bool) -> str:
        return (LIFECYCLE, MESSAGES)[pick % 2] if shared else run_log(self.run_id(pick))

    def advance(self, run_id: str, belief: int | None) -> Advance | None:
        if belief is None:
            return None
        offset = self.answer(self.model, methodcaller("checkpoint", run_id)).offset
        return Advance(offset + belief, Checkpoint(offset=offset + 2))

    def moves(self, run_id: str, questions: list[str], answer: str) -> list[Entry]:
        """Ask what was not asked, answer what was."""
        known = self.answer(self.model, methodcaller("approvals", run_id))
        asked = {approval.id for approval in known}
        return [tell_approval(name, answer if name in asked else "pending") for name in questions]

    def answer(self, store: Store, call: Call) -> Any:
        return self.loop.run(answer_of(call(store)))

    def both(self, *calls: Call) -> None:
        expected, found = self.loop.run(self.answers_of_both(calls))
        assert comparable(found) == comparable(expected)

    async def answers_of_both(self, calls: Sequence[Call]) -> list[list[Any]]:
        return [
            await asyncio.gather(*(answer_of(call(store)) for call in calls))
            for store in (self.model, self.sqlite)
        ]

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


@pytest.mark.timeout(60)
def test_sqlite_never_differs_from_the_model() -> None:
    run_state_machine_as_test(Compared, settings=STEPS)
