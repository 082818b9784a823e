"""`runcast cancel`: end runs before their time."""

import click

from runcast.cli.options import example, server_option


@click.command(epilog=example("runcast cancel nightly-42"))
@server_option
@click.argument("run_ids", metavar="ID...", nargs=-1, required=True)
def cancel(server: str, run_ids: tuple[str, ...]) -> int:
    """Ask runs to end.

    What has not ended after its grace time is killed, with all that it started.
    """
    from runcast.client import ApiError, Client

    refused = 0
    with Client(server) as client:
        for run_id in run_ids:
            try:
                run = client.cancel(run_id)
            except ApiError as error:
                refused += 1
                click.echo(f"runcast: {error.message} ({error.code})", err=True)
            else:
                click.echo(f"{run.id} {'cancelling' if run.ended_at is None else 'ended'}")
    return 1 if refused else 0
