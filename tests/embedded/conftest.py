"""A server inside the process of the tests, and a client of it."""

from collections.abc import Iterator

import httpx2
import pytest

from runcast import Server, create_server


@pytest.fixture
def server() -> Iterator[Server]:
    with create_server(0) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=10) as client:
        yield client
