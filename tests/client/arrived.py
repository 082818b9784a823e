"""What a server got of what an outbox had kept."""

from pathlib import Path
from typing import Any

import httpx2

from runcast.client.workspaces import workspace_id
from tests.support.runs import events


def previews(client: httpx2.Client, folder: Path) -> list[str]:
    """Return what was submitted in a workspace, oldest first."""
    where = {"workspace": workspace_id(folder)}
    found = client.get("/api/processes", params=where).json()["processes"]
    return [process["promptPreview"] for process in reversed(found)]


def told(client: httpx2.Client, process_id: str) -> list[Any]:
    """Return what the log of a process says of its client's reports, in order."""
    shown = {"output": "text", "status": "status"}
    return [event["data"][shown[event["type"]]] for event in events(client, process_id)]
