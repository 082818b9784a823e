"""A server that the tests of a file share: those that leave it as they found it."""

from collections.abc import Iterator

import pytest

from tests.support.server import Server


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests of one file; to use it, the file makes it its `server`."""
    server = Server(tmp_path_factory.mktemp("shared") / "data", {"RUNCAST__RUNS__GRACE_S": "1"})
    server.start()
    yield server
    server.close()
