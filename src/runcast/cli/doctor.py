"""`runcast doctor`: what runcast needs, and whether it is there."""

import os
from pathlib import Path

import click

from runcast.cli.options import example, server_option, server_was_named, settings_options
from runcast.cli.tables import table_lines

_COLOURS = {"note": "yellow", "wrong": "red"}


@click.command(epilog=example("runcast doctor --data-dir ./state"))
@server_option
@settings_options
def doctor(server: str, config: Path | None, data_dir: str | None) -> int:
    """Check machine, folder, database and server.

    Ends with 1 if something has to be repaired; a note does not.
    """
    from runcast.cli.checks import Place, examine
    from runcast.config_load import load

    settings = load(config, os.environ, {"data_dir": data_dir})
    findings = list(examine(Place(settings, server, server_was_named())))
    for finding, line in zip(findings, table_lines(findings), strict=True):
        click.secho(line, fg=_COLOURS.get(finding.state))
    return 1 if any(finding.state == "wrong" for finding in findings) else 0
