"""A watched source: the files that become one run after another, and where the latest stands."""

import os
from collections.abc import Mapping
from pathlib import PurePath
from typing import Literal

import msgspec

from runcast.config_watch import WatchEntry
from runcast.core.events import run_log
from runcast.core.runs import Run
from runcast.runtime.pages import Key
from runcast.stores import ALL_RUNS, Checkpoint, Selection
from runcast.tail.markers import Ending
from runcast.tail.marks import State, Trouble
from runcast.tail.scan import Source

Stage = Literal["open", "ended", "closed"]
States = Mapping[str, State]  # of the tails of a source, by stream
Troubles = Mapping[str, Trouble]  # of its files, likewise

encode_states = msgspec.msgpack.Encoder().encode
decode_states = msgspec.msgpack.Decoder(dict[str, State]).decode


class Watched:
    """One source of an entry, with its latest run; `states` and `offset` are as committed.

    An `open` source has a running run; once that has `ended`, what is new in the files begins
    another. If a person cancelled or deleted its run it is `closed`: its files are left alone, and
    only others at their paths begin another run.
    """

    def __init__(self, entry: WatchEntry, source: Source, run: Run, kept: Checkpoint) -> None:
        self.entry = entry
        self.source = source
        self.run = run
        self.take_up(kept)
        self.stage: Stage = _stage(run, kept)
        self.followed = False  # somebody follows its run
        self.errand = False  # it is to be read up to its end, although nobody follows
        self.unread = False  # nobody follows, and the files say more than the log
        self._replaced_by: object = None  # for which it was read although nobody follows
        self.ending: Ending | None = None  # how it ends, as soon as all is read

    @property
    def path(self) -> str:
        """What it is called below the entry's root."""
        return self.source.path

    @property
    def files(self) -> Mapping[str, str]:
        """Its files, by stream."""
        return self.source.files

    @property
    def told(self) -> Troubles:
        """What keeps its files from being read, as its log tells, by stream."""
        return {stream: one.trouble for stream, one in self.states.items() if one.trouble}

    @property
    def wanted(self) -> bool:
        """Whether its files are to be read now."""
        asked = self.entry.always or self.followed or self.errand
        return asked and self.stage == "open"

    @property
    def keys(self) -> tuple[Key, ...]:
        """Return all that can be followed to follow its run."""
        run = self.run
        return (
            run_log(run.id),
            ALL_RUNS,
            Selection(run_id=run.id),
            Selection(task_id=run.task_id),
            Selection(workspace_id=run.workspace_id),
        )

    def take_up(self, kept: Checkpoint) -> None:
        """Stand where a checkpoint says; raise msgspec.DecodeError if it says nothing known."""
        self.kept = kept
        self.states: States = decode_states(kept.source) if kept.source else {}

    def end(self) -> None:
        """Note that its run has ended."""
        self.stage = "ended"

    def close(self) -> None:
        """Leave its files alone from now on."""
        self.stage = "closed"
        self.unread = False

    def note(self, *, says_more: bool, ending: Ending | None) -> None:
        """Note what a look at its files found, and how its run is to end."""
        self.ending = ending
        self.unread = says_more and not self.wanted

    def is_replaced_by(self, glance: object) -> bool:
        """Note what has taken the place of its files; tell whether that is news."""
        before, self._replaced_by = self._replaced_by, glance
        return glance != before

    def committed(self, checkpoint: Checkpoint, states: States) -> None:
        """Note how far it is in the log."""
        self.kept, self.states = checkpoint, states
        self.unread = False


def source_at(entry: WatchEntry, path: str) -> Source:
    """Make a source that no scan has found so far."""
    place = PurePath(entry.root, path)
    if not entry.files:
        return Source(path, {"stdout": str(place)})
    return Source(path, {stream: str(place / name) for stream, name in entry.files.items()})


def _stage(run: Run, kept: Checkpoint) -> Stage:
    if not run.ended:
        return "open"
    # A marker may say `cancelled` as well, but then all was read before.
    return "closed" if run.status == "cancelled" and not kept.finished else "ended"


def reach(entry: WatchEntry) -> str | None:
    """Return the real folder that links of an entry may not lead out of; blocks."""
    return None if entry.follow_links else os.path.realpath(entry.root)
