"""The folders of workspaces, which a server looks up once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runcast.core.errors import BadRequest
from runcast.runtime import workspaces as module
from runcast.runtime.workspaces import Workspaces
from runcast.stores import Store, open_store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite:{tmp_path / 'runcast.db'}")
    yield store
    await store.close()


async def test_a_workspace_is_known_as_soon_as_it_is_added(store: Store) -> None:
    workspaces = Workspaces(store, "/home")
    assert await workspaces.folder("default") == "/home"
    with pytest.raises(BadRequest, match="projectId: there is no workspace 'a'"):
        await workspaces.folder("a", "projectId")
    await workspaces.put("a", "A", "/srv/a")
    assert await workspaces.folder("a") == "/srv/a"
    await workspaces.put("a", "renamed", "/srv/a")
    assert await workspaces.folder("a") == "/srv/a"


async def test_what_was_looked_up_once_needs_no_store(store: Store) -> None:
    workspaces = Workspaces(store, "/home")
    await workspaces.put("a", "A", "/srv/a")
    await workspaces.folder("a")
    await store.close()
    assert await workspaces.folder("a") == "/srv/a"


async def test_many_workspaces_are_found_although_few_are_remembered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KNOWN", 2)
    workspaces = Workspaces(store, "/home")
    for name in "abcde":
        await workspaces.put(name, name, f"/srv/{name}")
    for _ in range(2):
        for name in "abcde":
            assert await workspaces.folder(name) == f"/srv/{name}"
