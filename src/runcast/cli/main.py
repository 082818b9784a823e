"""The entry point: finds the command, and turns every error into one line and an exit code."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from runcast import __version__
from runcast.cli.terminal import clean
from runcast.client.errors import ClientError
from runcast.core.errors import ConfigError, RuncastError

# Name of a command -> "module:attribute", imported when it is needed.
COMMANDS: dict[str, str] = {
    "serve": "runcast.cli.serve:serve",
    "run": "runcast.cli.run:run",
    "ps": "runcast.cli.ps:ps",
    "logs": "runcast.cli.logs:logs",
    "tail": "runcast.cli.tail:tail",
    "grep": "runcast.cli.grep:grep",
    "cancel": "runcast.cli.cancel:cancel",
    "send": "runcast.cli.send:send",
    "approve": "runcast.cli.approve:approve",
    "outbox": "runcast.cli.outbox:outbox",
    "agents": "runcast.cli.programs:agents",
    "tools": "runcast.cli.programs:tools",
    "prune": "runcast.cli.prune:prune",
    "doctor": "runcast.cli.doctor:doctor",
    "demo": "runcast.cli.demo:demo",
}

# `run` ends with its child's exit code, so its own failures need one that children do not use;
# `grep` ends with 1 where nothing was found.
OWN_FAILURE: dict[str, int] = {"run": 125, "grep": 2}

HINTS: dict[str, str] = {"no_server": "; start one with: runcast serve"}

_CONFIG_FAILURE = 2
_INTERRUPTED = 130
_BROKEN_PIPE = 141  # what a shell reports of a program that SIGPIPE ended


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the table."""
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None if there is none of this name."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; end if nobody reads what it writes, quietly if nothing stays behind."""
        try:
            code: object = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            _forget_stdout()
            if notes := _notes(error):
                _complain(f"nobody reads on; {notes}")
            return _BROKEN_PIPE
        return code


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="runcast")
def cli() -> None:
    """Run any command or coding agent, keep all it says in a durable log, and stream it live."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; no error shows a traceback."""
    _open_streams()
    arguments = sys.argv[1:] if args is None else list(args)
    command = next((word for word in arguments if not word.startswith("-")), "")
    sys.exit(_invoke(arguments, OWN_FAILURE.get(command, 1)))


def _invoke(arguments: list[str], own_failure: int) -> int:
    try:
        code = cli.main(arguments, prog_name="runcast", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return max(error.exit_code, own_failure)
    except click.ClickException as error:
        error.show()
        return own_failure
    except ConfigError as error:
        _report(error)
        return max(_CONFIG_FAILURE, own_failure)
    except (RuncastError, ClientError) as error:
        _report(error)
        return own_failure
    except UnicodeError:
        _complain("the arguments, the variables and the input must be UTF-8 text")
        return own_failure
    except OSError as error:
        _forget_stdout()
        _complain("; ".join(filter(None, [_reason(error), _notes(error)])))
        return own_failure
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    return code or 0


def _report(error: RuncastError | ClientError) -> None:
    _complain(f"{error.message}{HINTS.get(error.code, '')} ({error.code})")


def _complain(text: str) -> None:
    with suppress(OSError):  # where to, if not even this can be written
        click.echo(f"runcast: {' '.join(clean(text).split())}", err=True)


def _reason(error: OSError) -> str:
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename}: {reason}"


def _notes(error: BaseException) -> str:
    """Return what the command said of the state in which the error leaves things."""
    return "; ".join(getattr(error, "__notes__", ()))


def _open_streams() -> None:
    """Open the standard streams that this process was started without, on nothing."""
    # In this order each gets its own number, so that no socket can be taken for one later.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - until the end


def _forget_stdout() -> None:
    """Keep the interpreter's own flush at exit from complaining about the reader that left."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
