"""The folder of an outbox's file: begins the file there, and sets it aside once it is damaged."""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

_ASIDE = ".damaged-"
_JOURNAL = "-journal"  # SQLite's name for what takes back an unfinished commit


def default_path() -> Path:
    """Return where a user's outbox is unless another place is named."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "runcast" / "outbox.db"


def begin_file(path: Path, fill: Callable[[Path], None]) -> None:
    """Make a file that only its owner can read, unless there is one; it appears filled.

    A folder that is not there is made, for its owner alone.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    draft.touch(mode=0o600, exist_ok=False)
    try:
        fill(draft)
        with suppress(FileExistsError):  # somebody else was faster, and theirs is as good
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def set_aside(path: Path, inode: int) -> Path:
    """Give the damaged file another name, unless that was done already; return the name."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    aside = path.with_name(f"{path.name}{_ASIDE}{moment}")
    # The next file may be there already: it is not the one that was found to be damaged.
    if path.exists() and path.stat().st_ino == inode:
        # The journal goes first: left alone, it would be played back into the next file.
        with suppress(FileNotFoundError):
            path.with_name(path.name + _JOURNAL).rename(f"{aside}{_JOURNAL}")
        with suppress(FileNotFoundError):
            path.rename(aside)
            return aside
    return set_aside_before(path) or aside


def set_aside_before(path: Path) -> Path | None:
    """Return the newest file of this name that was set aside; None if there is none."""
    found = [
        beside
        for beside in path.parent.glob("*")
        if beside.name.startswith(path.name + _ASIDE) and not beside.name.endswith(_JOURNAL)
    ]
    return max(found, default=None)
