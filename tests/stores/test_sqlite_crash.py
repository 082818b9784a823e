"""What only a real file can be asked: kill -9, a full disk, and removal that a crash cut off."""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from runcast.core.errors import Unavailable
from runcast.core.events import MESSAGES, run_log
from runcast.stores import RunFilter, Store
from runcast.stores.sqlite import open_store
from tests.stores.child import RUNS, asks
from tests.stores.make import PLENTY, a_run, events_of, say

KILLS = 10


def child(action: str, location: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.stores.child", action, str(location)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def acknowledged_before_a_kill(location: Path, dice: random.Random) -> dict[str, int]:
    """Let a child append, kill it at a random moment, and return the last number of each run."""
    with child("append", location) as process:
        assert process.stdout is not None
        acks = [process.stdout.readline() for _ in range(dice.randrange(1, 100))]
        time.sleep(dice.random() / 50)  # not for luck: the moment of the kill is what is random
        process.kill()
        acks += process.stdout.readlines()
    last: dict[str, int] = {}
    for ack in acks:
        run_id, seq, number = ack.split()
        assert int(seq) == int(number) + 1
        last[run_id.decode()] = int(number)
    return last


async def test_no_acknowledged_event_is_lost_by_kill_9(tmp_path: Path) -> None:
    location, dice = tmp_path / "store.db", random.Random(2)
    store = await open_store(str(location))
    for run_id in RUNS:
        await store.create(a_run(run_id, status="running"))
    await store.close()
    for _ in range(KILLS):
        acknowledged = await asyncio.to_thread(acknowledged_before_a_kill, location, dice)
        store = await open_store(str(location))
        for run_id in RUNS:
            await check_whole(store, run_id, acknowledged.get(run_id, 0))
        await store.close()


async def check_whole(store: Store, run_id: str, acknowledged: int) -> None:
    events = (await events_of(store, run_log(run_id)))[1:]
    numbers = [int(event.data["text"]) for event in events]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [event.seq for event in events] == [number + 1 for number in numbers]
    assert len(numbers) >= acknowledged
    assert (await store.checkpoint(run_id)).offset == len(numbers)
    assert (await store.head(run_log(run_id))).last == len(numbers) + 1
    await check_talk(store, run_id, numbers)


async def check_talk(store: Store, run_id: str, numbers: list[int]) -> None:
    asked = [number for number in numbers if asks(number)]
    run = await store.get(run_id)
    approvals, pieces = await store.approvals(run_id), await store.stdin(run_id)
    assert [approval.id for approval in approvals] == [f"q{number // 3}" for number in asked]
    pending = [approval.state for approval in approvals].count("pending")
    assert run.pending_approvals == pending == sum(map(asks, numbers[-1:]))
    assert b"".join(piece.data for piece in pieces) == "".join(map(str, asked)).encode()
    assert run.stdin_bytes == sum(len(piece.data) for piece in pieces)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.needs("root")
async def test_full_disk_refuses_whole_groups_until_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000))
    store = await open_store(str(small_disk / "store.db"))
    heard: list[int] = []
    store.listen(lambda batches: heard.extend(batch.first_seq for batch in batches))
    appended = await append_until_refused(store)
    calls = (store.append(MESSAGES, [say("y" * 100_000)]) for _ in range(9))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [getattr(answer, "code", None) for answer in answers] == ["storage"] * 9
    assert (await store.head(MESSAGES)).last == appended
    ballast.unlink()
    assert (await store.append(MESSAGES, [say("again")])).first == appended + 1
    assert heard == list(range(1, appended + 2))
    await store.close()
    await check_reopened(small_disk / "store.db", appended + 1)


async def append_until_refused(store: Store) -> int:
    for appended in range(100):
        try:
            await store.append(MESSAGES, [say("x" * 20_000)])
        except Unavailable:
            return appended
    raise AssertionError("the disk never became full")


async def check_reopened(location: Path, count: int) -> None:
    store = await open_store(str(location))
    seqs = [event.seq for event in await events_of(store, MESSAGES)]
    assert seqs == list(range(1, count + 1))
    await store.close()


def rows(location: Path, table: str) -> int:
    connection = apsw.Connection(str(location))
    found: int = connection.execute(f"SELECT count(*) FROM {table}").get
    connection.close()
    return found


async def eventually_empty(location: Path, table: str) -> None:
    async with asyncio.timeout(10):
        while await asyncio.to_thread(rows, location, table):
            await asyncio.sleep(0.01)


async def test_removal_that_a_crash_cut_off_goes_on_at_the_next_open(tmp_path: Path) -> None:
    location = tmp_path / "store.db"
    store = await open_store(str(location))
    await store.create(a_run())
    await store.create(a_run("other"), [say("kept")])
    calls = (store.append(run_log("r"), [say("x")]) for _ in range(5_000))
    await asyncio.gather(*calls)
    await store.close()
    with child("delete", location) as process:
        assert await asyncio.to_thread(process.wait, 10) == -9
    assert rows(location, "removals") == 1
    assert rows(location, "batches") > 1_000
    store = await open_store(str(location))
    assert [run.id for run in await store.runs(RunFilter(), 9)] == ["other"]
    assert await store.read(run_log("r"), 0, PLENTY) == []
    assert {batch.log for batch in await store.read_all(0, PLENTY)} == {run_log("other")}
    await eventually_empty(location, "removals")
    assert rows(location, "batches") == 5  # two of `other`, three of `lifecycle`
    await store.close()


async def test_writers_are_served_while_much_is_being_removed(tmp_path: Path) -> None:
    location = tmp_path / "store.db"
    store = await open_store(str(location))
    await store.create(a_run())
    await asyncio.gather(*(store.append(run_log("r"), [say("x")]) for _ in range(5_000)))
    await store.delete(["r"], 9_000)
    while rows(location, "removals"):
        await store.append(MESSAGES, [say("m")])
    seqs = [event.seq for event in await events_of(store, MESSAGES)]
    assert len(seqs) > 10
    assert seqs == list(range(1, len(seqs) + 1))
    await store.close()
