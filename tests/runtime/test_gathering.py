"""Gathering: what many runs say at about the same time is one commit, and each line comes once."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runcast.config import Settings
from runcast.core.errors import Unavailable
from runcast.core.events import Draft, run_log
from runcast.core.runs import Run
from runcast.runtime import gathering as gathering_module
from runcast.runtime.approvals import Approvals
from runcast.runtime.gathering import Gathering
from runcast.runtime.ingest import LITTLE_BYTES, Budget, Ingest
from runcast.runtime.runtime import Runtime
from runcast.runtime.submit import RunSpec
from runcast.spool.folder import RunFolder
from runcast.stores import Addition, Store, open_store
from tests.runtime.watched import until

HEADER = b"2026-11-21T08:57:30.123456789Z stdout F "


class Said:
    """A source that says one thing, and notes what became of it."""

    def __init__(self, run_id: str, *, fails: bool = False) -> None:
        self.run_id = run_id
        self.fails = fails
        self.ended = ""

    def gather(self) -> Addition | None:
        if self.fails:
            raise OSError("cannot be read")
        draft = Draft(1, "output", {"stream": "stdout", "text": self.run_id})
        return Addition(self.run_id, [draft])

    def gathered(self) -> None:
        self.ended += "gathered"

    def left_out(self) -> None:
        self.ended += "left out"

    def broke(self, error: Exception) -> None:
        self.ended += str(error)


class Commits:
    """How many batches each commit of a store had."""

    def __init__(self, store: Store) -> None:
        self.sizes: list[int] = []
        store.listen(lambda batches: self.sizes.append(len(batches)))


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = await open_store("memory:")
    for number in range(50):
        await store.create(Run(id=f"r{number}", key=f"k{number}", task_id="t", status="running"))
    yield store
    await store.close()


@pytest.fixture
async def gathering(store: Store) -> AsyncIterator[Gathering]:
    gathering = Gathering(store)
    yield gathering
    await gathering.close()


async def ended(sources: list[Said]) -> list[str]:
    await until(lambda: all(source.ended for source in sources))
    return [source.ended for source in sources]


async def test_what_is_added_in_a_turn_of_the_loop_is_one_commit(store, gathering):
    commits = Commits(store)
    sources = [Said(f"r{number}") for number in range(10)]
    for source in sources:
        gathering.add(source)

    assert await ended(sources) == ["gathered"] * 10
    assert commits.sizes == [10]


async def test_so_many_that_reading_them_takes_long_leave_turns_to_others(
    store, gathering, monkeypatch
):
    monkeypatch.setattr(gathering_module, "AT_ONCE", 20)
    commits = Commits(store)
    sources = [Said(f"r{number}") for number in range(50)]
    for source in sources:
        gathering.add(source)

    assert await ended(sources) == ["gathered"] * 50
    assert commits.sizes == [20, 20, 10]


async def test_what_is_refused_of_one_is_left_to_each(store, gathering):
    sources = [Said("r1"), Said("never heard of"), Said("r2")]
    for source in sources:
        gathering.add(source)

    assert await ended(sources) == ["left out"] * 3
    assert (await store.head(run_log("r1"))).last == 1  # its creation


async def test_one_that_cannot_be_read_keeps_nobody_out(store, gathering):
    sources = [Said("r1"), Said("r2", fails=True), Said("r3")]
    for source in sources:
        gathering.add(source)

    assert await ended(sources) == ["gathered", "cannot be read", "gathered"]


async def test_one_that_fails_to_take_note_keeps_it_from_nobody(
    store, gathering, caplog, monkeypatch
):
    def fails() -> None:
        raise ValueError("no note")

    sources = [Said("r1"), Said("r2"), Said("r3")]
    monkeypatch.setattr(sources[1], "gathered", fails)
    for source in sources:
        gathering.add(source)

    assert await ended([sources[0], sources[2]]) == ["gathered", "gathered"]
    assert "no note" in caplog.text


async def test_closing_waits_for_what_is_being_committed(store):
    gathering = Gathering(store)
    source, late = Said("r1"), Said("r2")
    gathering.add(source)
    await asyncio.sleep(0)

    gathering.add(late)
    await gathering.close()

    assert source.ended == "gathered"
    assert late.ended == ""


def records(*texts: bytes) -> bytes:
    return b"".join(HEADER + text + b"\n" for text in texts)


async def ingest_of(store: Store, spool: Path, dialect: str = "lines") -> Ingest:
    run = Run(id="r", key="k", task_id="r", status="running", dialect=dialect)
    await store.create(run)
    ingest = Ingest(store, Budget(), run, RunFolder(spool.parent), Approvals(store, "r"))
    await ingest.open()
    return ingest


async def texts(store: Store, run_id: str = "r") -> list[str]:
    batches = await store.read(run_log(run_id), 0, 1 << 30)
    found = [event for batch in batches for event in batch.events()]
    return [event.data["text"] for event in found if "text" in event.data]


async def test_what_was_gathered_is_not_read_again_by_whoever_drains(store, tmp_path):
    spool = tmp_path / "output.log"
    spool.write_bytes(records(b"one", b"two") + HEADER)
    ingest = await ingest_of(store, spool)

    addition = ingest.gather()
    assert addition is not None
    await store.append_all([addition])
    ingest.gathered()
    assert ingest.gather() is None  # a torn record
    assert ingest.behind
    with spool.open("ab") as file:
        file.write(b"three\n")
    await ingest.drain()

    assert await texts(store) == ["one", "two", "three"]
    assert not ingest.behind
    ingest.close()


async def test_what_was_gathered_and_refused_is_drained_once(store, tmp_path):
    spool = tmp_path / "output.log"
    spool.write_bytes(records(b"one"))
    ingest = await ingest_of(store, spool)

    assert ingest.gather() is not None
    assert ingest.gather() is None  # the parser has it, and may not be asked twice
    assert ingest.behind
    with spool.open("ab") as file:
        file.write(records(b"two"))
    await ingest.drain()  # the only time, if it is known by now that the output has ended

    assert await texts(store) == ["one", "two"]
    ingest.close()


ASKED = json.dumps(
    {
        "type": "control_request",
        "request_id": "a",
        "request": {"subtype": "can_use_tool", "tool_name": "Bash", "input": {}},
    }
).encode()


@pytest.mark.parametrize(
    "spoken",
    [
        pytest.param(records(b"x" * LITTLE_BYTES), id="much"),
        pytest.param(records(*[b"x" * 80] * 50), id="many lines"),
        pytest.param(records(ASKED), id="a question"),
    ],
)
async def test_what_takes_more_than_an_append_is_left_to_drain(store, tmp_path, spoken):
    spool = tmp_path / "output.log"
    spool.write_bytes(spoken)
    ingest = await ingest_of(store, spool, "claude")

    assert ingest.gather() is None
    assert ingest.behind
    await ingest.drain()

    assert not ingest.behind
    assert (await store.head(run_log("r"))).last == 1 + spoken.count(b"\n")
    ingest.close()


async def test_a_spool_that_shrank_is_behind(store, tmp_path):
    spool = tmp_path / "output.log"
    spool.write_bytes(records(b"one", b"two"))
    ingest = await ingest_of(store, spool)
    await ingest.drain()
    assert not ingest.behind

    spool.write_bytes(records(b"one"))

    assert ingest.gather() is None
    assert ingest.behind
    ingest.close()


PRINTS = "for n in 1 2 3 4 5 6 7 8 9 10; do echo $n; sleep 0.02; done"


@pytest.mark.parametrize("refused_of", [1, 2, 3])
async def test_runs_say_everything_once_whatever_is_refused_of_their_commits(
    data_dir: Path, monkeypatch, refused_of: int
):
    runtime = await Runtime.open(Settings(data_dir=str(data_dir)))
    store = runtime.store
    append_all, calls = store.append_all, 0

    async def flaky(additions, births=(), **more):
        nonlocal calls
        calls += 1
        if calls % refused_of == 0:
            raise Unavailable("storage", "disk full")
        return await append_all(additions, births, **more)

    monkeypatch.setattr(store, "append_all", flaky)
    ids = [f"run-{number}" for number in range(6)]
    for run_id in ids:
        await runtime.submit(RunSpec(command=["sh", "-c", PRINTS], id=run_id))
    runs = [await runtime.wait(run_id, 30) for run_id in ids]

    assert [run.status for run in runs] == ["completed"] * 6
    for run_id in ids:
        assert await texts(store, run_id) == [str(number) for number in range(1, 11)]
    assert calls
    await runtime.close()


async def test_what_a_run_says_while_its_commit_is_refused_is_there_before_its_end(
    data_dir: Path, monkeypatch
):
    runtime = await Runtime.open(Settings(data_dir=str(data_dir)))
    spools = data_dir / "runs"
    refused = 0

    async def refuses_late(additions, births=(), **more):
        nonlocal refused
        refused += 1
        await until(lambda: list(spools.glob("*/exit.json")))
        raise Unavailable("storage", "disk full")

    monkeypatch.setattr(runtime.store, "append_all", refuses_late)
    command = ["sh", "-c", "sleep 0.3; echo one; sleep 0.3; echo two"]
    await runtime.submit(RunSpec(command=command, id="r"))
    await runtime.wait("r", 30)
    batches = await runtime.store.read(run_log("r"), 0, 1 << 30)
    events = [event for batch in batches for event in batch.events()]
    await runtime.close()

    assert refused
    assert [event.type for event in events][-3:] == ["output", "output", "status"]
    assert not [event for event in events if event.type == "gap"]


async def test_a_run_whose_output_could_not_be_parsed_is_taken_up_from_its_checkpoint(
    data_dir: Path, monkeypatch
):
    gather, breaks = Ingest.gather, [True]

    def breaks_once(ingest: Ingest) -> Addition | None:
        addition = gather(ingest)
        if addition is not None and breaks:
            breaks.clear()
            ingest._step = None  # as if the parser had failed behind half of it
            raise MemoryError
        return addition

    monkeypatch.setattr(Ingest, "gather", breaks_once)
    runtime = await Runtime.open(Settings(data_dir=str(data_dir)))
    await runtime.submit(RunSpec(command=["sh", "-c", f"sleep 0.3; {PRINTS}"], id="r"))
    run = await runtime.wait("r", 30)
    said = await texts(runtime.store, "r")
    await runtime.close()

    assert run.status == "completed"
    assert said == [str(number) for number in range(1, 11)]
    assert not breaks
