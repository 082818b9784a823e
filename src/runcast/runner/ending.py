"""How a tree of processes is brought to its end: asked first, forced after a grace."""

from __future__ import annotations

from runcast.runner.tree import ROUND_SECONDS, Tree

_NEVER = float("inf")
_REFUSAL_SECONDS = 1.0  # how long to try what this user may not kill, once all else is gone


class Ending:
    """The end of the tree, from the first request to the last process reaped."""

    __slots__ = ("_give_up_at", "begun", "due", "gone", "refused", "tree")

    def __init__(self) -> None:
        self.tree = Tree()
        self.begun = False
        self.gone = False  # no process is left
        self.refused = False  # those that are left may not be killed by this user
        self.due = _NEVER  # when the grace ends; then, when the next round of force is due
        self._give_up_at = _NEVER

    def begin(self, grace: float, now: float) -> None:
        """Ask all to end and force them after `grace` s; a second call may shorten the grace."""
        if not self.begun:
            self.tree.ask()
        self.begun = True
        if not self.gone:
            self.due = min(self.due, now + grace)

    def tick(self, now: float) -> None:
        """Force, if that is due."""
        if now < self.due:
            return
        self.due = now + ROUND_SECONDS
        if self.tree.force() or self._give_up_at == _NEVER:
            self._give_up_at = now + _REFUSAL_SECONDS
        elif now >= self._give_up_at:
            self.refused = True
            self.due = _NEVER

    def reap(self) -> dict[int, int]:
        """Collect the processes that have ended, as pid -> wait status."""
        ended, more = self.tree.reap()
        if not more:
            self.gone = True
            self.due = _NEVER
        return ended
