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
from runcast.tail.marks import State
from runcast.tail.scan import Source

States = Mapping[str, State]  # of the tails of a source, by stream

encode_states = msgspec.msgpack.Encoder().encode
decode_states = msgspec.msgpack.Decoder(dict[str, State]).decode


class Watched:
    """One source of an entry, with its latest run; `states` and `offset` are as committed.

    An `open` source has a running run; once that has `ended`, what is new in the files begins
    another. A source is `closed` for good when a person cancelled or anybody deleted its run.
    """

    def __init__(self, entry: WatchEntry, source: Source, run: Run, kept: Checkpoint) -> None:
        self.entry = entry
        self.source = source
        self.run = run
        self.take_up(kept)
        self.stage: Literal["open", "ended", "closed"] = _stage(run)
        self.followed = False  # somebody follows its run
        self.errand = False  # it is to be read up to its end, although nobody follows
        self.unread = False  # nobody follows, and the files say more than the log
        self.replaced_by: object = None  # the files for which it was read although nobody follows
        self.ending: Ending | None = None  # how it ends, as soon as all is read
        self.told: dict[str, str] = {}  # the trouble that its log tells of, by stream

    @property
    def path(self) -> str:
        """What it is called below the entry's root."""
        return self.source.path

    @property
    def files(self) -> Mapping[str, str]:
        """Its files, by stream."""
        return self.source.files

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


def _stage(run: Run) -> Literal["open", "ended", "closed"]:
    if not run.ended:
        return "open"
    return "closed" if run.status == "cancelled" else "ended"


def reach(entry: WatchEntry) -> str | None:
    """Return the real folder that links of an entry may not lead out of; blocks."""
    return None if entry.follow_links else os.path.realpath(entry.root)
