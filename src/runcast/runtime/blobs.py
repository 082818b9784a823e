"""Keeping blobs: what was cut from events is on disk before the events are committed."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from runcast.core.errors import Unavailable
from runcast.core.events import Entry
from runcast.runtime.spill import Blobs, spill
from runcast.spool.folder import RunFolder


async def spilled(folder: Path, drafts: Sequence[Entry]) -> list[Entry]:
    """Return the drafts with short texts; what was cut is kept in the run's folder by then.

    It is a run that nobody executes. Raises Unavailable `storage` if that cannot be kept.
    """
    entries, blobs = spill(drafts)
    if blobs:
        await keep_blobs(folder, blobs)
    return entries


async def spilled_beside(folder: RunFolder, drafts: Sequence[Entry]) -> list[Entry]:
    """Return the drafts with short texts; what was cut is kept beside the run's spool by then.

    If the run was removed meanwhile, nothing is kept: appending to it is refused in any case.
    Raises Unavailable `storage` if that cannot be kept.
    """
    entries, blobs = spill(drafts)
    if blobs:
        with _refusing(), suppress(FileNotFoundError):
            await asyncio.to_thread(folder.keep_blobs, blobs)
    return entries


async def keep_blobs(folder: Path, blobs: Blobs) -> None:
    """Keep blobs of a run that nobody executes, in a folder that may have to be made first.

    They are on disk when this returns. Raises Unavailable `storage` if they cannot be kept.
    """
    with _refusing():
        await asyncio.to_thread(_keep, folder, blobs)


def _keep(folder: Path, blobs: Blobs) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    RunFolder(folder).keep_blobs(blobs)


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable("storage", f"cannot keep a blob: {error.strerror}") from error
