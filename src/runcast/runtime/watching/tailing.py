"""Tailing one source: what its files say becomes events, each line once, whatever crashes."""

import math
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from runcast.core.events import Draft, Entry, run_log
from runcast.core.runs import Run
from runcast.parsers import Saved
from runcast.runtime.approvals import Approvals
from runcast.runtime.blobs import keep_blobs
from runcast.runtime.clock import now
from runcast.runtime.ingest import parser_of
from runcast.runtime.spill import Blobs, spill
from runcast.runtime.watching.ending import outcome_at
from runcast.runtime.watching.source import States, Troubles, Watched, encode_states, reach
from runcast.spool.records import Block
from runcast.stores import Advance, Checkpoint, Store
from runcast.tail.files import Tail
from runcast.tail.generations import Lost
from runcast.tail.looks import Look
from runcast.tail.markers import Ending
from runcast.tail.marks import Trouble

FLUSH_S = 1.0  # an unfinished line is shown after so long without another byte
TROUBLED_S = 60.0  # a file that could not be read for so long keeps no run from ending
SOURCE = "watch"  # of the errors that tell of a file


class _Step(NamedTuple):
    """What was read and parsed, until it is committed; a parser cannot be asked twice."""

    entries: list[Entry]
    blobs: Blobs
    checkpoint: Checkpoint
    states: States


class Tailing:
    """Reads the files of a source, and commits what they say together with where they stand.

    `look` and `close` block and belong in one thread, the rest on the loop; never both at a time.
    A step that is not committed yet is kept, and no look comes before it.
    """

    def __init__(self, source: Watched, store: Store, folders: Path) -> None:
        """Begin where the source stands; nothing is opened before the first look."""
        run = source.run
        self.source = source
        self.more = False  # the last look left something unread
        self.held = False  # not to be looked at for the time being
        self.refused = False  # the last commit was
        self.broken = False  # not to be used any more
        self.starved = False  # there was no descriptor for one of the files
        self.descriptors = 0
        self.grown_at = -math.inf  # by the monotonic clock
        self.real_files: list[str] = []  # where its paths lead to
        self.parser = parser_of(run)
        self.conclusion: Ending | None = None  # all is read, and the run is to end like this
        self._store = store
        self._folder = folders / run.key
        self._approvals = Approvals(store, run.id)
        self._loaded = self.parser.account() is None  # else it may have asked something
        self._tails: dict[str, Tail] = {}
        self._troubles: Troubles = {}  # of its files, as of the last look
        self._step: _Step | None = None
        known = source.kept.state_version == self.parser.version
        self.parser.restore(Saved({}, source.kept.state if known else b""), ())

    @property
    def waits(self) -> bool:
        """Whether something is to be committed before the next look."""
        return self._step is not None or self.conclusion is not None

    @property
    def present(self) -> bool:
        """Whether something is at one of the paths."""
        return any(tail.present for tail in self._tails.values())

    @property
    def late(self) -> bool:
        """Whether files that were replaced are still read."""
        return any(tail.late for tail in self._tails.values())

    def look(self) -> int:
        """Read on in all files; return how many bytes were read.

        If it was seen before that the run ends, what is unfinished is given with the last of it.
        """
        ending = self.source.ending
        if not self._tails:
            self._tails = self._opened()
        looks = [tail.look() for tail in self._tails.values()]
        size = sum(look.read for look in looks)
        turned = any(look.turned for look in looks)
        self._note(looks, grown=size > 0, turned=turned)
        items = [item for look in looks for item in look.items]
        if not size:
            items += self._flushed()
        entries = [*self._parsed(items), *self._complaints()]
        if ending is not None and self._is_read_up():
            entries += self._finished()
            self.conclusion = ending
        if entries or turned or self.conclusion or self._troubles != self.source.told:
            self._step = self._next(entries, size)
        self.descriptors = sum(tail.descriptors for tail in self._tails.values())
        return size

    def close(self) -> None:
        """Give all descriptors back; the next look opens again what it needs."""
        for tail in self._tails.values():
            tail.close()
        self.descriptors = 0

    async def commit(self) -> None:
        """Commit what was read last; raise Unavailable, and then do it again.

        Conflict or NotFound mean that the run was ended or deleted, or read on by somebody else.
        """
        if (step := self._step) is None:
            return
        if not self._loaded:
            await self._approvals.load()
            self._loaded = True
        if step.blobs:
            await keep_blobs(self._folder, step.blobs)
        advance = Advance(self.source.kept.offset, step.checkpoint)
        await self._approvals.append(step.entries, advance)
        self.source.committed(step.checkpoint, step.states)
        self._step = None

    async def end(self, ending: Ending) -> Run:
        """End the run, now that all is committed; raise what `commit` raises."""
        run, kept, time = self.source.run, self.source.kept, now()
        await self._approvals.withdraw(run_log(run.id))
        speaks = self.parser.ends_with_word
        status, outcome = outcome_at(ending, self.parser.account(), must_speak=speaks, time=time)
        # It may have ended before anybody looked.
        outcome["started_at"] = min(run.started_at or time, outcome["ended_at"])
        finished = Advance(kept.offset, replace(kept, finished=True))
        return await self._store.transition(run.id, status, time, outcome, (), finished)

    def _opened(self) -> dict[str, Tail]:
        entry, states = self.source.entry, self.source.states
        joins = self.source.run.dialect != "lines"
        within = reach(entry)
        return {
            stream: Tail(
                path,
                entry.framing,
                stream,
                joins=joins,
                state=states.get(stream),
                within=within,
            )
            for stream, path in self.source.files.items()
        }

    def _note(self, looks: Iterable[Look], *, grown: bool, turned: bool) -> None:
        """Note what a look found besides text."""
        self.more = any(look.more for look in looks)
        self.starved = any(tail.starved for tail in self._tails.values())
        self._troubles = dict(self._troubles_now())
        if grown or turned:
            self.grown_at = time.monotonic()
        if turned or not self.real_files:
            self.real_files = [os.path.realpath(path) for path in self.source.files.values()]

    def _troubles_now(self) -> Iterator[tuple[str, Trouble]]:
        told = self.source.told
        for stream, tail in self._tails.items():
            trouble = told.get(stream)
            if trouble is None and tail.trouble is not None and not tail.starved:
                trouble = Trouble(tail.trouble, time.time_ns())
            if trouble is not None and tail.trouble is not None:
                yield stream, trouble

    def _is_read_up(self) -> bool:
        """Tell whether all is read that can be; for the rest was waited for long enough."""
        since = time.time_ns() - TROUBLED_S * 1e9
        waited = all(trouble.since <= since for trouble in self._troubles.values())
        return waited and not self.more and not self.starved

    def _flushed(self) -> list[Block]:
        quiet = time.monotonic() - FLUSH_S
        tails = self._tails.values()
        due = [tail for tail in tails if tail.unfinished and tail.grown_at < quiet]
        return [block for tail in due for block in tail.flush()]

    def _finished(self) -> list[Entry]:
        blocks = [block for tail in self._tails.values() for block in tail.finish()]
        for stream in self._troubles:
            # Else what is there would begin another run at once, and the next after that one.
            self._tails[stream].pass_over()
        self._troubles = {}
        return self.parser.feed(blocks) + self.parser.finish()

    def _parsed(self, items: Iterable[Block | Lost]) -> Iterator[Entry]:
        blocks: list[Block] = []
        for item in items:
            if isinstance(item, Lost):
                yield from self.parser.feed(blocks)
                yield _gap(item)
                blocks = []
            else:
                blocks.append(item)
        yield from self.parser.feed(blocks)

    def _complaints(self) -> Iterator[Draft]:
        """Tell of files that cannot be read, of each once until it could be again."""
        for stream in sorted(self._troubles.keys() - self.source.told.keys()):
            reason = self._troubles[stream].reason
            message = f"cannot read {stream} of {self.source.path}: {reason}"
            yield Draft(now(), "error", {"message": message, "source": SOURCE})

    def _next(self, entries: list[Entry], size: int) -> _Step:
        states = {
            stream: replace(tail.state(), trouble=self._troubles.get(stream))
            for stream, tail in self._tails.items()
        }
        checkpoint = Checkpoint(
            offset=self.source.kept.offset + max(size, 1),
            state=self.parser.save().state,
            state_version=self.parser.version,
            source=encode_states(states),
        )
        return _Step(*spill(entries), checkpoint, states)


def _gap(lost: Lost) -> Draft:
    return Draft(now(), "gap", {"reason": lost.reason})
