"""What several commands have in common: the server's address, settings and durations."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

import click

from runcast.core.errors import BadRequest
from runcast.core.times import parse_duration

DEFAULT_SERVER = "http://127.0.0.1:7890"
SERVER_VARIABLE = "RUNCAST_SERVER"

Command = TypeVar("Command", bound=Callable[..., Any])


class Duration(click.ParamType[float]):
    """Seconds, or a text such as 90s, 15m, 12h, 7d; converted to seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read the duration, or fail with the forms it may have."""
        try:
            return parse_duration(value, self.name if param is None else str(param.name))
        except BadRequest as error:
            self.fail(error.message, param, ctx)


def server_option(command: Command) -> Command:
    """Add `--server`."""
    return click.option(
        "--server",
        metavar="URL",
        envvar=SERVER_VARIABLE,
        show_envvar=True,
        default=DEFAULT_SERVER,
        show_default=True,
        help="Address of the server.",
    )(command)


def settings_options(command: Command) -> Command:
    """Add `--config` and `--data-dir`."""
    file = click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="Settings file; otherwise ./runcast.yaml if there is one.",
    )
    folder = click.option("--data-dir", metavar="PATH", help="Folder of the runs and the database.")
    return file(folder(command))


def color_option(command: Command) -> Command:
    """Add `--no-color`; the colour is off, too, where NO_COLOR is set."""
    return click.option(
        "--no-color",
        is_flag=True,
        default=lambda: bool(os.environ.get("NO_COLOR")),
        help="Add no colours; the variable NO_COLOR does the same.",
    )(command)


def showing_options(command: Command) -> Command:
    """Add `--verbose` and `--no-color`."""
    verbose = click.option(
        "--verbose", "-v", is_flag=True, help="Show progress and custom events, too."
    )
    return verbose(color_option(command))


def pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    """Split NAME=VALUE texts; raise BadParameter for another form."""
    for pair in given:
        if "=" not in pair[1:]:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint=option)
    return dict(pair.split("=", 1) for pair in given)


def read_stdin() -> str:
    """Read standard input to its end, as UTF-8 and not as the locale has it."""
    return sys.stdin.buffer.read().decode()


def server_was_named() -> bool:
    """Whether the current command was told which server to use, rather than assuming one."""
    source = click.get_current_context().get_parameter_source("server")
    return source is not click.core.ParameterSource.DEFAULT


def next_command(words: str) -> str:
    """Make a command line to go on with, for the same server as the current command."""
    context = click.get_current_context()
    if context.get_parameter_source("server") is not click.core.ParameterSource.COMMANDLINE:
        return f"runcast {words}"
    return f"runcast {words} --server {quote(context.params['server'])}"


def example(*lines: str) -> str:
    """Make the epilog of a command's help: lines to copy."""
    return "\n  ".join(("\b\nExample:", *lines))
