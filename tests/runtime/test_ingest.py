"""Ingest: whatever is cut off, torn or stopped, each record becomes its events exactly once."""

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runcast.core.errors import StaleCheckpoint, Unavailable
from runcast.core.events import Draft, run_log
from runcast.core.runs import Run
from runcast.runtime import approvals as approvals_module
from runcast.runtime.approvals import Approvals
from runcast.runtime.ingest import CHUNK_BYTES, Budget, Ingest
from runcast.spool.folder import RunFolder
from runcast.stores import open_store

HEADER = b"2026-11-21T08:57:30.123456789Z stdout F "
LOG = run_log("r")


def spool_of(texts):
    return b"".join(HEADER + text + b"\n" for text in texts)


def framed(line):
    """Return the records of a line that was read in pieces of 64 KiB."""
    pieces = [line[at : at + 65_536] for at in range(0, len(line), 65_536)]
    parts = [HEADER.replace(b" F ", b" P ") + piece + b"\n" for piece in pieces[:-1]]
    return b"".join(parts) + HEADER + pieces[-1] + b"\n"


@pytest.fixture
async def store():
    store = await open_store("memory:")
    await store.create(Run(id="r", key="k", task_id="r", status="running"))
    yield store
    await store.close()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


async def open_ingest(store, spool):
    folder = RunFolder(spool.parent)
    ingest = Ingest(store, Budget(), await store.get("r"), folder, Approvals(store, "r"))
    await ingest.open()
    return ingest


async def events(store):
    return [
        event
        for batch in await store.read(LOG, 1, 1 << 30)
        for event in batch.events()
        if event.seq > 1
    ]


async def texts(store):
    return [event.data["text"] for event in await events(store) if event.type == "output"]


async def test_a_spool_that_is_not_there_yet_has_nothing(store, spool):
    ingest = await open_ingest(store, spool)

    await ingest.drain()

    assert await events(store) == []


async def test_a_torn_last_record_waits_for_its_end(store, spool):
    ingest = await open_ingest(store, spool)
    whole = spool_of([b"one", b"two"])
    spool.write_bytes(whole[:-2])
    await ingest.drain()
    assert await texts(store) == ["one"]

    spool.write_bytes(whole)
    await ingest.drain()
    assert await texts(store) == ["one", "two"]
    ingest.close()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lines=st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=30),
    data=st.data(),
)
def test_growing_anyhow_and_starting_again_anywhere_gives_each_line_once(tmp_path, lines, data):
    whole = spool_of(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    restarts = data.draw(st.lists(st.booleans(), min_size=len(cuts), max_size=len(cuts)))
    spool = tmp_path / "output.log"
    spool.write_bytes(b"")

    async def scenario():
        store = await open_store("memory:")
        await store.create(Run(id="r", key="k", task_id="r", status="running"))
        ingest = await open_ingest(store, spool)
        for cut, restart in zip([*cuts, len(whole)], [*restarts, True], strict=True):
            spool.write_bytes(whole[:cut])
            await ingest.drain()
            # What others append in between moves the seq, never the checkpoint.
            await store.append(LOG, [Draft(1, "custom", {"name": "tick", "value": None})])
            if restart:
                ingest.close()
                ingest = await open_ingest(store, spool)
        await ingest.drain()
        ingest.close()
        found = await events(store)
        await store.close()
        return found

    found = asyncio.run(scenario())

    outputs = [event.data for event in found if event.type == "output"]
    assert [data["text"] for data in outputs] == [line.decode(errors="replace") for line in lines]
    assert [event.seq for event in found] == list(range(2, len(found) + 2))


async def test_a_second_reader_of_the_same_run_is_refused(store, spool):
    spool.write_bytes(spool_of([b"one"]))
    first = await open_ingest(store, spool)
    second = await open_ingest(store, spool)
    await first.drain()

    with pytest.raises(StaleCheckpoint):
        await second.drain()

    assert await texts(store) == ["one"]
    first.close()
    second.close()


async def test_a_spool_that_shrank_is_never_read_again_from_its_start(store, spool):
    whole = spool_of([b"one", b"two", b"three"])
    spool.write_bytes(whole)
    ingest = await open_ingest(store, spool)
    await ingest.drain()
    ingest.close()

    with spool.open("r+b") as file:
        file.truncate(len(spool_of([b"one"])))
    again = await open_ingest(store, spool)
    await again.drain()
    with spool.open("ab") as file:
        file.write(spool_of([b"four"]))
    await again.drain()
    again.close()

    assert await texts(store) == ["one", "two", "three", "four"]
    assert [event.data for event in await events(store) if event.type == "gap"] == [
        {"reason": "truncated"}
    ]


async def test_zeros_where_a_power_cut_left_none_of_the_text_become_a_gap(store, spool):
    good = spool_of([b"good"])
    spool.write_bytes(good + bytes(3 * CHUNK_BYTES) + b"\n" + good)
    ingest = await open_ingest(store, spool)
    await ingest.drain()
    ingest.close()

    gaps = [event.data["bytes"] for event in await events(store) if event.type == "gap"]
    assert await texts(store) == ["good", "good"]
    assert sum(gaps) == 3 * CHUNK_BYTES + 1


async def test_lines_beyond_one_chunk_come_in_order(store, spool):
    lines = [b"%d " % number + b"x" * 500 for number in range(2_000)]
    spool.write_bytes(spool_of(lines))
    ingest = await open_ingest(store, spool)
    await ingest.drain()
    ingest.close()

    assert await texts(store) == [line.decode() for line in lines]


async def test_what_is_written_as_fast_as_it_is_read_comes_whole_and_in_order(store, spool):
    rounds = [[b"%d %d " % (turn, n) + b"x" * 500 for n in range(500)] for turn in range(12)]
    spool.write_bytes(spool_of(rounds[0]))
    ingest = await open_ingest(store, spool)

    async def print_on():
        for lines in rounds[1:]:
            with spool.open("ab") as file:
                file.write(spool_of(lines))
            await asyncio.sleep(0)

    await asyncio.gather(ingest.drain(), print_on())
    await ingest.drain()
    ingest.close()

    assert await texts(store) == [line.decode() for lines in rounds for line in lines]


async def test_the_end_tells_what_the_spool_lost_against_the_runner_s_record(store, spool):
    spool.write_bytes(spool_of([b"one"]))
    ingest = await open_ingest(store, spool)
    await ingest.drain()
    ingest.close()

    entries, advance = ingest.ending(ingest.offset + 7)

    assert [entry.data for entry in entries] == [{"reason": "truncated", "bytes": 7}]
    assert advance.checkpoint.finished
    assert ingest.ending(ingest.offset)[0] == []


async def test_a_refused_write_loses_nothing_and_doubles_nothing(store, spool, monkeypatch):
    spool.write_bytes(spool_of([b"one"]))
    ingest = await open_ingest(store, spool)
    append = store.append

    async def full(*args, **kwargs):
        raise Unavailable("storage", "disk full")

    monkeypatch.setattr(store, "append", full)
    with pytest.raises(Unavailable):
        await ingest.drain()
    monkeypatch.setattr(store, "append", append)
    await ingest.drain()
    ingest.close()

    assert await texts(store) == ["one"]


async def test_a_dialect_that_this_version_does_not_know_is_read_as_lines(store, spool):
    await store.create(Run(id="x", key="kx", task_id="x", status="running", dialect="unheard-of"))
    spool.write_bytes(spool_of([b"one"]))
    folder = RunFolder(spool.parent)
    ingest = Ingest(store, Budget(), await store.get("x"), folder, Approvals(store, "x"))
    await ingest.open()
    await ingest.drain()
    ingest.close()

    assert (await store.head(run_log("x"))).last == 2


async def test_a_line_that_is_too_long_for_an_event_is_kept_as_a_blob(store, spool):
    text = "x" * 100_000
    line = json.dumps({"type": "text", "text": text}).encode()
    await store.create(Run(id="x", key="kx", task_id="x", status="running", dialect="jsonl"))
    spool.write_bytes(spool_of([b"before"]) + framed(line) + spool_of([b"after"]))
    folder = RunFolder(spool.parent)
    ingest = Ingest(store, Budget(), await store.get("x"), folder, Approvals(store, "x"))
    await ingest.open()
    await ingest.drain()
    ingest.close()

    batches = await store.read(run_log("x"), 1, 1 << 30)
    told = [event.data for batch in batches for event in batch.events(1)]
    assert [data["text"][:6] for data in told] == ["before", "xxxxxx", "after"]
    reference = told[1]["text_blob"]
    assert reference["size"] == len(text)
    assert Path(folder.blob_path(reference["id"])).read_text() == text


async def test_what_an_agent_left_unanswered_is_withdrawn_some_at_a_time(store, monkeypatch):
    monkeypatch.setattr(approvals_module, "WITHDRAWN_AT_ONCE", 2)
    asked = [
        Draft(1, "approval", {"id": str(n), "tool": "Write", "input": {}, "state": "pending"})
        for n in range(5)
    ]
    await store.append(LOG, asked)
    approvals = Approvals(store, "r")
    await approvals.load()
    # Somebody answers one of them after the owner has looked.
    await store.append(LOG, [Draft(2, "approval", {"id": "3", "state": "allowed"})])

    await approvals.withdraw(LOG)

    states = [approval.state for approval in await store.approvals("r")]
    assert states == ["withdrawn", "withdrawn", "withdrawn", "allowed", "withdrawn"]
    assert approvals.pending() == []
