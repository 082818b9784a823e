"""`runcast approve`: answer what an agent asks before it uses a tool."""

from shlex import quote
from typing import TYPE_CHECKING

import click

from runcast.cli.options import example, next_command, server_option
from runcast.cli.terminal import one_line

if TYPE_CHECKING:
    from runcast.client import Client
    from runcast.client.types import Approval

_AMBIGUOUS = 2


@click.command(
    epilog=example(
        "runcast approve nightly-42",
        "runcast approve nightly-42 --deny --message 'use the staging'",
    )
)
@server_option
@click.option("--deny", is_flag=True, help="Say no; otherwise yes.")
@click.option("--message", metavar="TEXT", help="What to tell the agent with it.")
@click.argument("run_id", metavar="ID")
@click.argument("approval_id", metavar="[APPROVAL]", required=False)
def approve(
    server: str, run_id: str, approval_id: str | None, *, deny: bool, message: str | None
) -> int:
    """Allow or deny what an agent asks for.

    Without APPROVAL, the only question that is open; if there are several, they are listed, and
    the command ends with 2. The first answer counts, whoever gives it.
    """
    from runcast.client import Client

    with Client(server) as client:
        chosen = [approval_id] if approval_id else _open_questions(client, run_id)
        if len(chosen) > 1:
            return _AMBIGUOUS
        if not chosen:
            click.echo(f"runcast: run {run_id} asks nothing", err=True)
            return 1
        client.approve(run_id, chosen[0], "deny" if deny else "allow", message=message)
    click.echo(f"{one_line(chosen[0])} {'denied' if deny else 'allowed'}")
    return 0


def _open_questions(client: "Client", run_id: str) -> list[str]:
    """Return the ids of the pending approvals, and show them if there are several."""
    pending = [one for one in client.approvals(run_id) if one.state == "pending"]
    if len(pending) > 1:
        _show(run_id, pending)
    return [one.id for one in pending]


def _show(run_id: str, pending: "list[Approval]") -> None:
    from runcast.cli.render import Look, dress, question

    look = Look(cleaned=True, coloured=False, width=0)
    click.echo(f"runcast: run {run_id} asks {len(pending)} questions; choose one:", err=True)
    for one in pending:
        words = f"approve {quote(run_id)} {quote(one_line(one.id))}"
        click.echo(f"{next_command(words)}  # {one_line(one.tool)}", err=True)
        for shown in question(one.said):
            click.echo(dress(shown, look), err=True, nl=False)
