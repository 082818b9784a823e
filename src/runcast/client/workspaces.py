"""The workspace that a client works in: its id, and the call that makes it known."""

import os
from pathlib import PurePath
from typing import NamedTuple

from runcast.client import types
from runcast.client.call import Call, Steps
from runcast.client.calls import put_workspace, workspaces
from runcast.core.workspaces import derived_id

UNKNOWN = "unknown_workspace"  # what a server calls one that it was not told of

AnyPath = str | os.PathLike[str]


class Place(NamedTuple):
    """A folder that a client works in."""

    id: str
    path: str

    def registration(self) -> Call[types.Workspace]:
        """Make the call after which the server knows the workspace."""
        return put_workspace(self.path, PurePath(self.path).name or self.path, id=self.id)

    def introduction(self) -> Steps[None]:
        """Tell a server of the workspace, unless it knows it: by a name that a person may like."""
        known: list[types.Workspace] = yield workspaces()
        if (self.id, self.path) not in [(one.id, one.root_path) for one in known]:
            yield self.registration()


def place_of(path: AnyPath) -> Place:
    """Return the workspace of a folder, by whichever path it is reached.

    The id is that of the real path, byte for byte; in what the server is told of it, bytes that
    are no UTF-8 are replaced.
    """
    real = os.path.realpath(path)
    return Place(derived_id(real), os.fsencode(real).decode("utf-8", "replace"))


def workspace_id(path: AnyPath) -> str:
    """Return the id of a folder's workspace: the same for the same folder, on every start."""
    return place_of(path).id
