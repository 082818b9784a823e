"""An outbox on a full disk: it says so, keeps what it has, and sends nothing twice."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from runcast.client.outbox import Outbox
from runcast.client.queue_file import OutboxError
from runcast.client.sync import Client
from tests.support.runs import events
from tests.support.server import Server

pytestmark = pytest.mark.needs("root")


@pytest.fixture(scope="module")
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Leave not a byte on the disk until the block is left."""
    filler = disk / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}"], check=False, capture_output=True)
    try:
        yield
    finally:
        filler.unlink()


def test_a_full_disk_keeps_nothing_more_and_loses_nothing(
    disk: Path, server: Server, client: httpx2.Client
) -> None:
    with Client(server.url) as caller:
        outbox = Outbox(caller, disk / "state" / "outbox.db")
        process_id = outbox.submit("on a full disk")
        texts = [f"{number}\n" for number in range(5)]
        for text in texts:
            outbox.emit_output(process_id, text)
        with filled(disk):
            for _ in range(3):
                with pytest.raises(OutboxError, match="it is as it was before") as caught:
                    outbox.emit_output(process_id, "no room\n" * 1000)
                assert caught.value.code == "outbox_storage"
            assert [item.state for item in outbox.items()] == ["waiting"] * 6
            # What arrives cannot be noted, so it goes out again, under its key.
            for _ in range(3):
                with pytest.raises(OutboxError):
                    outbox.flush()
        assert outbox.flush() == 6
        outbox.emit_output(process_id, "room again\n")
        assert outbox.flush() == 1
    said = [event["data"].get("text") for event in events(client, process_id)]
    assert said == [None, *texts, "room again\n"]


def test_an_outbox_cannot_be_begun_on_a_full_disk_but_afterwards(disk: Path) -> None:
    with Client("http://127.0.0.1:9") as caller:
        outbox = Outbox(caller, disk / "state" / "outbox.db")
        with filled(disk):
            for _ in range(2):
                with pytest.raises(OutboxError, match="cannot be used") as caught:
                    outbox.submit("no room")
                assert caught.value.code == "outbox_storage"
        outbox.submit("room again")
        assert outbox.waiting() == 1
