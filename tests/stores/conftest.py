"""A store of each engine; whatever takes the fixture is part of the contract."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runcast.stores import Store, open_store

# Name of an engine -> the URL of a new store of it, in a folder.
ENGINES = {
    "memory": "memory:",
    "sqlite": "sqlite:{folder}/store.db",
}


@pytest.fixture(params=ENGINES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(ENGINES[request.param].format(folder=tmp_path))
    yield opened
    await opened.close()
