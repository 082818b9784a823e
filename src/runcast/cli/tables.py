"""Printing a table as wide as the terminal, or as it needs where there is none."""

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

_UNLIMITED_WIDTH = 240  # in a pipe nothing is gained by fitting a window


def print_table(table: "Table") -> None:
    """Write the table to standard output; raises BrokenPipeError once nobody reads."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else _UNLIMITED_WIDTH, highlight=False)
    # Captured, since rich itself would answer a reader that left by ending the program.
    with console.capture() as captured:
        console.print(table)
    click.echo(captured.get(), nl=False)
