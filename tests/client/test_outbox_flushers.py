"""Outboxes that are flushed in the background, by a thread or a task, and those of coroutines."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from runcast.client.aio import AsyncClient
from runcast.client.errors import NoServer
from runcast.client.outbox import AsyncOutbox, Outbox
from runcast.client.queue_file import OutboxDamaged
from runcast.client.sync import Client
from tests.client.arrived import told
from tests.support.server import Server, free_port
from tests.support.waiting import until


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


def test_a_flusher_sends_at_once_what_is_kept_and_goes_on_when_the_server_is_back(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server()
    with Client(server.url, workspace=tmp_path) as caller, server.client() as client:
        outbox = Outbox(caller, tmp_path / "outbox.db")
        with outbox.keep_flushing() as flusher:
            process_id = outbox.submit("while it is there")
            until(lambda: not outbox.waiting(), "the item to be sent")
            server.kill9()
            for number in range(3):
                outbox.emit_output(process_id, f"{number}\n")
            until(lambda: flusher.problem, "the flusher to notice")
            assert isinstance(flusher.problem, NoServer)
            assert outbox.waiting() == 3
            server.start()
            until(lambda: not outbox.waiting(), "the items to be sent", timeout=30)
            until(lambda: flusher.problem is None, "all to be well")
        outbox.emit_output(process_id, "after it was stopped")
        assert told(client, process_id) == ["running", "0\n", "1\n", "2\n"]
        assert outbox.waiting() == 1


def test_a_flusher_sends_what_other_processes_keep(outbox: Outbox, tmp_path: Path) -> None:
    with outbox.keep_flushing():
        until(lambda: not outbox.waiting(), "quiet")
        with Client(outbox._client.base_url) as other:
            Outbox(other, tmp_path / "outbox.db").submit("from elsewhere")
        until(lambda: not outbox.waiting(), "the item to be sent")


def test_a_flusher_stops_between_two_items(outbox: Outbox) -> None:
    process_id = outbox.submit("long")
    for number in range(60):
        outbox.emit_output(process_id, f"{number}\n")
    flusher = outbox.keep_flushing()
    until(lambda: outbox.waiting() < 60, "some to be sent")
    flusher.close()
    left = outbox.waiting()
    assert 0 < left < 60
    assert outbox.flush() == left


async def becomes(condition: Callable[[], object], what: str) -> None:
    """Wait in a thread, so that the tasks go on."""
    await asyncio.to_thread(until, condition, what)


async def emptied(outbox: AsyncOutbox) -> None:
    async with asyncio.timeout(10):
        while await outbox.waiting():
            await asyncio.sleep(0.01)


async def test_coroutines_keep_and_flush_alike(
    server: Server, client: httpx2.Client, folder: Path, tmp_path: Path
) -> None:
    async with AsyncClient(server.url, workspace=folder) as caller:
        outbox = AsyncOutbox(caller, tmp_path / "outbox.db")
        process_id = await outbox.submit("awaited")
        await outbox.emit_output(process_id, "said\n")
        await outbox.update(process_id, status="queued")
        await outbox.update(process_id, status="failed")
        await outbox.post_message("over", run_id=process_id)
        await outbox.remove("never-was")
        assert await outbox.waiting() == 6
        assert await outbox.flush() == 5
        assert await outbox.flush() == 0
        [refused] = await outbox.items()
        assert refused.said.endswith("(bad_transition)")
        assert await outbox.retry(refused.number) == 1
        assert await outbox.drop(refused.number) == 1
    assert told(client, process_id) == ["running", "said\n", "failed"]


async def test_a_task_flushes_by_itself_until_it_is_stopped(
    server: Server, client: httpx2.Client, tmp_path: Path
) -> None:
    async with AsyncClient(server.url) as caller:
        outbox = AsyncOutbox(caller, tmp_path / "outbox.db")
        async with outbox.keep_flushing() as flusher:
            process_id = await outbox.submit("awaited")
            await emptied(outbox)
            assert flusher.problem is None
        await outbox.emit_output(process_id, "later")
        assert await outbox.waiting() == 1
    assert told(client, process_id) == ["running"]


async def test_a_task_fails_quietly_and_says_why(tmp_path: Path) -> None:
    async with AsyncClient(f"http://127.0.0.1:{free_port()}") as caller:
        outbox = AsyncOutbox(caller, tmp_path / "outbox.db")
        await outbox.submit("kept")
        with pytest.raises(NoServer):
            await outbox.flush()
        async with outbox.keep_flushing() as flusher:
            await becomes(lambda: flusher.problem is not None, "the task to fail")
        assert isinstance(flusher.problem, NoServer)
        assert await outbox.waiting() == 1


async def test_a_damaged_file_is_renewed_when_asked(tmp_path: Path) -> None:
    async with AsyncClient(f"http://127.0.0.1:{free_port()}") as caller:
        outbox = AsyncOutbox(caller, tmp_path / "outbox.db")
        await outbox.submit("kept")
        with (tmp_path / "outbox.db").open("r+b") as file:
            file.truncate(5000)
        with pytest.raises(OutboxDamaged) as caught:
            await outbox.flush()
        assert await outbox.renew() == caught.value.aside
        assert await outbox.waiting() == 0
