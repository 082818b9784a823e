"""Workspaces in the database."""

from typing import Any

import apsw

from runcast.core.workspaces import Workspace
from runcast.stores import rules
from runcast.stores.sqlite import queries
from runcast.stores.sqlite.ledger import Ledger


def put(ledger: Ledger, workspace: Workspace, time: int) -> Workspace:
    """Add a workspace, or change the name and color of one."""
    rows = ledger.query(queries.WORKSPACE, workspace.id)
    kept = rules.put(_workspace(rows[0]) if rows else None, workspace, time)
    values = (kept.id, kept.name, kept.root_path, kept.color, kept.created_at)
    ledger.query(queries.SAVE_WORKSPACE, *values)
    return kept


def workspaces(connection: apsw.Connection) -> list[Workspace]:
    """Return all workspaces in the order in which they were added."""
    return [_workspace(row) for row in connection.execute(queries.WORKSPACES).fetchall()]


def workspace(connection: apsw.Connection, workspace_id: str) -> Workspace | None:
    """Return a workspace, None if there is none."""
    rows = connection.execute(queries.WORKSPACE, (workspace_id,)).fetchall()
    return _workspace(rows[0]) if rows else None


def _workspace(row: Any) -> Workspace:
    workspace_id, name, root_path, color, created_at = row
    return Workspace(
        id=workspace_id, name=name, root_path=root_path, color=color, created_at=created_at
    )
