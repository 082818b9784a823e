"""`runcast ps`: the runs there are."""

from datetime import UTC, datetime
from shlex import join
from typing import TYPE_CHECKING, Any

import click

from runcast.cli.options import example, server_option
from runcast.cli.tables import table_lines, terminal_width
from runcast.cli.terminal import one_line
from runcast.core.times import format_duration

if TYPE_CHECKING:
    from runcast.client.types import Run

_HEAD = ("ID", "STATUS", "EXIT", "TIME", "COMMAND")
_NUMBERS = (2, 3)  # columns that are compared by their ends
_ALIVE = "queued,running"


@click.command(epilog=example("runcast ps --all --json"))
@server_option
@click.option("--all", "-a", "everything", is_flag=True, help="Ended runs, too.")
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(min=1),
    metavar="N",
    default=100,
    show_default=True,
    help="Show at most this many.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of runs.")
def ps(server: str, *, everything: bool, limit: int, as_json: bool) -> None:
    """List the queued and running runs, newest first.

    TIME is how long a run has been running, or ran; its wait in the queue does not count. COMMAND
    is an agent's name and the beginning of its prompt. What asks waits for an answer: see `runcast
    approve`.
    """
    import msgspec

    from runcast.client import Client
    from runcast.client.calls import pages
    from runcast.client.types import Run

    where = {} if everything else {"status": _ALIVE}
    with Client(server) as client:
        sent = client.take(pages(dict[str, Any], limit, where))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(sent)))
    else:
        now = datetime.now(UTC)
        rows = [_HEAD, *(row(run, now) for run in msgspec.convert(sent, list[Run]))]
        click.echo("\n".join(table_lines(rows, terminal_width(), _NUMBERS)))


def row(run: "Run", now: datetime) -> tuple[str, ...]:
    """Make a run's cells, without control codes.

    A command is shown as a shell would take it, of an agent its prompt's beginning.
    """
    reason = "" if run.reason in (None, "exit", run.status) else f" ({run.reason})"
    code = run.signal if run.exit_code is None else run.exit_code
    return (
        run.id,
        run.status + (_asks(run.pending_approvals) or reason),
        "" if code is None else str(code),
        "" if run.started_at is None else _duration(run.started_at, run.ended_at or now),
        one_line(_doing(run)),
    )


def _duration(started: datetime, ended: datetime) -> str:
    return format_duration((ended - started).total_seconds())


def _doing(run: "Run") -> str:
    who = run.agent or run.kind
    if who is None:
        return join(run.command or [])
    return ": ".join(filter(None, (who, run.prompt_preview)))


def _asks(pending: int) -> str:
    return "" if not pending else " (asks)" if pending == 1 else f" (asks {pending})"
