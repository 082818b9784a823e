"""Search: what runs have said, looked through from the newest event back, for a bounded time."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice

import msgspec

from runcast.core.events import Batch, Entry, Lines, text_of
from runcast.core.limits import MAX_POSITION, PAGE_BYTES
from runcast.core.runs import RunRef
from runcast.runtime.nearby import Nearby
from runcast.stores import ALL_RUNS, Selection, Store

SEARCHES = 2  # at a time: each keeps a reader of the store busy, which followers need as well
BUDGET_S = 2.0  # as long as somebody waits for an answer; the next search goes on from there
BUDGET_BYTES = 256 * 1024 * 1024
SHOWN_CHARS = 1_024  # of what a match says; most lines are shorter
NEARBY_CHARS = 512  # of each neighbour: 500 matches with 20 each are to fit an answer
# How many positions the store is asked to walk in one call, which may find nothing there: twice
# as many after a call that was quick, so that neither holes nor long logs take many calls.
LEAST_STRETCH = 20_000
LONGEST_STRETCH = 500_000
_QUICK_S = 0.02


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to search for, and where: `text` is literal and has no line end.

    `since` (µs) is the time of the oldest event that counts; only events at positions below
    `before` do. At most `limit` matches are found, with the texts of `context` events around each.
    """

    text: str
    where: Selection = ALL_RUNS
    since: int | None = None
    before: int | None = None
    limit: int
    context: int = 0


class Match(msgspec.Struct, kw_only=True):
    """An event that says what was searched for.

    `text` is what it says around that, and `cut` if it says more; `before` and `after` are what
    its neighbours in the log say, in order.
    """

    run: RunRef
    seq: int
    position: int
    time: int
    type: str
    stream: str | None
    text: str
    cut: bool
    before: list[str] = []
    after: list[str] = []


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The matches, newest first, and the position to go on before; None if that was all."""

    matches: list[Match]
    next_before: int | None
    scanned_bytes: int


class Searches:
    """Does the searches of a server, a few at a time; the others wait for their turn."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turns = asyncio.Semaphore(SEARCHES)

    async def find(self, wanted: Wanted) -> Found:
        """Look for matches from the newest event back, until a limit is reached.

        What is committed meanwhile is not seen. Cancelling stops behind the page under way.
        """
        async with self._turns:
            return await _Search(self._store, wanted).run()


class _Search:
    """One search: where it stands, and what it may still spend."""

    def __init__(self, store: Store, wanted: Wanted) -> None:
        self._store = store
        self._wanted = wanted
        self._nearby = Nearby(store, NEARBY_CHARS)
        self._matches: list[Match] = []
        self._scanned = 0
        self._stretch = LEAST_STRETCH
        self._deadline = time.monotonic() + BUDGET_S

    async def run(self) -> Found:
        before = (await self._store.positions()).head + 1
        if self._wanted.before is not None:
            before = min(before, self._wanted.before)
        while before > 1:
            before = await self._step(before)
            if self._spent:  # never before a step: whoever goes on must come further
                break
        return Found(
            matches=self._matches,
            next_before=before if before > 1 else None,
            scanned_bytes=self._scanned,
        )

    @property
    def _spent(self) -> bool:
        return (
            len(self._matches) >= self._wanted.limit
            or self._scanned >= BUDGET_BYTES
            or time.monotonic() >= self._deadline
        )

    async def _step(self, before: int) -> int:
        """Search one page; return the position to go on before."""
        after = max(before - 1 - self._stretch, 0)
        page = await self._read(before, after)
        if not page:
            return after + 1
        self._scanned += sum(len(batch.body) for batch in page)
        room = self._wanted.limit - len(self._matches)
        # In a thread: to look through a page takes longer than followers should wait.
        for match in await asyncio.to_thread(find_in, page, self._wanted, room):
            await self._add(match)
            if self._spent:
                return match.position
        return page[-1].first_position

    async def _read(self, before: int, after: int) -> list[Batch]:
        wanted, started = self._wanted, time.monotonic()
        page = await self._store.read_back(
            before, PAGE_BYTES, wanted.where, after=after, since=wanted.since
        )
        quick = time.monotonic() - started < _QUICK_S
        self._stretch = min(self._stretch * 2, LONGEST_STRETCH) if quick else LEAST_STRETCH
        return page

    async def _add(self, match: Match) -> None:
        if self._wanted.context:
            around = await self._nearby.around(match.run.id, match.seq, self._wanted.context)
            match.before, match.after = around
        self._matches.append(match)


def find_in(page: Iterable[Batch], wanted: Wanted, room: int) -> list[Match]:
    """Return the newest matches of a page, at most `room`, newest first.

    The page is newest first, too. A batch that does not have the text in its encoded form has it
    nowhere, and is not decoded.
    """
    needle = wanted.text.encode()
    matches = (_matches(batch, wanted) for batch in page if needle in batch.body)
    return list(islice(chain.from_iterable(matches), room))


def _matches(batch: Batch, wanted: Wanted) -> Iterator[Match]:
    assert batch.ref is not None, "only logs of runs are searched"
    ahead = batch.first_position - batch.first_seq
    first = batch.last_seq + 1
    end = MAX_POSITION if wanted.before is None else wanted.before
    for entry in reversed(batch.entries()):
        texts = entry.texts if isinstance(entry, Lines) else [text_of(entry.data)]
        first -= len(texts)
        if wanted.since is not None and entry.time < wanted.since:
            continue
        kind, stream = _kind(entry)
        hits = [seq for seq, text in enumerate(texts, first) if wanted.text in text]
        for seq in reversed(hits):
            if seq + ahead < end:
                shown, cut = _cut_around(texts[seq - first], wanted.text)
                yield Match(
                    run=batch.ref,
                    seq=seq,
                    position=seq + ahead,
                    time=entry.time,
                    text=shown,
                    cut=cut,
                    type=kind,
                    stream=stream,
                )


def _kind(entry: Entry) -> tuple[str, str | None]:
    """Return the type of an entry's events, and of output its stream."""
    if isinstance(entry, Lines):
        return "output", entry.stream
    stream = entry.data.get("stream") if entry.type == "output" else None
    return entry.type, stream if isinstance(stream, str) else None


def _cut_around(text: str, needle: str) -> tuple[str, bool]:
    """Return a piece of the text with the first hit as much in its middle as can be."""
    over = len(text) - SHOWN_CHARS
    if over <= 0:
        return text, False
    start = text.index(needle) - (SHOWN_CHARS - len(needle)) // 2
    start = min(max(start, 0), over)
    return text[start : start + SHOWN_CHARS], True
