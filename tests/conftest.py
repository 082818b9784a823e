"""Fixtures that every test may use, and the check that no test leaves anything behind."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from tests.support import leaks, needs
from tests.support.server import Server


def pytest_configure(config: pytest.Config) -> None:
    leaks.mark_children()


def pytest_runtest_setup(item: pytest.Item) -> None:
    marks = item.iter_markers("needs")
    missing = needs.missing(tuple(name for mark in marks for name in mark.args))
    if missing and os.environ.get("CI") == "true":
        pytest.fail("; ".join(missing), pytrace=False)
    if missing:
        pytest.skip("; ".join(missing))


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    if pytest_asyncio.is_async_test(request.node):
        # First: what the test's event loop itself holds open is there from the beginning.
        request.getfixturevalue("no_task_left_behind")
    watch = leaks.Watch()
    yield
    watch.check()


@pytest.fixture
async def no_task_left_behind() -> AsyncIterator[None]:
    yield
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=2)
    assert not left, f"the test left tasks behind: {left}"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder that no server has used yet."""
    return tmp_path / "data"


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers: `make_server(RUNCAST__QUEUE__MAX_CONCURRENT_RUNS="4")`."""
    servers: list[Server] = []

    def make(data_dir: Path | None = None, **env: str) -> Server:
        server = Server(data_dir or tmp_path / f"data-{len(servers)}", env)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for the tests of a file that leave it as they found it.

    To use it, the file makes it its `server`; a test that ends it can't.
    """
    server = Server(tmp_path_factory.mktemp("shared") / "data", {"RUNCAST__RUNS__GRACE_S": "1"})
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def server(make_server: Callable[..., Server], data_dir: Path) -> Server:
    """A server with the default settings on `data_dir`."""
    return make_server(data_dir)


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    """A client of `server`; its addresses begin with the server's."""
    with server.client() as opened:
        yield opened
