"""Newcomers: what a scan finds without a run, and which of it is to have one, from where on."""

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from runcast.config_watch import WatchEntry
from runcast.runtime.watching.glances import Glance, Strangers, glance_at, modified_at
from runcast.runtime.watching.source import States, Watched, reach
from runcast.tail.generations import is_known, standing
from runcast.tail.marks import Identity, Mark, Seen
from runcast.tail.opened import seen
from runcast.tail.rotated import originals
from runcast.tail.scan import Source


class Moved(NamedTuple):
    """The files of a source that were the owner's before and are not at its paths any more."""

    owner: Watched
    files: dict[str, Identity]  # by stream


class Newcomer(NamedTuple):
    """A source without a run, and where its files stood when they were seen first.

    One that was `there` when this server looked first may have been so before.
    """

    source: Source
    states: States
    there: bool = False
    moved: Moved | None = None


class Judged(NamedTuple):
    """What is to have a run, and how many files are only older generations of others."""

    newcomers: list[Newcomer]
    older: int


class Newcomers:
    """Judges what has no run, at every look; blocks, and is used by one thread."""

    def __init__(self, entry: WatchEntry) -> None:
        self._entry = entry
        self._begun = False
        self._from_end = False
        self._waiting: dict[str, Newcomer] = {}  # they have no run yet
        self._renamed: dict[str, Seen] = {}  # older generations that their names do not prove
        self._strangers = Strangers()

    def judge(
        self,
        found: Mapping[str, Source],
        sources: Mapping[str, Watched],
        left: Mapping[str, States],
    ) -> Judged:
        """Tell which of the found sources are to have a run.

        `sources` are those that have one, `left` says of which files none is to be made.
        """
        self._from_end = self._entry.from_end and not self._begun and not sources
        renamed, self._renamed = self._renamed, {}
        unknown = [one for path, one in found.items() if path not in sources]
        seen_now = [
            (one, at) for one in unknown if (at := glance_at(one.files)) and any(at.values())
        ]
        candidates = [
            (one, glance)
            for one, glance in seen_now
            if not self._is_older(one, glance, found, sources, renamed)
        ]
        older = len(seen_now) - len(candidates)
        wanted = [(one, glance) for one, glance in candidates if self._is_wanted(one, glance, left)]
        self._waiting = dict(self._waiters(wanted, sources))
        self._begun = True
        fresh = {one.path for one, glance in wanted if self._is_fresh(glance)}
        return Judged([one for path, one in self._waiting.items() if path in fresh], older)

    def _waiters(
        self, wanted: list[tuple[Source, Glance]], sources: Mapping[str, Watched]
    ) -> Iterator[tuple[str, Newcomer]]:
        owners = _Owners(wanted, sources.values())
        for source, glance in wanted:
            moved = owners.moved(source, glance)
            if moved is not None and _has_all(moved.owner, glance):
                continue
            known = self._waiting.get(source.path)
            yield source.path, known or self._new(source, moved)

    def _is_wanted(self, source: Source, glance: Glance, left: Mapping[str, States]) -> bool:
        states = left.get(source.path)
        return states is None or self._strangers.at(source, glance, states)

    def _is_older(
        self,
        source: Source,
        glance: Glance,
        found: Mapping[str, Source],
        sources: Mapping[str, Watched],
        renamed: Mapping[str, Seen],
    ) -> bool:
        if self._entry.files:
            return False  # folders are not rotated
        (at,) = glance.values()
        for path, doubtful in originals(source.path):
            if not doubtful and (path in found or path in sources):
                return True
            if at is None or not doubtful or path not in sources:
                continue
            before = renamed.get(source.path)
            if (
                at in renamed.values()
                or (before is not None and before.identity == at.identity)
                or _knows(sources[path], source, at)
            ):
                self._renamed[source.path] = at
                return True
        return False

    def _new(self, source: Source, moved: Moved | None) -> Newcomer:
        within = reach(self._entry)
        states = {
            stream: standing(path, from_end=self._from_end, within=within)
            for stream, path in source.files.items()
        }
        return Newcomer(source, states, not self._begun, moved)

    def _is_fresh(self, glance: Glance) -> bool:
        age = self._entry.max_age_s
        return age is None or time.time() - modified_at(glance) <= age


class _Owners:
    """Knows whose files those of newcomers were before."""

    def __init__(
        self, candidates: Iterable[tuple[Source, Glance]], sources: Iterable[Watched]
    ) -> None:
        wanted = {at.identity for _, glance in candidates for at in glance.values() if at}
        self._owners: dict[Identity, list[Watched]] = {}
        for one in sources if wanted else ():
            for mark in _marks(one):
                if mark.head and mark.identity in wanted:
                    self._owners.setdefault(mark.identity, []).append(one)

    def moved(self, source: Source, glance: Glance) -> Moved | None:
        """Return what has moved here from another path; a second path to a file is no move."""
        for owner in self._of(glance):
            files = {
                stream: at.identity
                for stream, at in glance.items()
                if at is not None and _knows(owner, source, at, stream)
            }
            if files:
                return Moved(owner, files)
        return None

    def _of(self, glance: Glance) -> Iterator[Watched]:
        identities = {at.identity for at in glance.values() if at is not None}
        owners = [one for each in identities for one in self._owners.get(each, ())]
        if not any(_leads_to(one, identities) for one in owners):
            # Who reads it still before who has left it.
            yield from sorted(owners, key=lambda one: not _reads(one, identities))


def _has_all(owner: Watched, glance: Glance) -> bool:
    """Tell whether files are what a run has read to its end, and nothing more."""
    read = {(mark.identity, mark.kept.offset) for mark in _marks(owner)}
    files = [at for at in glance.values() if at is not None]
    return owner.stage == "ended" and all((at.identity, at.size) in read for at in files)


def _marks(source: Watched) -> Iterator[Mark]:
    for state in source.states.values():
        yield from state.all()


def _reads(source: Watched, identities: set[Identity]) -> bool:
    states = source.states.values()
    return any(m.identity in identities for state in states for m in (*state.marks, *state.late))


def _knows(owner: Watched, source: Source, at: Seen, stream: str = "stdout") -> bool:
    # The identity alone may be that of a file that was deleted meanwhile.
    state = owner.states.get(stream)
    if state is None or not any(mark.identity == at.identity for mark in state.all()):
        return False
    return is_known(source.files[stream], state)


def _leads_to(owner: Watched, identities: set[Identity]) -> bool:
    """Tell whether the paths of a source lead to these files, or are links and may have done so."""
    for path in owner.files.values():
        if Path(path).is_symlink():
            return True
        try:
            found = seen(path)
        except OSError:
            return True
        if found is not None and found.identity in identities:
            return True
    return False
