"""The registry: which run each watched source had last, as the store has them."""

import asyncio
from collections import Counter
from collections.abc import Mapping

import msgspec
import structlog

from runcast.config_watch import WatchEntry
from runcast.core.runs import Run, fixed_metadata
from runcast.runtime.watching.source import Watched, source_at
from runcast.stores import Checkpoint, RunFilter, Store

PAGE = 500

log = structlog.get_logger(__name__)

Place = tuple[str, str]  # an entry by its name, and a path below its root


async def load(store: Store, entries: Mapping[str, WatchEntry]) -> list[Watched]:
    """Return the sources of these entries that have a run, with the latest; raise Unavailable.

    The runs of entries that are not among them are read no more, which the server's own log tells.
    """
    latest = await _latest(store)
    running = Counter(name for (name, _), run in latest.items() if not run.ended)
    for name in sorted(running.keys() - entries.keys()):
        log.warning("watch.no_such_entry", entry=name, running=running[name])
    found = [(entries[name], path, run) for (name, path), run in latest.items() if name in entries]
    sources: list[Watched] = []
    for start in range(0, len(found), PAGE):
        page = found[start : start + PAGE]
        kept = await asyncio.gather(*[store.checkpoint(run.id) for _, _, run in page])
        sources += [_watched(*one, at) for one, at in zip(page, kept, strict=True)]
    return sources


async def _latest(store: Store) -> dict[Place, Run]:
    latest: dict[Place, Run] = {}
    before: int | None = None
    while page := await store.runs(RunFilter(source="watch"), PAGE, before=before):
        for run in page:
            place = fixed_metadata(run)
            latest.setdefault((place.get("watch", ""), place.get("path", "")), run)
        before = page[-1].order
    return latest


def _watched(entry: WatchEntry, path: str, run: Run, kept: Checkpoint) -> Watched:
    source = source_at(entry, path)
    try:
        return Watched(entry, source, run, kept)
    except msgspec.DecodeError:
        # Of a version that this one cannot read. To read it all again would double it.
        log.error("watch.unknown_checkpoint", run=run.id)
        closed = Watched(entry, source, run, Checkpoint())
        closed.close()
        return closed
