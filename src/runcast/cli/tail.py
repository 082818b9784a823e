"""`runcast tail`: all log files below a folder, as they grow."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from runcast.cli.options import example, showing_options

if TYPE_CHECKING:
    from runcast.cli.following import Followed
    from runcast.cli.notes import Notes


@click.command(
    epilog=example("runcast tail ./logs", "runcast tail /var/log/pods --format cri --lines 0")
)
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False))
@click.option(
    "--glob",
    metavar="GLOB",
    default="**/*",
    show_default=True,
    help="Which files: *, ? and [...] within a name, ** for any folders.",
)
@click.option(
    "--format",
    "form",
    metavar="FORMAT",
    default="plain",
    show_default=True,
    help="How the files are written: plain, cri, docker-json, or a dialect such as claude.",
)
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(min=0),
    metavar="N",
    default=10,
    show_default=True,
    help="Begin each file at its last N lines.",
)
@click.option("--from-start", is_flag=True, help="Begin each file at its first line.")
@click.option("--raw", is_flag=True, help="Leave control sequences in what the files have.")
@showing_options
def tail(
    folder: str, *, glob: str, form: str, lines: int, from_start: bool, **showing: bool
) -> NoReturn:
    """Show the log files of a folder as they grow.

    Each line begins with the name of its file. Files that come later are shown from their
    beginning. Those that rotation renames or copies are not shown again, and what is no text is
    left out. A server is not needed. Ctrl-C ends it.

    As with `runcast logs`, standard error goes to standard error if the format tells it, and
    control sequences other than colours are removed on a terminal.
    """
    from runcast.cli.changes import Changes
    from runcast.cli.files import find_format
    from runcast.cli.folder import Folder
    from runcast.cli.notes import Notes
    from runcast.tail.scan import Scanner

    notes = Notes()
    files = _Files(find_format(form), notes, showing)
    scanner = Scanner(str(Path(folder).resolve()), glob, None)
    with Changes() as changes:
        Folder(scanner, files.open, None if from_start else lines, notes.add).follow(
            changes, notes.say
        )


class _Files:
    """Opens files that are all printed to the standard streams."""

    def __init__(self, form: tuple[str, str], notes: "Notes", showing: dict[str, Any]) -> None:
        from runcast.cli.prefixes import Cursor, Names
        from runcast.cli.tables import terminal_width

        self._form = form
        self._notes = notes
        self._exact = showing["raw"]
        self._coloured = not showing["no_color"]
        self._verbose = showing["verbose"]
        width = terminal_width()
        self._names = Names(width, coloured=self._coloured and width is not None)
        self._streams = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
        shared = Cursor()
        apart = not all(file.isatty() for file in self._streams.values())
        self._cursors = {name: Cursor() if apart else shared for name in self._streams}

    def open(self, name: str, path: str, lines: int | None) -> "Followed":
        """Make what follows a file from its last lines on, or from its beginning."""
        from runcast.cli.files import Reading
        from runcast.cli.following import Followed
        from runcast.cli.prefixes import Prefixed
        from runcast.cli.printer import Printer

        prefix = self._names.add(name)
        printer = Printer(
            {
                stream: Prefixed(file, self._cursors[stream], prefix)
                for stream, file in self._streams.items()
            },
            exact=self._exact,
            coloured=self._coloured,
            verbose=self._verbose,
            answerable=False,
            indent=prefix.columns,
        )
        reading = Reading(path, self._form, lines)
        return Followed(reading, printer, lambda reason: self._notes.add(name, reason))
