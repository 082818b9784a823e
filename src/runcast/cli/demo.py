"""`runcast demo`: something to look at."""

import click

from runcast.cli.options import example, next_command, server_option

SCRIPT = """
printf '\\033[1mbuilding\\033[0m the demo\\n'
for step in 1 2 3 4 5 6 7 8 9 10; do
  printf '\\033[32m[%2d/10]\\033[0m step %d of ten\\n' "$step" "$step"
  [ "$step" = 5 ] && echo 'warning: half way' >&2
  sleep 0.5
done
printf 'almost '
sleep 1
printf 'done\\n'
printf 'and a last line without an end'
"""


@click.command(epilog=example("runcast demo"))
@server_option
def demo(server: str) -> None:
    """Start a run that is worth watching.

    It prints progress, colours, a warning and unfinished lines.
    """
    from runcast.client import Client
    from runcast.client.calls import run_path

    with Client(server) as client:
        run_id = client.start(command=["sh", "-c", SCRIPT], metadata={"demo": True}).id
        click.echo(f"demo run {run_id}")
        click.echo(f"stream   {client.base_url}{run_path(run_id)}/stream")
        click.echo(f"follow   {next_command(f'logs -f {run_id}')}")
