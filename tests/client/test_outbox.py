"""Outboxes against a real server: nothing is sent before its time, then all of it, in order."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import httpx2
import pytest

from runcast.client import drafts
from runcast.client.errors import NoServer
from runcast.client.kept import Kept
from runcast.client.outbox import Outbox
from runcast.client.sync import Client
from runcast.client.workspaces import workspace_id
from tests.client.arrived import previews, told
from tests.support.server import Server, free_port


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


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
