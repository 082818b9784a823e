"""`runcast grep`: which runs have said something, and when."""

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from runcast.cli.matches import MatchLook, notes, show_match
from runcast.cli.options import color_option, example, server_option

if TYPE_CHECKING:
    from runcast.client import Client

_PAGE = 500  # matches that one answer may hold
_NOTHING_FOUND = 1

Page = Mapping[str, Any]


@click.command(epilog=example("runcast grep --since 1h -C 2 Traceback"))
@server_option
@click.argument("text")
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(min=1),
    metavar="N",
    default=50,
    show_default=True,
    help="Show at most this many matches.",
)
@click.option(
    "--context",
    "-C",
    type=click.IntRange(0, 10),
    metavar="N",
    default=0,
    help="Show so many events before and after each match, too.",
)
@click.option("--workspace", metavar="ID", help="Only runs of this workspace.")
@click.option("--run", metavar="ID", help="Only this run.")
@click.option("--since", metavar="TIME", help="Only the last 15m, 12h, 7d; or an RFC 3339 time.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of matches.")
@color_option
def grep(
    server: str, text: str, *, limit: int, as_json: bool, no_color: bool, **where: str | int | None
) -> int:
    """Find a text in what runs have said, the newest first.

    The text is taken as it stands: it is no pattern, and upper and lower case differ. A line is
    the run, the number of the event in it, its time, and what it says. All that is kept is
    searched, however long that takes, unless --limit is reached before.

    Ends with 0 if something was found, 1 if not, 2 for errors.
    """
    from runcast.client import Client

    given = {name: value for name, value in where.items() if value is not None}
    with Client(server) as client:
        pages = _pages(client, text, limit, given)
        found = _print_json(pages) if as_json else _print_lines(pages, text, colour=not no_color)
    return 0 if found else _NOTHING_FOUND


def _pages(client: "Client", text: str, limit: int, where: Mapping[str, Any]) -> Iterator[Page]:
    """Yield answers until the search is complete or has found enough; then say if it is not."""
    from runcast.client.calls import found

    page: Page = client.request(found(dict[str, Any], text, {**where, "limit": min(limit, _PAGE)}))
    yield page
    left = limit - len(page["matches"])
    while left and not page["complete"]:
        going_on = {**where, "before": page["next_before"], "limit": min(left, _PAGE)}
        page = client.request(found(dict[str, Any], text, going_on))
        yield page
        left -= len(page["matches"])
    for note in notes(page):
        click.echo(f"runcast: {note}", err=True)


def _print_lines(pages: Iterator[Page], text: str, *, colour: bool) -> bool:
    terminal = sys.stdout.isatty()
    look = MatchLook(cleaned=terminal, coloured=terminal and colour)
    found = False
    for page in pages:
        for match in page["matches"]:
            apart = "--\n" if found and (match["before"] or match["after"]) else ""
            click.echo((apart + show_match(match, text, look)).encode(), nl=False)
            found = True
    return found


def _print_json(pages: Iterator[Page]) -> bool:
    import msgspec

    matches = [match for page in pages for match in page["matches"]]
    click.echo(msgspec.json.format(msgspec.json.encode(matches)))
    return bool(matches)
