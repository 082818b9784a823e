"""A reporting client, or its server, is killed again and again: each report arrives once."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from runcast.client.errors import ClientError
from runcast.client.outbox import Outbox
from runcast.client.sync import Client
from tests.support.runs import CHILDREN, events
from tests.support.server import Server, clean_environment
from tests.support.waiting import until

KILLS = [5, pytest.param(20, marks=[pytest.mark.chaos, pytest.mark.timeout(600)])]
LONGEST_LIFE_S = 0.4
BACKLOG = 20  # what the client keeps before it sends anything


class Reporter:
    """A client as a process of its own, that keeps and sends until it is killed."""

    def __init__(self, url: str, file: Path, process_id: str) -> None:
        self.process_id = process_id
        self._printed = file.with_name(f"{process_id}.printed")
        command = [sys.executable, str(CHILDREN / "reporter.py"), url, str(file), process_id]
        with self._printed.open("wb") as printed:
            self._child = subprocess.Popen(command, stdout=printed, env=clean_environment())

    @property
    def kept(self) -> int:
        """How many reports it has said to be kept."""
        return self._printed.read_bytes().count(b"\n")

    def kill9(self) -> None:
        self._child.kill()
        self._child.wait()

    def check(self, client: httpx2.Client) -> int:
        """Compare what arrived with what was kept; return how many reports that were."""
        first, *said = events(client, self.process_id)
        assert (first["type"], first["data"]["status"]) == ("status", "running")
        assert [event["data"]["text"] for event in said] == [f"{n}\n" for n in range(len(said))]
        # The last one may have been kept without time left to say so.
        assert len(said) in (self.kept, self.kept + 1)
        return len(said)


@contextmanager
def reporting(server: Server, file: Path, process_id: str) -> Iterator[Reporter]:
    """Let a client report as long as the block lasts, and then kill it."""
    reporter = Reporter(server.url, file, process_id)
    try:
        until(lambda: reporter.kept >= BACKLOG, "the client to begin to send")
        yield reporter
    finally:
        reporter.kill9()


def drain(outbox: Outbox) -> None:
    outbox.flush()
    assert outbox.items() == []


@pytest.mark.parametrize("kills", KILLS)
def test_each_report_arrives_once_and_in_order_however_often_the_client_is_killed(
    server: Server, client: httpx2.Client, tmp_path: Path, kills: int
) -> None:
    file = tmp_path / "outbox.db"
    reporters = []
    for number in range(kills):
        # Each finds what those before it have left waiting.
        with reporting(server, file, f"reporter-{number}") as reporter:
            time.sleep(random.uniform(0, LONGEST_LIFE_S))
        reporters.append(reporter)
    with Client(server.url) as own:
        drain(Outbox(own, file))
    reports = sum(reporter.check(client) for reporter in reporters)
    print(f"{kills} kills of the client, {reports} reports compared")


@pytest.mark.parametrize("kills", KILLS)
def test_each_report_arrives_once_and_in_order_however_often_the_server_is_killed(
    server: Server, client: httpx2.Client, tmp_path: Path, kills: int
) -> None:
    file = tmp_path / "outbox.db"
    with (
        Client(server.url) as own,
        reporting(server, file, "reporter-a") as first,
        reporting(server, file, "reporter-b") as second,
    ):
        outbox = Outbox(own, file)
        for _ in range(kills):
            before = arrived(client)
            until(lambda before=before: arrived(client) > before, "reports to arrive", 60)
            time.sleep(random.uniform(0, LONGEST_LIFE_S))
            server.kill9()
            with pytest.raises(ClientError):
                outbox.flush()
            server.start()
    with Client(server.url) as own:
        drain(Outbox(own, file))
    reports = first.check(client) + second.check(client)
    print(f"{kills} kills of the server, {reports} reports compared")


def arrived(client: httpx2.Client) -> int:
    runs = client.get("/api/v1/runs").json()["runs"]
    return sum(run["last_seq"] for run in runs)
