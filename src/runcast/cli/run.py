"""`runcast run`: submit a command, an agent or a tool, show what it says, end as it ended."""

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from runcast.cli.interrupts import Detached, Interrupts
from runcast.cli.options import (
    Duration,
    example,
    next_command,
    server_option,
    showing_options,
)
from runcast.cli.outcome import OWN_ERROR, exit_code, explain
from runcast.cli.submission import make_spec
from runcast.cli.terminal import one_line

if TYPE_CHECKING:
    from runcast.cli.printer import Printer
    from runcast.client import Client

PATIENCE_S = 60.0  # a server that restarts is back long before; the run goes on either way


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog=example(
        "runcast run -- bash -c 'for i in 1 2 3; do echo $i; sleep 1; done'",
        "runcast run --agent claude --interactive why does the build fail",
        "runcast run --tool deploy --arg target=staging",
    ),
)
@server_option
@click.option(
    "--agent", metavar="NAME", help="Run this agent; the words are its prompt, - reads it."
)
@click.option("--tool", metavar="NAME", help="Run this tool of the server's settings.")
@click.option("--arg", metavar="NAME=VALUE", multiple=True, help="An argument of the tool.")
@click.option("--interactive", "-i", is_flag=True, help="Keep its input open for `runcast send`.")
@click.option("--detach", "-d", is_flag=True, help="Print the run's id and do not wait for it.")
@click.option("--id", "run_id", metavar="ID", help="Id of the run; otherwise a new UUIDv7.")
@click.option("--task-id", metavar="ID", help="Task that the run belongs to.")
@click.option("--cwd", metavar="DIR", help="Folder to run in; otherwise the current one.")
@click.option("--env", "-e", metavar="NAME=VALUE", multiple=True, help="Set a variable.")
@click.option("--timeout", type=Duration(), help="End the run after this time: 90s, 15m, 12h.")
@click.option("--grace", type=Duration(), help="Time between asking the run to end and killing it.")
@click.option("--dialect", metavar="NAME", help="How to read its output; otherwise as plain lines.")
@click.option("--stdin", metavar="TEXT", help="Text for its standard input; - reads ours.")
@showing_options
@click.argument("words", metavar="COMMAND...", nargs=-1, type=click.UNPROCESSED)
def run(
    server: str,
    *,
    detach: bool,
    verbose: bool,
    no_color: bool,
    words: tuple[str, ...],
    **options: Any,
) -> int:
    """Run a command or an agent and show its output.

    Without --stdin and --interactive, a command reads nothing; an agent reads the answers to what
    it asks. Ctrl-C leaves the run running; twice within 2 seconds cancels it. With --agent, the
    words are the prompt; with --tool, there are none.

    Ends with the command's own exit code; 128 + n for signal n, 124 after the timeout, 127 if
    there is no such command, 126 if it cannot be executed or its folder not be entered, 125 for
    errors of runcast, 141 if nobody reads the output any more, 130 if it was cancelled. An agent
    that failed and ended with 0 gives 1.
    """
    from runcast.cli.printer import Printer, is_answerable
    from runcast.client import Client

    spec = make_spec(words, **options)
    with Client(server) as client:
        started = client.start(**spec)
        run_id = started.id
        try:
            if detach:
                click.echo(run_id)
                return 0
            if options["interactive"]:
                _say(f"send it text with: {next_command(f'send {run_id} TEXT')}")
            outputs = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
            printer = Printer(
                outputs,
                exact=True,
                coloured=not no_color,
                verbose=verbose,
                answerable=is_answerable(started.stdin),
            )
            with Interrupts(lambda: _ask(run_id), lambda: _cancel(server, run_id)):
                return _show(client, run_id, printer)
        except Detached:
            _say(f"detached; follow it with: {next_command(f'logs -f {run_id}')}")
            return 0
        except OSError as error:
            end = next_command(f"cancel {run_id}")
            error.add_note(f"run {run_id} goes on, end it with: {end}")
            raise


def _show(client: "Client", run_id: str, printer: "Printer") -> int:
    from runcast.client.following import of_run

    for events in client.pieces(of_run(run_id, patience_s=PATIENCE_S)):
        for event in events:
            printer.add(event)
            if event.event == "end" and event.data.get("deleted"):
                _say(f"run {run_id} was deleted")
                return OWN_ERROR
        printer.flush()
    ended = client.get(run_id)
    reason = explain(ended)
    if reason not in (None, printer.last_error):
        _say(reason)
    return exit_code(ended)


def _ask(run_id: str) -> None:
    _say(f"run {run_id} goes on; Ctrl-C again within 2 s to cancel it")


def _cancel(server: str, run_id: str) -> None:
    """Cancel over a connection of its own: the other one is in the middle of a read."""
    from runcast.client import Client, ClientError

    try:
        with Client(server) as client:
            client.cancel(run_id)
    except ClientError as error:
        _say(error.message)


def _say(text: str) -> None:
    # Straight to the descriptor: a signal may have come in the middle of a buffered write.
    with suppress(OSError):
        os.write(sys.stderr.fileno(), f"runcast: {one_line(text)}\n".encode())
