"""`runcast serve`: read the settings and run the server until it is told to stop."""

import os
from pathlib import Path

import click

from runcast.cli.options import example, settings_options


@click.command(epilog=example("runcast serve --port 0 --data-dir ./state"))
@click.option("--host", metavar="ADDRESS", help="Loopback address to listen on.")
@click.option("--port", type=int, metavar="PORT", help="Port; 0 takes any free one.")
@settings_options
@click.option("--store", metavar="URL", help="Where the log is kept, such as sqlite:PATH.")
@click.option("--no-auth", is_flag=True, help="Accepted for later: nothing is authenticated yet.")
def serve(
    config: Path | None,
    host: str | None,
    port: int | None,
    data_dir: str | None,
    store: str | None,
    no_auth: bool,
) -> None:
    """Start the server.

    Settings come from these options, then RUNCAST__SECTION__NAME variables, then the settings
    file. SIGTERM ends the streams and the server; the runs go on, and the next server finds them.
    """
    from runcast.config_load import load

    flags = {
        "streaming.host": host,
        "streaming.port": port,
        "data_dir": data_dir,
        "store.url": store,
        "auth.enabled": False if no_auth else None,
    }
    settings = load(config, os.environ, flags)

    from runcast.web import server  # takes a while; a wrong setting need not wait for it

    server.serve(settings, lambda url: click.echo(f"runcast is listening on {url}"))
