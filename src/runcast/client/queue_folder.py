"""The folder of an outbox's file: how it begins, whose turn it is, and what was damaged."""

import fcntl
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

_ASIDE = ".damaged-"
_JOURNAL = "-journal"  # SQLite's name for what takes back an unfinished commit


def default_path() -> Path:
    """Return where a user's outbox is unless another place is named."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "runcast" / "outbox.db"


def command(path: Path, action: str = "list") -> str:
    """Return the command line that does something with the outbox at this (real) path."""
    usual = path == Path(os.path.realpath(default_path()))
    return shlex.join(["runcast", "outbox", action, *([] if usual else ["--file", str(path)])])


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


@contextmanager
def turn(path: Path) -> Iterator[bool]:
    """Take the turn at a file until the block is left; False if another one has it.

    The turn ends with the process, however that ends, but not before the children that it
    forked in the block and that run no other program.
    """
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, mode=0o600)
    with ExitStack() as held:
        held.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            # A forked child may have the lock open, too: closing it here would not end the turn.
            held.callback(fcntl.flock, lock, fcntl.LOCK_UN)
            yield True


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
