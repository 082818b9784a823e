"""How the SQLite engine finds a selection: side by side or by looking through, never at length."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from runcast.core.events import MESSAGES, run_log
from runcast.core.runs import RunRef
from runcast.stores import RunFilter, Selection, open_store
from runcast.stores.sqlite import pages, queries
from runcast.stores.sqlite.database import migrations, open_database, open_for_reading
from runcast.stores.sqlite.queries import selection_terms, where_clause
from tests.stores.make import PLENTY, a_run, facts, lines, say


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    open_database(tmp_path / "store.db", "safe", migrations()).close()
    with contextlib.closing(open_for_reading(tmp_path / "store.db")) as connection:
        yield connection


CLAUSE = " WHERE " + " AND ".join(selection_terms(Selection(task_id="t"))[0])
STATEMENTS = {
    "logs of a task": (queries.STANDING_OF_RUNS + CLAUSE, ("t",)),
    "how many logs": (queries.COUNT_SOME.format(CLAUSE), ("t", 9)),
    "one log": (queries.STANDING_OF_LOG, ("messages",)),
    "where to begin": (queries.BATCH_AT, (3, 5)),
    "batches of a log": (queries.READ_FROM, ("run:r", 3, 5, 1)),
    "looking back": (f"{queries.READ_BACK} AND r.task_id = ?{queries.BACK_ORDER}", (0, 5, 1, "t")),
    "looking back in a log": (queries.READ_BACK_OF_LOG, (3, 0, 5, 1)),
    "looking through": (f"{queries.SCAN} AND r.task_id = ?{queries.SCAN_ORDER}", (5, "t")),
}


@pytest.mark.parametrize("case", STATEMENTS)
def test_no_statement_scans_or_sorts_the_batches(connection: apsw.Connection, case: str) -> None:
    statement, values = STATEMENTS[case]
    plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    steps = [str(row[-1]) for row in plan]
    bad = ("SCAN b", "SCAN l", "SCAN r", "SCAN (SELECT", "USE TEMP")
    assert not [step for step in steps if step.startswith(bad)], steps


def test_where_a_log_begins_to_be_read_touches_no_batch(connection: apsw.Connection) -> None:
    for case in ("logs of a task", "one log", "where to begin"):
        statement, values = STATEMENTS[case]
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        steps = [str(row[-1]) for row in plan if "batches" in str(row[-1])]
        assert all("COVERING INDEX" in step for step in steps), steps


def test_the_runs_of_a_task_are_found_by_the_task(connection: apsw.Connection) -> None:
    where = RunFilter(
        statuses=["running"], workspace_id="w", task_id="t", source="external", kind="k", since=1
    )
    clause, values = where_clause(where, before=9)
    statement = f"EXPLAIN QUERY PLAN {queries.RUNS}{clause}{queries.PAGE}"
    steps = [str(row[-1]) for row in connection.execute(statement, [*values, 1, 0])]
    assert "runs_by_task" in steps[0], steps
    assert not [step for step in steps if step.startswith(("SCAN", "USE TEMP"))], steps


@pytest.mark.parametrize("most", [0, 2, 4])
async def test_looking_through_finds_what_reading_side_by_side_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(pages, "MERGED_LOGS", most)
    store = await open_store(f"sqlite:{tmp_path / 'store.db'}?durability=fast")
    for number in range(6):
        await store.create(a_run(f"r{number}", task_id="te"[number % 2], workspace_id="w"))
    for number in range(40):
        await store.append(run_log(f"r{number * number % 6}"), [lines(*"xyz"[: number % 3 + 1])])
    for where in (Selection(task_id="t"), Selection(workspace_id="w")):
        everything = [batch for batch in await store.read_all(0, PLENTY) if where.takes(batch)]
        for after in range((await store.positions()).head + 1):
            expected = [batch for batch in everything if batch.last_position > after]
            assert facts(await store.read_all(after, PLENTY, where)) == facts(expected)
    await store.close()


async def test_small_task_in_a_large_store_is_read_fast_from_anywhere(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path / 'store.db'}?durability=fast")
    await store.create(a_run("first", task_id="small"))
    await store.create(a_run("large"))
    for number in range(10):
        await asyncio.gather(*(store.append(run_log("large"), [say("x")]) for _ in range(1_000)))
        await store.append(run_log("first"), [say(str(number))])
    await store.create(a_run("last", task_id="small"))
    where = Selection(task_id="small")
    everything = await store.read_all(0, PLENTY, where)
    assert len(everything) == 12
    started = time.perf_counter()
    for after in range(0, 10_000, 100):
        expected = [batch for batch in everything if batch.last_position > after]
        assert facts(await store.read_all(after, PLENTY, where)) == facts(expected)
    assert time.perf_counter() - started < 1
    await store.close()


async def test_refs_are_forgotten_when_there_are_many_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "CACHED_REFS", 2)
    store = await open_store(f"sqlite:{tmp_path / 'store.db'}?durability=fast")
    for number in range(5):
        await store.create(a_run(f"r{number}", task_id=f"t{number}"))
    for _ in range(2):
        refs = [batch.ref for batch in await store.read_all(0, PLENTY)]
        assert refs == [
            RunRef(f"r{number}", f"t{number}", "default", "command", "run") for number in range(5)
        ]
    await store.close()


async def test_ids_of_trimmed_messages_go_with_them(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await open_store(f"sqlite:{path}?durability=fast")
    calls = (store.add_message({"msg_id": str(number)}, number) for number in range(500))
    await asyncio.gather(*calls)
    await store.trim(MESSAGES, 400)
    await store.close()
    await (await open_store(f"sqlite:{path}")).close()
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        async with asyncio.timeout(10):
            while connection.execute("SELECT count(*) FROM removals").get:
                store = await open_store(f"sqlite:{path}")
                await store.add_message({"msg_id": str(time.perf_counter_ns())}, 999)
                await store.close()
        assert connection.execute("SELECT min(seq) FROM message_ids").get == 401
        assert connection.execute("SELECT count(*) FROM message_ids WHERE seq <= 500").get == 100
