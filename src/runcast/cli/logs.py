"""`runcast logs`: what a run has said, and what it still says."""

import sys

import click

from runcast.cli.options import example, server_option, showing_options


@click.command(epilog=example("runcast logs -f nightly-42"))
@server_option
@click.argument("run_id", metavar="ID")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run ends.")
@click.option(
    "--since-seq",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    help="Only what came after this event.",
)
@click.option("--stdout", "stream", flag_value="stdout", help="Only its standard output.")
@click.option("--stderr", "stream", flag_value="stderr", help="Only its standard error.")
@click.option("--raw", is_flag=True, help="Leave control sequences in its output.")
@showing_options
def logs(
    server: str,
    run_id: str,
    *,
    follow: bool,
    since_seq: int,
    stream: str | None,
    raw: bool,
    **showing: bool,
) -> None:
    """Show what a run has printed, or an agent said and did.

    Its standard error goes to standard error, unless that alone is asked for; so do errors,
    questions, and what was sent to the run. On a terminal, control sequences other than colours
    are removed, since a command may print what other programs or people sent it. In a pipe or
    file every byte is kept.
    """
    from runcast.cli.printer import Printer, is_answerable
    from runcast.client.follow import follow_pieces
    from runcast.client.http import Client

    outputs = {stream: sys.stdout} if stream else {"stdout": sys.stdout, "stderr": sys.stderr}
    with Client(server) as client:
        run = client.get_run(run_id)
        printer = Printer(
            outputs,
            exact=raw,
            coloured=not showing["no_color"],
            verbose=showing["verbose"],
            answerable=is_answerable(run),
        )
        head = run["last_seq"]
        if since_seq >= head and not follow:
            return
        for events in follow_pieces(client, run_id, since_seq):
            for event in events:
                printer.add(event)
                if event.id >= head and not follow:
                    printer.flush()
                    return
            printer.flush()
