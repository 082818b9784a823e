"""What `runcast run` asks the server for, made of its words and options."""

from pathlib import Path
from typing import Any, Literal

import click

from runcast.cli.options import pairs, read_stdin

Kind = Literal["command", "agent", "tool"]

# Options that do not go with every kind of run -> the kinds that they go with, and their names.
_GOES_WITH: dict[str, tuple[frozenset[Kind], str]] = {
    "dialect": (frozenset({"command"}), "a command"),
    "stdin": (frozenset({"command", "tool"}), "a command or a tool"),
    "arg": (frozenset({"tool"}), "--tool"),
}
_WORDS: dict[Kind, str] = {"command": "COMMAND...", "agent": "PROMPT..."}


def make_spec(words: tuple[str, ...], **options: Any) -> dict[str, Any]:
    """Make the body that asks for the run; options that were not given are left out.

    Raises UsageError for what does not go together. Reads standard input where a `-` says so.
    """
    from runcast.runtime.data_dir import absolute

    kind = _kind(options)
    _check(kind, words, options)
    spec = {
        "id": options["run_id"],
        **_program(kind, words, options),
        "cwd": str(absolute(Path(options["cwd"] or "."))),
        "env": pairs(options["env"], "--env") or None,
        "task_id": options["task_id"],
        "timeout_s": options["timeout"],
        "grace_s": options["grace"],
        "dialect": options["dialect"],
        "stdin": "pipe" if options["interactive"] else _stdin_text(options["stdin"]),
    }
    return {name: value for name, value in spec.items() if value is not None}


def _kind(options: dict[str, Any]) -> Kind:
    if options["agent"] is not None and options["tool"] is not None:
        raise click.UsageError("--agent and --tool do not go together")
    named: tuple[Kind, ...] = ("agent", "tool")
    return next((kind for kind in named if options[kind] is not None), "command")


def _check(kind: Kind, words: tuple[str, ...], options: dict[str, Any]) -> None:
    for name, (kinds, names) in _GOES_WITH.items():
        if options[name] not in (None, ()) and kind not in kinds:
            raise click.UsageError(f"--{name} goes with {names} only")
    if options["interactive"] and options["stdin"] is not None:
        raise click.UsageError("--interactive and --stdin do not go together")
    if kind == "tool" and words:
        raise click.UsageError(f"--tool takes its arguments as --arg, not {words[0]!r}")
    if kind in _WORDS and not words:
        raise click.UsageError(f"Missing argument '{_WORDS[kind]}'.")


def _program(kind: Kind, words: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    match kind:
        case "command":
            return {"command": list(words)}
        case "tool":
            return {"tool": options["tool"], "args": pairs(options["arg"], "--arg")}
        case "agent":
            prompt = read_stdin() if words == ("-",) else " ".join(words)
            return {"agent": options["agent"], "prompt": prompt}


def _stdin_text(given: str | None) -> dict[str, str] | None:
    if given is None:
        return None
    return {"text": read_stdin() if given == "-" else given}
