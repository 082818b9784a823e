"""`runcast agents` and `runcast tools`: what a server can run by name."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from runcast.cli.options import example, server_option
from runcast.cli.tables import table_lines, terminal_width


@click.command(epilog=example("runcast agents"))
@server_option
def agents(server: str) -> None:
    """List the agents that `runcast run --agent` can start."""
    from runcast.client.http import Client

    with Client(server) as client:
        rows = [(one["name"], one["driver"], one["dialect"]) for one in client.agents()]
    _print([("NAME", "DRIVER", "DIALECT"), *rows])


@click.command(epilog=example("runcast tools"))
@server_option
def tools(server: str) -> None:
    """List the tools that `runcast run --tool` can start.

    An argument in brackets may be left out; what it then is stands behind it.
    """
    from runcast.client.http import Client

    with Client(server) as client:
        rows = [
            (one["name"], one["dialect"], " ".join(_arguments(one["arguments"])))
            for one in client.tools()
        ]
    _print([("NAME", "DIALECT", "ARGUMENTS"), *rows])


def _arguments(declared: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, argument in declared.items():
        default = argument.get("default")
        shown = name if default is None else f"{name}={default}"
        yield shown if argument.get("required") else f"[{shown}]"


def _print(rows: list[tuple[str, ...]]) -> None:
    click.echo("\n".join(table_lines(rows, terminal_width())))
