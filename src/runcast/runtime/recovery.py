"""Recovery: what a stopped server left behind is taken up where it stands."""

import asyncio
import shutil
from pathlib import Path

import structlog

from runcast.runtime.queue import Queue
from runcast.spool.folder import RunFolder
from runcast.stores import RunFilter, Store

PAGE = 500

log = structlog.get_logger(__name__)


async def recover(store: Store, queue: Queue, folders: Path) -> None:
    """Remove folders of runs that were never committed, and see to every running run.

    An execution decides from the folder alone: a living runner is adopted, one that ended is
    finished, one that never started is started, one that vanished is lost. Queued runs need
    nothing: the queue finds them in the store.
    """
    keys = await store.keys()
    orphans = await asyncio.to_thread(_remove_orphans, folders, keys)
    if orphans:
        log.info("recovery.orphans_removed", count=orphans)
    before: int | None = None
    where = RunFilter(statuses={"running"}, source="run")
    while page := await store.runs(where, PAGE, before=before):
        for run in page:
            queue.adopt(run)
        before = page[-1].order


def _remove_orphans(folders: Path, keys: set[str]) -> int:
    removed = 0
    for folder in [folder for folder in folders.iterdir() if folder.name not in keys]:
        if RunFolder(folder).alive():
            log.warning("recovery.unknown_run_lives", folder=str(folder))
            continue
        shutil.rmtree(folder, ignore_errors=True)
        removed += 1
    return removed
