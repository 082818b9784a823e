"""What the tests of the client share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast.client import backoff
from runcast.client.outbox import Outbox
from runcast.client.sync import Client
from tests.support.server import Server


@pytest.fixture(scope="module")
def quick_retries() -> Iterator[None]:
    """Let clients come back as soon as a server asks them to, however soon that is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backoff, "LEAST_S", 0.0)
        yield


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
