"""Which files have been printed already, under whatever name rotation gives them or their copy."""

import os
from collections import deque
from pathlib import PurePath

from runcast.tail.files import Tail
from runcast.tail.marks import HEAD_BYTES, Identity, Mark
from runcast.tail.opened import Opened

_LEAST_HEAD = 64  # bytes: what begins alike in fewer may well be two files
_HEADS = 3  # of one file: it begins anew when it is truncated
_FILES = 50_000  # that are remembered


class Printed:
    """The files that were printed, by what tells them from others.

    A device and an inode alone do not: they are given away again once a file is deleted.
    """

    def __init__(self) -> None:
        self._owners: dict[Identity, Tail | Mark] = {}
        self._heads: dict[str, dict[str, deque[bytes]]] = {}  # by path without suffix, and path

    def note(self, tail: Tail) -> None:
        """Note what a tail reads, after a look that found another file or another beginning."""
        heads = self._heads.setdefault(_stem(tail.path), {})
        known = heads.setdefault(tail.path, deque(maxlen=_HEADS))
        for mark in tail.state().marks:
            self._remember(mark.identity, tail)
            if known and mark.head.startswith(known[-1]):
                known.pop()  # only more of the same
            known.append(mark.head)

    def is_known(self, file: Opened, tail: Tail) -> bool:
        """Tell whether a file that is now where `tail` reads was printed from elsewhere."""
        owner = self._owners.get(file.identity)
        if owner is None or owner is tail:
            return False
        marks = [owner] if isinstance(owner, Mark) else list(owner.state().all())
        for mark in marks:
            if mark.identity == file.identity and file.resume(mark):
                self._remember(file.identity, mark)  # longer than the tail does
                return True
        return False

    def is_copy(self, file: Opened, path: str) -> bool:
        """Tell whether a new file is a copy of a printed one that a name like its own has.

        Rotation by truncation makes one before it truncates.
        """
        start = os.pread(file.fd, HEAD_BYTES, 0)
        name_at = path.rindex("/") + 2
        return any(
            len(head) >= _LEAST_HEAD and start.startswith(head)
            for end in range(name_at, len(path) + 1)
            for other, heads in self._heads.get(path[:end], {}).items()
            if other != path
            for head in heads
        )

    def forget(self, tail: Tail) -> None:
        """Forget what a tail has printed: its file is gone."""
        heads = self._heads.get(_stem(tail.path), {})
        heads.pop(tail.path, None)
        if not heads:
            self._heads.pop(_stem(tail.path), None)
        for mark in tail.state().all():
            if self._owners.get(mark.identity) is tail:
                del self._owners[mark.identity]

    def _remember(self, identity: Identity, owner: Tail | Mark) -> None:
        self._owners.pop(identity, None)
        self._owners[identity] = owner
        if len(self._owners) > _FILES:
            del self._owners[next(iter(self._owners))]


def _stem(path: str) -> str:
    return str(PurePath(path).with_suffix(""))
