"""`runcast ps`: the runs there are."""

import time
from shlex import join
from typing import Any

import click

from runcast.cli.options import example, server_option
from runcast.cli.tables import print_table
from runcast.cli.terminal import clean
from runcast.core.times import format_duration, parse_time

_ALIVE = "queued,running"


@click.command(epilog=example("runcast ps --all --json"))
@server_option
@click.option("--all", "-a", "everything", is_flag=True, help="Ended runs, too.")
@click.option("--limit", "-n", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of runs.")
def ps(server: str, *, everything: bool, limit: int, as_json: bool) -> None:
    """List the queued and running runs, newest first."""
    import msgspec

    from runcast.client.http import Client

    with Client(server) as client:
        runs = client.list_runs(limit, **({} if everything else {"status": _ALIVE}))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(runs)))
    else:
        _print_table(runs)


def _print_table(runs: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("ID", no_wrap=True)
    table.add_column("STATUS", no_wrap=True)
    table.add_column("EXIT", justify="right", no_wrap=True)
    table.add_column("TIME", justify="right", no_wrap=True)
    # The only column that may shrink; its cells stay on one line by themselves.
    table.add_column("COMMAND")
    now = time.time()
    for run in runs:
        table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row(run, now)))
    print_table(table)


def row(run: dict[str, Any], now: float) -> tuple[str, ...]:
    """Make a run's cells; a command is shown as a shell would take it, without control codes."""
    ended = now if run["ended_at"] is None else parse_time(run["ended_at"]) / 1e6
    started = None if run["started_at"] is None else parse_time(run["started_at"]) / 1e6
    reason = "" if run["reason"] in (None, "exit", run["status"]) else f" ({run['reason']})"
    code = run["signal"] if run["exit_code"] is None else run["exit_code"]
    return (
        run["id"],
        run["status"] + reason,
        "" if code is None else str(code),
        "" if started is None else format_duration(ended - started),
        " ".join(clean(join(run["command"] or [])).split()),
    )
