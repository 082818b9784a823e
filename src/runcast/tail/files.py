"""Tailing: one path is followed through growth, rotation, truncation and replacement."""

import errno
import time
from collections.abc import Callable

import msgspec

from runcast.spool.records import Block
from runcast.tail.formats import Framing, new_framing
from runcast.tail.generations import Generation, Lost, Place, standing, unopened
from runcast.tail.looks import LOOK_BYTES, Look, Reading, clock_us, go_to
from runcast.tail.marks import PAST_MARKS, Seen, State
from runcast.tail.opened import Opened, Shrunk, seen
from runcast.tail.rotated import CLOCK_NS
from runcast.tail.unfinished import Kept

LATE_S = 30.0  # of silence, until a file that was replaced is left: not all its writers notice soon
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_NOTHING = Look([])


class _Late:
    """A file that was replaced: its late lines come in between those of the next one."""

    def __init__(self, file: Opened, framing: Framing) -> None:
        self.file = file
        self.framing = framing
        self.until = time.monotonic() + LATE_S


class Tail:
    """Follows one path; everything that was written to it comes once, in order.

    - A file that was renamed away is read to its end before the one that took its place. So are
      those that came and went between two looks, if they are still beside it.
    - A file that was truncated or deleted may have held more than was read: `Lost` says so.
    - What was given is not read again by a tail that begins with the `state()` of this one.

    All calls but the properties block, and come from one thread at a time.
    """

    def __init__(
        self,
        path: str,
        framing: str,
        stream: str = "stdout",
        *,
        joins: bool = False,
        state: State | None = None,
        from_end: bool = False,
        within: str | None = None,
    ) -> None:
        """Follow `path`, from where `state` stands, or else from the beginning or the end.

        `framing` names how it is written, `stream` whose text it is if it does not say. With
        `joins` lines come whole. Links may not lead out of `within`, a real path.
        """
        self.path = path
        self.present = False  # something is at the path
        self.trouble: str | None = None  # why it cannot be read
        self.starved = False  # because no descriptor was left, which is no fault of the file
        self.grown_at = time.monotonic()  # when something was read last
        self._place = Place(path, within)
        self._framings = (framing, stream, joins)
        self._framing = self._new_framing()
        if state is None:
            state = standing(path, from_end=from_end, within=within)
        self._state = state
        self._past = state.past
        self._confirmed = state.confirmed
        self._next: list[Generation] = []  # the first is at hand, the last was at the path
        self._late: list[_Late] = []
        self._orphan: bool | None = None  # was it deleted, when it was found to be replaced
        self._replaced = False  # the file at hand has nothing more once its end is seen again
        self._quiet: Seen | None = None

    @property
    def descriptors(self) -> int:
        """How many files are open."""
        return len(self._next) + len(self._late)

    @property
    def late(self) -> bool:
        """Whether a file that was replaced is still read, for what may yet be written to it."""
        return bool(self._late)

    @property
    def unfinished(self) -> bool:
        """Whether text is held that no newline has ended."""
        return self._framing.unfinished

    def look(self) -> Look:
        """Read on, about LOOK_BYTES; what went wrong with the file is in `trouble`."""
        if self._quiet is not None and self._is_quiet():
            return _NOTHING
        return self._look(self._read_on)

    def look_back(self) -> Look:
        """Read on like `look` in what was at the path before, but not in what is there now."""
        return self._look(self._read_before)

    def flush(self) -> list[Block]:
        """Give what is unfinished as parts; nothing where lines are held until they end."""
        return self._framing.flush(clock_us())

    def finish(self) -> list[Block]:
        """Give what is unfinished, because nothing more is wanted."""
        late = [block for one in self._late for block in one.framing.finish(clock_us())]
        return [*late, *self._framing.finish(clock_us())]

    def state(self) -> State:
        """Tell where a tail can go on, once all that was given so far is kept."""
        if not self._next:
            return self._state
        kept = [self._framing.kept(), *(one.kept or Kept() for one in self._next[1:])]
        marks = [one.file.mark(each) for one, each in zip(self._next, kept, strict=True)]
        for one, mark in zip(self._next[1:], marks[1:], strict=True):
            mark.lost = one.lost.reason if one.lost else ""
        # A deleted one cannot be found again, and is no loss then: it is read as far as it went.
        left = [one for one in self._late if not one.file.deleted]
        late = [one.file.mark(one.framing.kept()) for one in left]
        return State(marks=marks, late=late, past=self._past, confirmed=self._confirmed)

    def close(self) -> None:
        """Give all descriptors back; the next look opens again what it needs."""
        self._state = self.state()
        for file in self._files():
            file.close()
        self._next, self._late = [], []
        self._orphan, self._replaced, self._quiet = None, False, None
        self._framing = self._new_framing()

    def pass_over(self) -> None:
        """Leave unread what cannot be read: only what is written from now on is wanted."""
        self.close()
        marks = unopened(self.path, from_end=True)
        past = list(self._state.all())[:PAST_MARKS]
        self._state = State(marks=marks, past=past, confirmed=time.time_ns())

    # The file at hand.

    def _look(self, read_on: Callable[[Reading], None]) -> Look:
        self._quiet = None
        self.trouble, self.starved = None, False
        reading = Reading()
        try:
            self._read_late(reading)
            read_on(reading)
        except OSError as error:
            self.trouble = error.strerror or str(error)
            self.starved = error.errno in _NO_DESCRIPTORS
        if reading.size or reading.turned:
            self.grown_at = time.monotonic()
        return reading.look()

    def _read_on(self, reading: Reading) -> None:
        if not self._next and not self._open(reading):
            return
        while reading.left:
            if self._read(self._next[0].file, reading):
                continue
            if self._replaced:
                self._leave(reading)
                continue
            self._see_path(reading)
            # Who writes has turned to another file, but may have written to this one before.
            self._replaced = any(one.file.size for one in self._next[1:])
            if not self._replaced:
                return

    def _read_before(self, reading: Reading) -> None:
        here = seen(self.path)
        if not self._next and not self._open(reading):
            return
        while reading.left and (here is None or self._next[0].file.identity != here.identity):
            if self._read(self._next[0].file, reading):
                continue
            if len(self._next) == 1:
                return
            self._leave(reading)

    def _read(self, file: Opened, reading: Reading) -> bool:
        """Read on in the file at hand; tell whether anything was there."""
        try:
            size = reading.feed(file, self._framing, reading.left)
        except Shrunk:
            reading.items += [*self._framing.cut(clock_us()), Lost("truncated")]
            reading.turned = True
            file.restart()
            return True
        return size > 0

    def _leave(self, reading: Reading) -> None:
        """Go on with the next file: the one at hand is read, and another is in its place."""
        left = self._next.pop(0).file
        self._late.append(_Late(left, self._new_framing(Kept(offset=left.position))))
        self._begin(self._next[0], reading)

    def _begin(self, generation: Generation, reading: Reading) -> None:
        """Go on with a file, saying first what was lost before it."""
        reading.turned = True
        if generation.lost is None:
            reading.items += self._framing.end(clock_us())
        else:
            reading.items += [*self._framing.cut(clock_us()), generation.lost]
        ahead = generation.kept.ahead if generation.kept is not None else {}
        go_to(self._framing, generation.file.position, ahead)
        self._replaced = False

    def _read_late(self, reading: Reading) -> None:
        for late in list(self._late):
            try:
                if reading.feed(late.file, late.framing, LOOK_BYTES):
                    late.until = time.monotonic() + LATE_S
                elif time.monotonic() > late.until:
                    self._forget(late, reading)
            except Shrunk:  # what is put there now is none of our text
                self._forget(late, reading)
                reading.items.append(Lost("truncated"))

    def _forget(self, late: _Late, reading: Reading) -> None:
        reading.items += late.framing.cut(clock_us())
        reading.turned = True
        self._late.remove(late)
        mark = late.file.mark(Kept(offset=late.file.position))
        self._past = [mark, *self._past][:PAST_MARKS]
        late.file.close()

    def _see_path(self, reading: Reading) -> None:
        """Open what is at the path now, if it is another file, but do not turn to it yet."""
        newest = self._next[-1].file
        clock = time.time_ns()
        found = seen(self.path)
        self.present = found is not None
        if found is not None and found.identity == newest.identity:
            self._orphan = None
            self._confirmed = clock
            still = clock - found.mtime_ns > CLOCK_NS and found.size == newest.position
            if still and self.descriptors == 1:
                self._quiet = found
            return
        if self._orphan is None:
            self._orphan = newest.deleted
        if found is None or found.identity in {one.file.identity for one in self._next}:
            return  # one that is back already will be read, and then be a late one
        for late in [one for one in self._late if one.file.identity == found.identity]:
            self._forget(late, reading)  # it is back
        others = {one.identity for one in self._files()}
        # What was in its place and is deleted as well was never seen by anybody.
        lost = Lost("deleted") if self._orphan else None
        self._next += self._place.newer(others, self._past, self._confirmed, lost)
        self._orphan = None
        self._confirmed = clock

    # Opening.

    def _open(self, reading: Reading) -> bool:
        """Open the files where the state says that they were left; tell whether there is one."""
        state = self._state
        self.present = seen(self.path) is not None
        self._next, late, gone, lost = self._place.take_up(state)
        first = self._next[0] if self._next else None
        kept = first.kept if first is not None and first.lost is None else None
        if kept is not None:
            self._framing.restore(kept)
        elif state.marks:
            self._framing.restore(msgspec.structs.replace(state.marks[0].kept, ahead={}))
        if lost is not None:
            reading.items += [*([] if first else self._framing.cut(clock_us())), lost]
            reading.turned = True
        self._late = [_Late(one.file, self._new_framing(one.kept)) for one in late]
        self._past = [*gone, *self._past][:PAST_MARKS]
        if first is None:
            self._state = State(past=self._past, confirmed=state.confirmed)
            return False
        if kept is None:
            self._begin(first, reading)
        return True

    def _files(self) -> list[Opened]:
        return [one.file for one in self._next] + [one.file for one in self._late]

    def _is_quiet(self) -> bool:
        clock = time.time_ns()
        try:
            is_quiet = seen(self.path) == self._quiet
        except OSError:
            return False
        if is_quiet:
            self._confirmed = clock
        return is_quiet

    def _new_framing(self, kept: Kept | None = None) -> Framing:
        name, stream, joins = self._framings
        framing = new_framing(name, stream, joins=joins)
        framing.restore(kept or Kept())
        return framing
