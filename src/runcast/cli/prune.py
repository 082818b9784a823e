"""`runcast prune`: remove ended runs, through the server or on the folder itself."""

import os
from pathlib import Path
from typing import Any

import click

from runcast.cli.options import (
    Duration,
    example,
    server_option,
    server_was_named,
    settings_options,
)


@click.command(epilog=example("runcast prune --max-age 7d"))
@server_option
@settings_options
@click.option("--max-age", type=Duration(), help="Remove what ended longer ago: 12h, 7d.")
@click.option(
    "--max-count", type=click.IntRange(min=0), metavar="N", help="Keep this many, the newest."
)
@click.option(
    "--max-bytes",
    type=click.IntRange(min=0),
    metavar="BYTES",
    help="Keep this many bytes, the newest.",
)
def prune(server: str, config: Path | None, data_dir: str | None, **limits: Any) -> None:
    """Remove ended runs with their output, for good.

    Works on the data folder if no server runs and none was named.
    """
    from runcast.client import Client, NoServer

    given = {name: value for name, value in limits.items() if value is not None}
    if not given:
        raise click.UsageError("say what to remove: --max-age, --max-count or --max-bytes")
    try:
        with Client(server) as client:
            removed = client.prune(**given)
    except NoServer:
        if server_was_named():
            raise
        removed = _prune_folder(config, data_dir, given)
    click.echo(f"removed {removed} {'run' if removed == 1 else 'runs'}")


def _prune_folder(config: Path | None, data_dir: str | None, limits: dict[str, Any]) -> int:
    import asyncio

    from runcast.config_load import load
    from runcast.runtime.offline import prune_folder
    from runcast.runtime.retention import PruneLimits

    settings = load(config, os.environ, {"data_dir": data_dir})
    return asyncio.run(prune_folder(settings, PruneLimits(**limits)))
