"""The workspace that a client works in: its id, and the call that makes it known."""

import os
from pathlib import PurePath
from typing import NamedTuple

from runcast.client import types
from runcast.client.call import Call
from runcast.client.calls import put_workspace
from runcast.core.workspaces import derived_id

AnyPath = str | os.PathLike[str]


class Place(NamedTuple):
    """A folder that a client works in."""

    id: str
    path: str

    def registration(self) -> Call[types.Workspace]:
        """Make the call after which the server knows the workspace."""
        return put_workspace(self.path, PurePath(self.path).name or self.path, id=self.id)


def place_of(path: AnyPath) -> Place:
    """Return the workspace of a folder, by whichever path it is reached."""
    real = os.path.realpath(path)
    return Place(derived_id(real), real)


def workspace_id(path: AnyPath) -> str:
    """Return the id of a folder's workspace: the same for the same folder, on every start."""
    return place_of(path).id
