"""`runcast outbox`: what programs could not report yet, and what will never be taken."""

import shlex
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runcast.cli.options import example, next_command, server_option
from runcast.cli.tables import table_lines, terminal_width
from runcast.cli.terminal import one_line
from runcast.core.times import format_duration

if TYPE_CHECKING:
    from runcast.client.outbox import Outbox
    from runcast.client.queue_rows import Item

_HEAD = ("ID", "STATE", "WHAT", "AGE", "SERVER", "PROCESS", "WHY")
_NUMBERS = (0,)  # columns that are compared by their ends


def _list(outbox: "Outbox") -> None:
    items = outbox.items()
    now = time.time()
    rows = [_HEAD, *(_row(item, now) for item in items)]
    click.echo("\n".join(table_lines(rows, terminal_width(), _NUMBERS)) if items else "it is empty")


def _row(item: "Item", now: float) -> tuple[str, ...]:
    return (
        str(item.number),
        item.state,
        item.kind,
        format_duration(now - item.kept_at / 1e6),
        one_line(item.server),
        one_line(item.process or ""),
        one_line(item.said),
    )


def _flush(outbox: "Outbox") -> None:
    click.echo(f"sent {_items(outbox.flush())}")
    items = outbox.items()
    others = Counter(item.server for item in items if item.state == "waiting")
    for server, count in others.items():
        click.echo(f"{_items(count)} waiting for {one_line(server)}", err=True)
    here = outbox.server
    if aside := sum(item.state != "waiting" and item.server == here for item in items):
        raise click.ClickException(f"{_items(aside)} set aside; see why with: {_next('list')}")


def _renew(outbox: "Outbox") -> None:
    aside = outbox.renew()
    click.echo("the outbox is whole" if aside is None else f"begun anew; the old file is {aside}")


def _drop(outbox: "Outbox", numbers: tuple[int, ...]) -> None:
    click.echo(f"dropped {_items(outbox.drop(*numbers))}")


def _drop_alone(outbox: "Outbox", numbers: tuple[int, ...]) -> None:
    click.echo(f"dropped {_items(outbox.drop_alone(*numbers))}")


def _retry(outbox: "Outbox", numbers: tuple[int, ...]) -> None:
    again = _items(outbox.retry(*numbers))
    click.echo(f"{again} waiting again; send with: {_next('flush')}")


def _next(action: str) -> str:
    """Make the command line that does something else with the same file, for the same server."""
    file = click.get_current_context().params["file"]
    words = ["outbox", action, *([] if file is None else ["--file", str(file)])]
    return next_command(shlex.join(words))


def _items(count: int) -> str:
    return f"{count} {'item' if count == 1 else 'items'}"


_OF_ALL: dict[str, Callable[["Outbox"], None]] = {
    "list": _list,
    "flush": _flush,
    "renew": _renew,
}
_OF_ITEMS: dict[str, Callable[["Outbox", tuple[int, ...]], None]] = {
    "drop": _drop,
    "drop-alone": _drop_alone,
    "retry": _retry,
}


@click.command(epilog=example("runcast outbox", "runcast outbox flush", "runcast outbox retry 7 9"))
@server_option
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The outbox; otherwise ~/.local/state/runcast/outbox.db.",
)
@click.argument("action", type=click.Choice([*_OF_ALL, *_OF_ITEMS]), default="list")
@click.argument("numbers", metavar="[ID]...", type=int, nargs=-1)
def outbox(server: str, file: Path | None, action: str, numbers: tuple[int, ...]) -> None:
    """Look after what programs keep while their server is away.

    `list` shows it in the order in which it will be sent. What is `refused` or has `expired` (it
    was tried so long ago that it could be done twice) is not sent: `retry` lets it wait again,
    `drop` removes it, both together with what was set aside because of it; `drop-alone` leaves
    that. `flush` sends what waits for the server, and fails if anything for it is set aside.
    `renew` begins a new file in place of one that is damaged or no outbox.
    """
    from runcast.client.outbox import Outbox
    from runcast.client.sync import Client

    if bool(numbers) != (action in _OF_ITEMS):
        raise click.UsageError(f"{action} takes {'no' if numbers else 'an'} ID")
    with Client(server) as client:
        kept = Outbox(client, file)
        if action in _OF_ITEMS:
            _OF_ITEMS[action](kept, numbers)
        else:
            _OF_ALL[action](kept)
