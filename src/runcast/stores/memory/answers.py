"""The answers that the memory engine keeps of calls that are to happen once."""

from typing import TypeVar

from runcast.core.once import Answered, Once
from runcast.stores import rules

T = TypeVar("T")


class Answers:
    """What was answered, by key, in the order of the answers."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Once, Answered]] = {}

    def check(self, once: Once | None) -> None:
        """Refuse to do again what was answered already."""
        if once is not None:
            rules.check_once(once.key, taken=once.key in self._kept)

    def keep(self, once: Once | None, outcome: T) -> T:
        """Keep the answer that a call's outcome makes, and return the outcome."""
        if once is not None:
            self._kept[once.key] = once, once.answer(outcome)
        return outcome

    def find(self, key: str) -> tuple[bytes, Answered] | None:
        """Return the fingerprint and the answer that are kept under a key."""
        if key not in self._kept:
            return None
        once, answered = self._kept[key]
        return once.fingerprint, answered

    def forget(self, before: int) -> int:
        """Drop the answers to what was asked before this time; return how many went."""
        old = [key for key, (once, _) in self._kept.items() if once.time < before]
        for key in old:
            del self._kept[key]
        return len(old)
