"""Workspaces: the folders that runs belong to."""

import asyncio
import os
from pathlib import Path

from runcast.core.errors import BadRequest, Conflict, NotFound
from runcast.core.ids import check_id
from runcast.core.once import Once
from runcast.core.workspaces import Workspace, derived_id
from runcast.runtime.clock import now
from runcast.stores import Store

DEFAULT = "default"
KNOWN = 10_000  # of so many the folders are remembered


class Workspaces:
    """The workspaces of a store, and `default`, which is there from the beginning."""

    def __init__(self, store: Store, root_path: str) -> None:
        self._store = store
        self._default = Workspace(id=DEFAULT, name=DEFAULT, root_path=root_path)
        self._folders: dict[str, str] = {}

    async def list(self) -> list[Workspace]:
        """Return all workspaces, `default` first, the others as they were added."""
        kept = await self._store.workspaces()
        given = next((one for one in kept if one.id == DEFAULT), self._default)
        return [given, *(one for one in kept if one.id != DEFAULT)]

    async def get(self, workspace_id: str) -> Workspace:
        """Return a workspace; raise NotFound."""
        try:
            return await self._store.workspace(workspace_id)
        except NotFound:
            if workspace_id == DEFAULT:
                return self._default
            raise

    async def folder(self, workspace_id: str, field: str = "workspace_id") -> str:
        """Return the folder of the workspace that a request names.

        It stays what it is, so the store is asked once for each. Raises BadRequest
        `unknown_workspace` that names the field.
        """
        folder = self._folders.get(workspace_id)
        if folder is None:
            folder = await self._look_up(workspace_id, field)
            if len(self._folders) >= KNOWN:
                self._folders.clear()
            self._folders[workspace_id] = folder
        return folder

    async def _look_up(self, workspace_id: str, field: str) -> str:
        try:
            return (await self.get(workspace_id)).root_path
        except NotFound:
            message = f"{field}: there is no workspace {workspace_id!r}"
            raise BadRequest("unknown_workspace", message, {"field": field}) from None

    async def put(
        self,
        workspace_id: str | None,
        name: str,
        root_path: str,
        color: str | None = None,
        once: Once | None = None,
    ) -> Workspace:
        """Add a workspace, or give one that has this id and folder its new name and color.

        The id is made from the folder's real path if none is given. Raises BadRequest, or
        Conflict `workspace_taken` if the id stands for another folder.
        """
        if not name.strip():
            raise BadRequest.of("name", "must not be empty")
        if not Path(root_path).is_absolute() or "\0" in root_path:
            raise BadRequest.of("rootPath", "must be an absolute path")
        if workspace_id is None:
            workspace_id = derived_id(await asyncio.to_thread(os.path.realpath, root_path))
        workspace_id = check_id(workspace_id)
        if workspace_id == DEFAULT and root_path != self._default.root_path:
            folder = self._default.root_path
            raise Conflict("workspace_taken", f"the workspace {DEFAULT} is that of {folder}")
        workspace = Workspace(id=workspace_id, name=name, root_path=root_path, color=color)
        return await self._store.put_workspace(workspace, now(), once=once)
