"""A server on a real socket, whose runs are external: their logs are the tests' own."""

from collections.abc import AsyncIterator

import pytest

from runcast.config import Api, Settings, Sse, Testing, Ws
from runcast.runtime.runtime import Runtime


@pytest.fixture
def settings(data_dir) -> Settings:
    api = Api(sse=Sse(max_clients_per_run=3), ws=Ws(throttle_ms=20))
    return Settings(data_dir=str(data_dir), api=api, testing=Testing(echo=True))


@pytest.fixture
async def runtime(settings) -> AsyncIterator[Runtime]:
    runtime = await Runtime.open(settings)
    yield runtime
    await runtime.close()
