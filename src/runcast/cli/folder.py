"""Following all files below a folder in this process, those that come later among them."""

import heapq
import resource
import time
from collections.abc import Callable
from itertools import count
from typing import NoReturn

from runcast.cli.changes import LISTED, Changes
from runcast.cli.following import QUIET_S, Followed
from runcast.cli.members import Member
from runcast.cli.printed import Printed
from runcast.tail.scan import Scanner

DISCOVERY_S = 1.0  # between two looks for new files
_HINTED_DISCOVERY_S = 0.05  # the same where there is a hint: who makes a file often makes many

OpenFile = Callable[[str, str, int | None], Followed]


class Folder:
    """Prints every file that a scanner finds as it grows.

    `open_file` makes what follows a file, given its name, its path and from how many last lines
    on. Files that are there already begin at their last `lines`, all others at their beginning.
    `tell` is given the name of a file, and something that people should know of it.
    """

    def __init__(
        self,
        scanner: Scanner,
        open_file: OpenFile,
        lines: int | None,
        tell: Callable[[str, str], None],
    ) -> None:
        self._scanner = scanner
        self._open_file = open_file
        self._lines = lines
        self._tell = tell
        self._printed = Printed()
        self._members: dict[str, Member] = {}  # by the name below the root
        self._paths: set[str] = set()  # of all members
        self._meant: dict[str, set[Member]] = {}  # by path: whose file changes together with it
        self._open: set[Member] = set()  # those that may have a descriptor
        self._most_open = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
        self._agenda: list[tuple[float, int, Member]] = []
        self._number = count()
        self._scanned_at = float("-inf")
        self._scan_at = 0.0
        self._problem: str | None = None

    def follow(self, changes: Changes, told: Callable[[], None]) -> NoReturn:
        """Print what comes for ever; `told` is called when all is said of this moment."""
        while True:
            if time.monotonic() >= self._scan_at:
                self._scan(changes)
            self._look_at_what_is_due(changes)
            told()
            upcoming = min(self._scan_at, self._agenda[0][0] if self._agenda else self._scan_at)
            for path, mask in changes.wait(upcoming - time.monotonic()).items():
                self._hinted(path, mask, changes)

    def _scan(self, changes: Changes) -> None:
        found = self._scanner.scan()
        first = self._scanned_at < 0
        self._scanned_at = time.monotonic()
        self._scan_at = self._scanned_at + DISCOVERY_S
        if found.problem is not None and found.problem != self._problem:
            self._tell("", found.problem)
        self._problem = found.problem
        for name in sorted(found.sources.keys() - self._members.keys()):
            self._add(name, found.sources[name].files["stdout"], newcomer=not first)
        for name, member in list(self._members.items()):
            if name in found.sources:
                member.gone_since = None
            elif member.gone_since is None:
                member.gone_since = self._scanned_at
            elif self._scanned_at - member.gone_since > QUIET_S:
                self._remove(name)
        linked = {member.followed.folder for member in self._members.values()}
        changes.watch(linked.union(found.folders))

    def _add(self, name: str, path: str, *, newcomer: bool) -> None:
        member = Member(
            lambda lines: self._open_file(name, path, lines),
            None if newcomer else self._lines,
            self._printed,
            lambda reason: self._tell(name, reason),
            self._paths.__contains__,
            newcomer=newcomer,
        )
        self._members[name] = member
        self._paths.add(path)
        for one in member.places:
            self._meant.setdefault(one, set()).add(member)
        self._plan(member)

    def _remove(self, name: str) -> None:
        member = self._members.pop(name)
        member.close()
        self._open.discard(member)
        self._paths.remove(member.followed.path)
        for one in member.places:
            self._meant[one].remove(member)
            if not self._meant[one]:
                del self._meant[one]

    def _hinted(self, path: str, mask: int, changes: Changes) -> None:
        if mask & LISTED:
            self._scan_at = min(self._scan_at, self._scanned_at + _HINTED_DISCOVERY_S)
        for member in self._meant.get(path, ()):
            self._look(member, changes)

    def _look_at_what_is_due(self, changes: Changes) -> None:
        now = time.monotonic()
        while self._agenda and self._agenda[0][0] <= now:
            due, _, member = heapq.heappop(self._agenda)
            # What was looked at meanwhile is in the agenda with its new time as well.
            if due == member.due and member.followed.path in self._paths:
                self._look(member, changes)

    def _look(self, member: Member, changes: Changes) -> None:
        member.look(hinted=changes.is_hinted(member.followed.folder))
        self._plan(member)
        self._open.add(member)
        if len(self._open) >= self._most_open:
            for one in self._open:
                one.followed.give_back()
            self._open = {one for one in self._open if one.followed.reading.tail.descriptors}

    def _plan(self, member: Member) -> None:
        heapq.heappush(self._agenda, (member.due, next(self._number), member))
