"""`runcast send`: give a run text to read."""

import sys

import click

from runcast.cli.options import example, read_stdin, server_option


@click.command(
    epilog=example(
        "runcast send nightly-42 now the tests, please", "cat notes.txt | runcast send nightly-42"
    )
)
@server_option
@click.option("--no-newline", is_flag=True, help="Add no line end to the text.")
@click.option("--eof", is_flag=True, help="End its input after the text.")
@click.argument("run_id", metavar="ID")
@click.argument("words", metavar="[TEXT]...", nargs=-1)
def send(server: str, run_id: str, words: tuple[str, ...], *, no_newline: bool, eof: bool) -> None:
    """Send text to a run that was started with --interactive.

    The words are joined by blanks and end with a line end; without any, standard input is sent
    as it is. A command reads the text from its standard input, an agent takes it as a prompt.
    """
    from runcast.client import Client

    newline = bool(words) and not no_newline
    # Somebody who only ends the input at a terminal has nothing to type first.
    ending = not words and eof and sys.stdin.isatty()
    text = "" if ending else " ".join(words) if words else read_stdin()
    if newline and not text:
        text, newline = "\n", False  # an empty line is text, too
    if not (text or eof):
        raise click.UsageError("there is nothing to send: no TEXT, and standard input is empty")
    with Client(server) as client:
        client.send(run_id, text, newline=newline, eof=eof)
