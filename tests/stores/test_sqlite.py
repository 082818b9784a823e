"""What only the SQLite engine can be asked: its file, its schema, its groups, its speed."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import apsw
import pytest

from runcast.core.errors import ConfigError, TooLarge, Unavailable
from runcast.core.events import LIFECYCLE, MESSAGES, Batch, run_log
from runcast.stores import Checkpoint, Piece, RunFilter, Span, Stdin, Store, open_store
from runcast.stores.rules import pack
from runcast.stores.sqlite import parse_location, queries
from runcast.stores.sqlite.database import SYNCHRONOUS, migrations, open_database
from runcast.stores.sqlite.ledger import Ledger
from runcast.stores.sqlite.store import SqliteStore
from tests.stores.make import a_run, events_of, move, say, tell_approval, texts_of


async def kept_of(store: Store, run_id: str) -> list[object]:
    return [
        await store.checkpoint(run_id),
        await store.approvals(run_id),
        await store.stdin(run_id),
    ]


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'store.db'}"
    store = await open_store(url)
    await store.create(a_run("gone"))
    await store.create(a_run(status="running"))
    entries = [say("a"), tell_approval("q", input={"x": [1, None]})]
    await store.append(run_log("r"), entries, advance=move(0, 5), stdin=Stdin(b"x"))
    await store.delete(["gone"], 9)
    positions = await store.positions()
    before = [await store.get("r"), positions, *await kept_of(store, "r")]
    await store.close()
    store = await open_store(url)
    assert [await store.get("r"), await store.positions(), *await kept_of(store, "r")] == before
    assert await store.is_deleted("gone")
    span = await store.append(run_log("r"), [say("b")], advance=move(5, 9))
    assert span.position == positions.head + 1
    assert await texts_of(store) == ["a", "b"]
    await store.close()


async def test_callers_at_once_share_commits(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path / 'store.db'}")
    commits: list[Sequence[Batch]] = []
    store.listen(commits.append)
    await asyncio.gather(*(store.append(MESSAGES, [say("x")]) for _ in range(200)))
    assert sum(len(batches) for batches in commits) == 200
    assert len(commits) < 50
    await store.close()


async def test_cancelled_caller_does_not_disturb_the_others(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path / 'store.db'}")
    calls = [asyncio.ensure_future(store.append(MESSAGES, [say(str(n))])) for n in range(10)]
    await asyncio.sleep(0)
    calls[3].cancel()
    spans = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(spans[3], asyncio.CancelledError)
    assert (await store.head(MESSAGES)).last == 10
    await store.close()


async def test_what_is_too_big_for_the_database_is_refused_alone(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path / 'store.db'}")
    assert isinstance(store, SqliteStore)
    # In the writer's thread: here it could wait for that, which waits for the interpreter's lock.
    await store._writer.submit(
        lambda ledger: ledger._connection.limit(apsw.SQLITE_LIMIT_LENGTH, 100_000)
    )
    texts = ["before", "x" * 200_000, "after"]
    calls = [store.append(MESSAGES, [say(text)]) for text in texts]

    done = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(one) for one in done] == [Span, TooLarge, Span]
    assert (await store.head(MESSAGES)).last == 2
    await store.close()


@pytest.mark.parametrize("queries_before", [False, True])
async def test_an_operation_that_fails_leaves_nothing_between_two_good_ones(
    tmp_path: Path, queries_before: bool
) -> None:
    """What it added was not written yet: without a query, only the ledger knows of it."""
    store = await open_store(f"sqlite:{tmp_path / 'store.db'}")
    assert isinstance(store, SqliteStore)
    await store.create(a_run())
    told: list[Sequence[Batch]] = []
    store.listen(told.append)

    def fail(ledger: Ledger) -> None:
        if queries_before:
            ledger.query(queries.ADD_LOG, "run:never")
        ledger.add(run_log("r"), pack([say("never")]), Checkpoint(offset=7))
        raise LookupError("a fault of its own")

    async def failing() -> None:
        await store._writer.submit(fail)

    calls = [
        store.append(run_log("r"), [say("before")], advance=move(0, 5)),
        failing(),
        store.append(run_log("r"), [say("after")], advance=move(5, 9)),
        failing(),
    ]
    done = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(one) for one in done] == [Span, LookupError, Span, LookupError]
    assert len(told) == 1  # they were one group
    assert await texts_of(store) == ["before", "after"]
    assert await store.checkpoint("r") == Checkpoint(offset=9)
    await store.close()


async def test_fast_durability_stores_the_same(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'store.db'}?durability=fast"
    store = await open_store(url)
    await store.append(MESSAGES, [say("x")])
    await store.close()
    store = await open_store(url)
    assert len(await events_of(store, MESSAGES)) == 1
    await store.close()


@pytest.mark.parametrize(("durability", "level"), [("safe", 2), ("fast", 1)])
def test_durability_sets_how_much_is_synced(tmp_path: Path, durability: str, level: int) -> None:
    path, asked = parse_location(f"{tmp_path / 'store.db'}?durability={durability}")
    connection = open_database(path, asked, migrations())
    assert connection.pragma("synchronous") == level
    assert connection.pragma("journal_mode") == "wal"
    connection.close()


def test_location_without_options_is_safe() -> None:
    assert parse_location("/a/b.db") == (Path("/a/b.db"), "safe")
    assert set(SYNCHRONOUS) == {"safe", "fast"}


@pytest.mark.parametrize("location", ["", "x?durability=never", "x?speed=11", "x?durability="])
async def test_wrong_location_is_one_clear_line(location: str) -> None:
    with pytest.raises(ConfigError, match="durability") as refused:
        await open_store(f"sqlite:{location}")
    assert "\n" not in refused.value.message


async def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        await open_store(f"sqlite:{path}")
    assert str(path) in refused.value.message
    assert "\n" not in refused.value.message
    return refused.value.message


async def test_file_that_is_no_database_is_refused_unharmed(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but something dear to somebody\n" * 100)
    before = path.read_bytes()
    assert "not a database" in await refusal(path)
    assert path.read_bytes() == before


async def test_database_of_another_program_is_refused_unharmed(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    before = path.read_bytes()
    assert "another program" in await refusal(path)
    assert path.read_bytes() == before


async def test_folder_that_cannot_hold_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "missing" / "store.db", tmp_path / "file" / "store.db", tmp_path):
        assert "cannot open the store" in await refusal(path)


async def test_newer_schema_is_refused_unharmed(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    open_database(path, "safe", [*migrations(), "CREATE TABLE later (x)"]).close()
    before = path.read_bytes()
    assert "use a newer runcast" in await refusal(path)
    assert path.read_bytes() == before


async def test_older_schema_is_brought_forward_with_its_data(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await open_store(f"sqlite:{path}")
    await store.append(MESSAGES, [say("old")])
    await store.close()
    steps = [
        "ALTER TABLE logs ADD COLUMN note TEXT NOT NULL DEFAULT 'kept'",
        "CREATE TABLE later (x); INSERT INTO later SELECT count(*) FROM batches",
    ]
    for _ in range(2):
        connection = open_database(path, "safe", [*migrations(), *steps])
        assert connection.execute("SELECT note FROM logs WHERE name = 'messages'").get == "kept"
        assert connection.execute("SELECT x FROM later").get == 1
        connection.close()


async def test_commit_that_is_refused_takes_back_what_it_did_to_the_run(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await open_store(f"sqlite:{path}")
    await store.create(a_run())
    await store.append(run_log("r"), [tell_approval("a"), tell_approval("b")])
    before = [await store.get("r"), await store.positions(), *await kept_of(store, "r")]
    answers = [say("x"), tell_approval("a", "allowed"), tell_approval("b", "denied")]
    with contextlib.closing(apsw.Connection(str(path))) as other:
        other.execute("ALTER TABLE stdin RENAME TO elsewhere")
        with pytest.raises(Unavailable):
            await store.append(run_log("r"), answers, advance=move(0, 5), stdin=Stdin(b"x"))
        other.execute("ALTER TABLE elsewhere RENAME TO stdin")
    assert [await store.get("r"), await store.positions(), *await kept_of(store, "r")] == before
    await store.append(run_log("r"), answers, advance=move(0, 5), stdin=Stdin(b"x"))
    assert [approval.state for approval in await store.approvals("r")] == ["allowed", "denied"]
    assert await store.stdin("r") == [Piece(0, b"x")]
    told = [event.data["value"]["pending_approvals"] for event in await events_of(store, LIFECYCLE)]
    assert told == [0, 2, 0]
    await store.close()


async def test_deleted_run_leaves_no_row_behind(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await open_store(f"sqlite:{path}")
    await store.create(a_run())
    asked = [tell_approval("q"), say("x")]
    await store.append(run_log("r"), asked, advance=move(0, 5), stdin=Stdin(b"x"))
    await store.delete(["r"], 9)
    await store.close()
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        tables = ("runs", "checkpoints", "approvals", "stdin")
        counts = [connection.execute(f"SELECT count(*) FROM {table}").get for table in tables]
    assert counts == [0, 0, 0, 0]


def test_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    open_database(path, "safe", migrations()).close()
    with pytest.raises(ConfigError, match="no such table"):
        open_database(path, "safe", [*migrations(), "CREATE TABLE new (x); DROP TABLE absent"])
    connection = open_database(path, "safe", migrations())
    assert not connection.table_exists("main", "new")
    connection.close()


async def test_what_another_process_wrote_is_not_overwritten(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'store.db'}"
    one, two = await open_store(url), await open_store(url)
    for _ in range(3):
        await one.append(MESSAGES, [say("one")])
        await two.append(MESSAGES, [say("two")])
    events = await events_of(one, MESSAGES)
    assert [(event.seq, event.position) for event in events] == [(n, n) for n in range(1, 7)]
    await one.close()
    await two.close()


async def test_many_runs_are_listed_counted_and_found_fast(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path / 'store.db'}?durability=fast")
    runs = (a_run(f"r{number}", status="completed") for number in range(5_000))
    await asyncio.gather(*(store.create(run) for run in runs))
    await store.create(a_run("rare", task_id="rare"))
    started = time.perf_counter()
    assert len(await store.runs(RunFilter(), 500)) == 500
    assert [run.id for run in await store.runs(RunFilter(task_id="rare"), 500)] == ["rare"]
    assert await store.count(RunFilter(statuses=["completed"])) == 5_000
    assert (await store.get("r77")).id == "r77"
    assert time.perf_counter() - started < 1
    await store.close()


@pytest.mark.parametrize(("query", "values"), [("READ", ("run:r", 5)), ("READ_ALL", (5,))])
@pytest.mark.parametrize("believed_rows", [None, 2, 1_000_000])
async def test_reading_a_page_walks_the_batches_whatever_sqlite_believes_of_the_tables(
    tmp_path: Path, query: str, values: tuple[str | int, ...], believed_rows: int | None
) -> None:
    path = tmp_path / "store.db"
    open_database(path, "safe", migrations()).close()
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        if believed_rows is not None:
            connection.execute("ANALYZE")
            connection.execute("DELETE FROM sqlite_stat1")
            for table in ("logs", "batches"):
                row = (table, None, str(believed_rows))
                connection.execute("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", row)
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN {getattr(queries, query)}", values
        ).fetchall()
    assert not [row for row in plan if "TEMP B-TREE" in str(row)], plan


async def test_what_is_asked_for_in_one_turn_of_the_loop_is_one_commit(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path / 'store.db'}")
    names = [f"r{number}" for number in range(20)]
    for name in names:
        await store.create(a_run(name))
    told: list[Sequence[Batch]] = []
    store.listen(told.append)

    await asyncio.gather(*(store.append(run_log(name), [say("a")]) for name in names))

    assert [batch.log for batch in told[0]] == [run_log(name) for name in names]
    assert len(told) == 1
    await store.close()
