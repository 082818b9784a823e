"""`runcast logs`: what a run has said or a file has, and what is still to come."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runcast.cli.options import example, server_option, showing_options

if TYPE_CHECKING:
    from runcast.cli.lines import Output
    from runcast.client import Client, Run

# Options that do not go with a file, or with a run, and why.
_NOT_WITH_A_FILE = {
    "server": "a file is read without a server",
    "since_seq": "a file has no event numbers; see --tail",
}
_NOT_WITH_A_RUN = {"form": "the server knows how to read a run"}


@click.command(
    epilog=example("runcast logs -f nightly-42", "runcast logs -f --tail 20 ./build.log")
)
@server_option
@click.argument("name", metavar="ID|PATH")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run ends; a file never does.")
@click.option(
    "--tail",
    "-n",
    "last",
    type=click.IntRange(min=0),
    metavar="N",
    help="Begin at the last N lines of a file, or events of a run.",
)
@click.option(
    "--since-seq",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    help="Only what came after this event of the run.",
)
@click.option(
    "--format",
    "form",
    metavar="FORMAT",
    default="plain",
    show_default=True,
    help="How a file is written: plain, cri, docker-json, or a dialect such as claude.",
)
@click.option("--stdout", "stream", flag_value="stdout", help="Only its standard output.")
@click.option("--stderr", "stream", flag_value="stderr", help="Only its standard error.")
@click.option("--raw", is_flag=True, help="Leave control sequences in its output.")
@showing_options
def logs(
    name: str,
    *,
    server: str,
    follow: bool,
    last: int | None,
    since_seq: int,
    form: str,
    **showing: Any,
) -> None:
    """Show what a run has said, or what a log file has.

    A PATH has a / in it, or names a file that is there. It is read without a server. With -f it is
    followed through rotation and truncation, and need not be there yet; Ctrl-C ends that.

    Standard error goes to standard error, unless that alone is asked for; so do errors,
    questions, and what was sent to the run. On a terminal, control sequences other than colours
    are removed, since a command may print what other programs or people sent it. In a pipe or
    file every byte is kept.
    """
    if not name:
        raise click.UsageError("name a run, or the path of a file")
    if _is_path(name):
        _refuse(_NOT_WITH_A_FILE, name)
        _show_file(name, form, last, showing, follow=follow)
    else:
        _refuse(_NOT_WITH_A_RUN, name)
        _show_run(server, name, since_seq, last, showing, follow=follow)


def _is_path(name: str) -> bool:
    """Tell whether a file is meant; where a run has its name, --server says that the run is."""
    return "/" in name or (not any(map(_is_given, _NOT_WITH_A_FILE)) and Path(name).is_file())


def _refuse(options: Mapping[str, str], name: str) -> None:
    for option, reason in options.items():
        if _is_given(option):
            context = click.get_current_context()
            shown = next(one for one in context.command.params if one.name == option).opts[0]
            raise click.UsageError(f"{shown} does not go with {name!r}: {reason}")


def _is_given(option: str) -> bool:
    """Tell whether an option is on the command line; a variable says nothing of this command."""
    source = click.get_current_context().get_parameter_source(option)
    return source is click.core.ParameterSource.COMMANDLINE


def _show_file(
    name: str, form: str, last: int | None, showing: Mapping[str, Any], *, follow: bool
) -> None:
    from runcast.cli.files import Reading, find_format
    from runcast.cli.following import Followed, follow_file, print_file
    from runcast.cli.notes import note
    from runcast.cli.printer import Printer

    path = Path(name).absolute()
    _refuse_folder(path, name)
    reading = Reading(str(path), find_format(form), last)
    printer = Printer(**_look(showing), answerable=False)
    if follow:
        follow_file(Followed(reading, printer, lambda reason: note(f"{name}: {reason}")))
    print_file(reading, printer)


def _show_run(
    server: str,
    run_id: str,
    after: int,
    last: int | None,
    showing: Mapping[str, Any],
    *,
    follow: bool,
) -> None:
    from runcast.cli.printer import Printer, is_answerable
    from runcast.client import Client
    from runcast.client.following import of_run

    with Client(server) as client:
        run = _find_run(client, run_id)
        printer = Printer(**_look(showing), answerable=is_answerable(run.stdin))
        head = run.last_seq
        if last is not None:
            # The status that ends a run is an event of which nothing is shown.
            after = max(after, head - last - (run.ended_at is not None))
        if after >= head and not follow:
            return
        for events in client.pieces(of_run(run_id, after)):
            for event in events:
                printer.add(event)
                if event.id >= head and not follow:
                    printer.flush()
                    return
            printer.flush()


def _find_run(client: "Client", name: str) -> "Run":
    from runcast.client import BadRequest, NoServer, NotFound

    try:
        return client.get(name)
    except (NoServer, BadRequest, NotFound):
        _refuse_folder(Path(name), name)
        raise


def _refuse_folder(path: Path, name: str) -> None:
    if path.is_dir():
        raise click.UsageError(f"{name!r} is a folder; see: runcast tail")


def _look(showing: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the options say of how a printer prints."""
    stream = showing["stream"]
    both: dict[str, Output] = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
    return {
        "outputs": {stream: sys.stdout.buffer} if stream else both,
        "exact": showing["raw"],
        "coloured": not showing["no_color"],
        "verbose": showing["verbose"],
    }
