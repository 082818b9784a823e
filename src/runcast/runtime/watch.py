"""Hints that a run's folder has changed."""

from collections.abc import Callable

from runcast.tail.hints import MODIFY, MOVED_TO, Hints, Ticket


class Watch:
    """Calls back when a watched folder's files are written to or renamed into it.

    At the pace of `Hints`, which `hold` may slow down. Where the system gives no hints,
    `available` is False and nothing is ever called back.
    """

    def __init__(self, hold: Callable[[], float]) -> None:
        self._hints = Hints(hold)

    @property
    def available(self) -> bool:
        """Whether the system gives hints."""
        return self._hints.available

    def add(
        self, folder: str, written: Callable[[], None], renamed: Callable[[], None]
    ) -> Ticket | None:
        """Watch a folder; return a handle for `remove`, or None if it cannot be watched.

        `written` is called when a file grew, `renamed` when one was put in place, and when
        hints were lost.
        """

        def told(_name: str, mask: int) -> None:
            if mask & MODIFY:
                written()
            if mask & ~MODIFY:
                renamed()

        return self._hints.add(folder, MODIFY | MOVED_TO, told)

    def remove(self, ticket: Ticket | None) -> None:
        """Stop watching."""
        self._hints.remove(ticket)

    def close(self) -> None:
        """Stop everything."""
        self._hints.close()
