"""Keeping blobs: what was cut from events is on disk before the events are committed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from runcast.core.errors import Unavailable
from runcast.core.events import Entry
from runcast.runtime.spill import Blobs, spill
from runcast.spool.folder import RunFolder


async def spilled(folder: Path, drafts: Sequence[Entry]) -> list[Entry]:
    """Return the drafts with short texts; what was cut is kept in the run's folder by then.

    Raises Unavailable `storage` if it cannot be.
    """
    entries, blobs = spill(drafts)
    if blobs:
        await keep_blobs(folder, blobs)
    return entries


async def keep_blobs(folder: Path, blobs: Blobs) -> None:
    """Keep blobs in the folder of a run, on disk when this returns; raise Unavailable `storage`."""
    try:
        await asyncio.to_thread(_keep, folder, blobs)
    except OSError as error:
        raise Unavailable("storage", f"cannot keep a blob: {error.strerror}") from error


def _keep(folder: Path, blobs: Blobs) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)  # a run that nobody executes has none until now
    RunFolder(folder).keep_blobs(blobs)
