"""`runcast agents` and `runcast tools`: what a server can run by name."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from runcast.cli.options import example, server_option
from runcast.cli.tables import table_lines, terminal_width

if TYPE_CHECKING:
    from runcast.client.types import Argument


@click.command(epilog=example("runcast agents"))
@server_option
def agents(server: str) -> None:
    """List the agents that `runcast run --agent` can start."""
    from runcast.client import Client

    with Client(server) as client:
        rows = [(one.name, one.driver, one.dialect) for one in client.agents()]
    _print([("NAME", "DRIVER", "DIALECT"), *rows])


@click.command(epilog=example("runcast tools"))
@server_option
def tools(server: str) -> None:
    """List the tools that `runcast run --tool` can start.

    An argument in brackets may be left out; what it then is stands behind it.
    """
    from runcast.client import Client

    with Client(server) as client:
        rows = [
            (one.name, one.dialect, " ".join(_arguments(one.arguments))) for one in client.tools()
        ]
    _print([("NAME", "DIALECT", "ARGUMENTS"), *rows])


def _arguments(declared: "Mapping[str, Argument]") -> Iterator[str]:
    for name, argument in declared.items():
        shown = name if argument.default is None else f"{name}={argument.default}"
        yield shown if argument.required else f"[{shown}]"


def _print(rows: list[tuple[str, ...]]) -> None:
    click.echo("\n".join(table_lines(rows, terminal_width())))
