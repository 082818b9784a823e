"""Outboxes against a real server: nothing is sent before its time, then all of it, in order."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest

from runcast.client import drafts
from runcast.client.aio import AsyncClient
from runcast.client.errors import BadRequest, NoServer
from runcast.client.kept import Kept
from runcast.client.outbox import AsyncOutbox, Outbox
from runcast.client.queue_file import OutboxDamaged, OutboxError, OutboxFull
from runcast.client.sync import Client
from runcast.client.workspaces import workspace_id
from tests.support.runs import events
from tests.support.server import Server, free_port
from tests.support.waiting import until

NAIVE = datetime(2026, 1, 2)
BROKEN = os.fsdecode(b"caf\xe9")  # as what is no UTF-8 looks in Python


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The workspace of the program that has the outbox."""
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture
def caller(server: Server, folder: Path) -> Iterator[Client]:
    with Client(server.url, workspace=folder) as opened:
        yield opened


@pytest.fixture
def outbox(caller: Client, tmp_path: Path) -> Outbox:
    return Outbox(caller, tmp_path / "outbox.db")


class Knocks:
    """Listens where no server is, as long as a block lasts, and counts who comes."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self._socket.settimeout(0)

    def count(self) -> int:
        """Count the connections that were made since the last time."""
        count = 0
        while True:
            try:
                self._socket.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()


def previews(client: httpx2.Client, folder: Path) -> list[str]:
    """Return what was submitted in a workspace, oldest first."""
    where = {"workspace": workspace_id(folder)}
    found = client.get("/api/processes", params=where).json()["processes"]
    return [process["promptPreview"] for process in reversed(found)]


def told(client: httpx2.Client, process_id: str) -> list[Any]:
    """Return what the log of a process says of its client's reports, in order."""
    shown = {"output": "text", "status": "status"}
    return [event["data"][shown[event["type"]]] for event in events(client, process_id)]


def test_three_submissions_are_kept_without_a_request_and_then_sent_in_order(
    folder: Path, tmp_path: Path
) -> None:
    server = Server(tmp_path / "data")
    address = f"http://127.0.0.1:{server.port}"
    with Client(address, workspace=folder) as client, Knocks(server.port) as knocks:
        outbox = Outbox(client, tmp_path / "outbox.db")
        for number in range(3):
            outbox.submit(f"offline {number}")
        assert outbox.waiting() == 3
        assert knocks.count() == 0
        # The listener does count: this is how a request would have been noticed.
        socket.create_connection(("127.0.0.1", server.port)).close()
        assert knocks.count() == 1
    try:
        server.start()
        with Client(address, workspace=folder) as back, server.client() as client:
            outbox = Outbox(back, tmp_path / "outbox.db")
            assert outbox.flush() == 3
            assert (outbox.waiting(), outbox.items()) == (0, [])
            assert outbox.flush() == 0
            assert previews(client, folder) == ["offline 0", "offline 1", "offline 2"]
    finally:
        server.close()


def test_everything_said_of_a_process_while_away_arrives_as_it_was_said(
    outbox: Outbox, client: httpx2.Client, folder: Path
) -> None:
    process_id = outbox.submit("Fix the tests", type="agent", full_prompt="Fix all the tests")
    outbox.emit_output(process_id, "looking\n")
    outbox.emit_output(process_id, "fixed\n")
    outbox.post_message("have a look", run_id=process_id)
    outbox.update(process_id, status="completed", result="all green")
    gone = outbox.submit("Try it")
    outbox.remove(gone)
    assert outbox.flush() == 7
    process = client.get(f"/api/processes/{process_id}").json()["process"]
    assert (process["result"], process["fullPrompt"]) == ("all green", "Fix all the tests")
    assert (process["type"], process["workspaceId"]) == ("agent", workspace_id(folder))
    assert told(client, process_id) == ["running", "looking\n", "fixed\n", "completed"]
    assert client.get(f"/api/processes/{gone}").status_code == 404
    [message] = client.get("/api/v1/messages", params={"run_id": process_id}).json()["messages"]
    assert (message["body"], message["project_id"]) == ("have a look", workspace_id(folder))


def test_the_server_is_told_of_the_workspace_once_before_the_first_item(
    outbox: Outbox, client: httpx2.Client, folder: Path
) -> None:
    for name in ("first", "second"):
        outbox.submit(name)
        assert outbox.flush() == 1
    [known] = [
        one
        for one in client.get("/api/workspaces").json()["workspaces"]
        if one["id"] == workspace_id(folder)
    ]
    assert (known["name"], known["rootPath"]) == ("project", str(folder))
    assert previews(client, folder) == ["first", "second"]


def test_another_process_can_send_what_one_has_kept(
    outbox: Outbox, client: httpx2.Client, server: Server, folder: Path, tmp_path: Path
) -> None:
    program = (
        "import sys; from runcast.client import Client, Outbox\n"
        "with Client(sys.argv[1], workspace=sys.argv[2]) as client:\n"
        "    print(Outbox(client, sys.argv[3]).submit('kept elsewhere'))"
    )
    arguments = [server.url, str(folder), str(tmp_path / "outbox.db")]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    # Not in the workspace itself: what is needed of it was kept, too.
    with Client(server.url) as other:
        assert Outbox(other, tmp_path / "outbox.db").flush() == 1
    process = client.get(f"/api/processes/{done.stdout.strip()}").json()["process"]
    assert process["workspaceId"] == workspace_id(folder)


def test_two_that_flush_the_same_file_send_each_item_once(
    outbox: Outbox, caller: Client, client: httpx2.Client, folder: Path, tmp_path: Path
) -> None:
    process_id = outbox.submit("busy")
    for number in range(40):
        outbox.emit_output(process_id, f"{number}\n")
    sent: list[int] = []

    def flush() -> None:
        sent.append(Outbox(caller, tmp_path / "outbox.db").flush())

    threads = [threading.Thread(target=flush) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sent) == 41
    assert told(client, process_id) == ["running", *(f"{number}\n" for number in range(40))]


def test_what_is_refused_is_set_aside_in_the_servers_words_and_the_rest_arrives(
    outbox: Outbox, client: httpx2.Client
) -> None:
    refused = outbox.submit("nobody", workspace_id="nowhere")
    outbox.emit_output(refused, "of nobody")
    fine = outbox.submit("somebody")
    outbox.update(fine, status="completed")
    outbox.emit_output(fine, "too late")
    outbox.update(fine, result="done")
    assert outbox.flush() == 3
    assert [(item.kind, item.process, item.state) for item in outbox.items()] == [
        ("submit", refused, "refused"),
        ("output", refused, "refused"),
        ("output", fine, "refused"),
    ]
    said = [item.said for item in outbox.items()]
    assert "there is no workspace 'nowhere'" in said[0]
    assert said[1].endswith("(not_found); the submit of its process, item 1, was set aside")
    assert said[2].endswith("(log_sealed)")
    assert client.get(f"/api/processes/{fine}").json()["process"]["result"] == "done"
    assert outbox.flush() == 0
    assert outbox.retry(1) == 2
    assert (outbox.flush(), [item.state for item in outbox.items()]) == (0, ["refused"] * 3)
    assert outbox.drop_alone(1) == 1
    assert outbox.drop(2, 5) == 2


def test_what_is_said_of_a_process_that_the_server_knows_arrives_whoever_submitted_it(
    outbox: Outbox, client: httpx2.Client
) -> None:
    for text in ("first\n", "second\n"):
        outbox.submit("Build it", id="build-1")
        outbox.emit_output("build-1", text)
    outbox.update("build-1", status="completed")
    assert outbox.flush() == 4
    [submit] = outbox.items()
    assert (submit.kind, submit.number) == ("submit", 3)
    assert submit.said.endswith("(id_taken)")
    assert told(client, "build-1") == ["running", "first\n", "second\n", "completed"]
    outbox.update("build-1", result="later")
    assert outbox.flush() == 1
    assert (outbox.drop(3), outbox.items()) == (1, [])


def test_a_workspace_that_the_server_has_lost_is_made_known_again(
    make_server: Callable[..., Server], folder: Path, tmp_path: Path
) -> None:
    server = make_server()
    with Client(server.url, workspace=folder) as caller, server.client() as client:
        outbox = Outbox(caller, tmp_path / "outbox.db")
        outbox.submit("before")
        assert outbox.flush() == 1
        server.terminate()
        server.data_dir.rename(tmp_path / "lost")
        server.start()
        process_id = outbox.submit("after")
        outbox.emit_output(process_id, "said\n")
        assert outbox.flush() == 2
        assert outbox.items() == []
        assert previews(client, folder) == ["after"]


def test_a_workspace_keeps_the_name_that_a_person_gave_it(
    outbox: Outbox, client: httpx2.Client, folder: Path
) -> None:
    outbox.submit("first")
    outbox.flush()
    named = {"id": workspace_id(folder), "name": "Ours", "rootPath": str(folder), "color": "red"}
    client.post("/api/workspaces", json=named)
    outbox.submit("second")
    assert outbox.flush() == 1
    assert named in client.get("/api/workspaces").json()["workspaces"]


def test_removing_what_is_not_there_is_well(outbox: Outbox) -> None:
    outbox.remove("never-was")
    assert outbox.flush() == 1
    assert outbox.items() == []


def test_a_full_outbox_says_so_and_keeps_what_it_has(caller: Client, tmp_path: Path) -> None:
    outbox = Outbox(caller, tmp_path / "outbox.db", max_items=1)
    outbox.submit("kept")
    with pytest.raises(OutboxFull, match="runcast outbox"):
        outbox.submit("one too many")
    assert outbox.flush() == 1


def test_what_is_more_than_a_server_takes_is_not_kept(outbox: Outbox) -> None:
    with pytest.raises(OutboxError, match="nothing was kept") as caught:
        outbox.emit_output("p", "x" * 2_000_000)
    assert caught.value.code == "body_too_large"
    with pytest.raises(TypeError):
        outbox.update("p", result=object())
    assert outbox.waiting() == 0


UNTAKEABLE: dict[str, Callable[[Outbox], object]] = {
    "submit: id must": lambda outbox: outbox.submit("x", id="a/b"),
    "submit: status must be one of": lambda outbox: outbox.submit("x", status="done"),
    "submit: start_time needs a time zone": lambda outbox: outbox.submit("x", start_time=NAIVE),
    "submit: end_time needs a time zone": lambda outbox: outbox.submit("x", end_time=NAIVE),
    "submit: workspace_id must": lambda outbox: outbox.submit("x", workspace_id=""),
    "submit: metadata has 70": lambda outbox: outbox.submit("x", metadata={"a": "x" * 70_000}),
    "update: status must": lambda outbox: outbox.update("p", status="done"),
    "update: metadata .* surrogates": lambda outbox: outbox.update("p", metadata={"a": BROKEN}),
    "'..': id must": lambda outbox: outbox.remove(".."),
    "'': id must": lambda outbox: outbox.emit_output("", "x"),
    "must be UTF-8 text": lambda outbox: outbox.emit_output("p", BROKEN),
    "message: body is empty": lambda outbox: outbox.post_message(""),
    "message: body has 70000 bytes": lambda outbox: outbox.post_message("x" * 70_000),
    "message: run_id must": lambda outbox: outbox.post_message("x", run_id="a b"),
}


@pytest.mark.parametrize(("said", "keep"), UNTAKEABLE.items(), ids=UNTAKEABLE.keys())
def test_what_no_server_takes_is_not_kept(
    outbox: Outbox, said: str, keep: Callable[[Outbox], object]
) -> None:
    with pytest.raises(BadRequest, match=said):
        keep(outbox)
    assert outbox.items() == []


def test_a_folder_whose_name_is_no_text_can_be_a_workspace(server: Server, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    with Client(server.url, workspace=folder) as caller:
        outbox = Outbox(caller, tmp_path / "outbox.db")
        outbox.submit("here")
        assert outbox.flush() == 1


def test_items_wait_for_days_and_are_sent_as_long_as_none_was_tried(
    server: Server, tmp_path: Path
) -> None:
    now = [time.time() - 25 * 3600]
    kept = Kept(server.url, None, tmp_path / "outbox.db", {}, clock=lambda: now[0])
    process_id = kept.keep(drafts.submit("kept on a train"))
    kept.keep(drafts.emit_output(process_id, "said\n"))
    now[0] = time.time()
    with Client(server.url) as caller:
        assert Outbox(caller, tmp_path / "outbox.db").flush() == 2


def test_what_nobody_was_there_to_hear_does_not_count_as_tried(tmp_path: Path) -> None:
    with Client(f"http://127.0.0.1:{free_port()}") as caller:
        outbox = Outbox(caller, tmp_path / "outbox.db")
        outbox.submit("x")
        with pytest.raises(NoServer):
            outbox.flush()
        assert outbox.items()[0].tried_at is None


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
