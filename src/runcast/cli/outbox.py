"""`runcast outbox`: what programs could not report yet, and what will never be taken."""

import time
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
    aside = sum(item.state != "waiting" for item in outbox.items())
    if aside:
        click.echo(f"{_items(aside)} set aside; see why with: {next_command('outbox')}", err=True)


def _drop(outbox: "Outbox", numbers: tuple[int, ...]) -> None:
    click.echo(f"dropped {_items(_each(outbox.drop, numbers, 'there is no item'))}")


def _retry(outbox: "Outbox", numbers: tuple[int, ...]) -> None:
    again = _each(outbox.retry, numbers, "nothing was set aside as item")
    click.echo(f"{_items(again)} waiting again; send with: {next_command('outbox flush')}")


def _each(change: Callable[[int], int], numbers: tuple[int, ...], complaint: str) -> int:
    changed = 0
    for number in numbers:
        done = change(number)
        if not done:
            raise click.ClickException(f"{complaint} {number}")
        changed += done
    return changed


def _renew(outbox: "Outbox") -> None:
    outbox.renew()
    click.echo("the outbox is whole")


def _items(count: int) -> str:
    return f"{count} {'item' if count == 1 else 'items'}"


_OF_ALL: dict[str, Callable[["Outbox"], None]] = {
    "list": _list,
    "flush": _flush,
    "renew": _renew,
}
_OF_ITEMS: dict[str, Callable[["Outbox", tuple[int, ...]], None]] = {
    "drop": _drop,
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
    is too old to be sent without the risk of being done twice) is not sent: `retry` lets it wait
    again, `drop` removes it, both together with what depends on it. `flush` sends what waits for
    the server. `renew` begins a new file after one that was damaged.
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
