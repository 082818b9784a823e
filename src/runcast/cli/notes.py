"""What people are told on standard error while other things are printed."""

from collections import defaultdict
from contextlib import suppress

import click

from runcast.cli.terminal import one_line

_NAMED = 3  # of the names that one note is about


def note(text: str) -> None:
    """Say one line; nothing happens if standard error takes none."""
    with suppress(OSError):
        click.echo(f"runcast: {one_line(text)}", err=True)


class Notes:
    """Collects what is to be said of names, so that the same is said of many in one line."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = defaultdict(list)

    def add(self, name: str, text: str) -> None:
        """Take what is to be said of a name; the name may be empty."""
        self._names[text].append(name)

    def say(self) -> None:
        """Say what was collected."""
        for text, names in self._names.items():
            shown = ", ".join(filter(None, names[:_NAMED]))
            more = len(names) - _NAMED
            who = f"{shown} and {more} more" if more > 0 else shown
            note(f"{who}: {text}" if who else text)
        self._names.clear()
