"""Pauses between attempts that fail: longer and longer, and never the same for all clients."""

import random

FIRST_S = 1.0
LONGEST_S = 15.0
LEAST_S = 0.1  # whatever a server asks for, it is not asked in a tight loop
_DOUBLINGS = 16  # enough for any pause to reach the longest


class Backoff:
    """Doubles the pause with each failure in a row, from `first_s` to `longest_s`."""

    def __init__(self, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> None:
        self.first_s = first_s
        self._longest_s = longest_s
        self._failures = 0

    def succeeded(self) -> None:
        """Begin again with the first pause."""
        self._failures = 0

    def failed(self) -> float:
        """Return how many seconds to wait: at least what `first_s` says, and half more at most."""
        first = max(self.first_s, LEAST_S)
        pause: float = min(first * 2**self._failures, max(first, self._longest_s))
        self._failures = min(self._failures + 1, _DOUBLINGS)
        # All clients of a restarted server would otherwise come back in the same instant.
        return pause * random.uniform(1.0, 1.5)  # noqa: S311
