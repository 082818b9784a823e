"""Interaction: what is said to a run that is gone by the time that it is kept."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runcast.core.errors import NotFound
from runcast.core.runs import Run
from runcast.runtime.interaction import Said, send
from runcast.spool.folder import RunFolder
from runcast.stores import Store, open_store


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = await open_store("memory:")
    yield store
    await store.close()


async def test_a_long_input_for_a_run_that_was_removed_meanwhile_leaves_no_folder(
    store: Store, tmp_path: Path
) -> None:
    known = await store.create(
        Run(id="r", key="k", task_id="r", created_at=1, status="running", stdin="pipe")
    )
    folder = RunFolder.create(tmp_path, "k", {}, {})
    await store.transition("r", "completed", 2)
    await store.delete(["r"], 3)
    folder.remove()

    with pytest.raises(NotFound):
        await send(store, folder, known, Said("x" * 200_000))

    assert list(tmp_path.iterdir()) == []
