"""`runcast doctor`: what runcast needs, and whether it is there."""

import os
from pathlib import Path

import click

from runcast.cli.options import example, server_option, server_was_named, settings_options
from runcast.cli.tables import print_table

_STYLES = {"ok": "green", "note": "yellow", "wrong": "bold red"}


@click.command(epilog=example("runcast doctor --data-dir ./state"))
@server_option
@settings_options
def doctor(server: str, config: Path | None, data_dir: str | None) -> int:
    """Check machine, folder, database and server.

    Ends with 1 if something has to be repaired; a note does not.
    """
    from rich.table import Table
    from rich.text import Text

    from runcast.cli.checks import Place, examine
    from runcast.config_load import load

    settings = load(config, os.environ, {"data_dir": data_dir})
    findings = list(examine(Place(settings, server, server_was_named())))
    table = Table(box=None, pad_edge=False, show_header=False)
    for what, state, detail in findings:
        table.add_row(what, Text(state, style=_STYLES[state]), Text(detail, overflow="fold"))
    print_table(table)
    return 1 if any(finding.state == "wrong" for finding in findings) else 0
