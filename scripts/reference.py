"""Write the generated blocks of docs/reference/, or with `--check` say which are out of date.

A block lies between `<!-- generated: NAME -->` and `<!-- end -->`; the prose around it is written
by hand.
"""

import ast
import asyncio
import inspect
import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import httpx2

from runcast import config
from runcast.cli.main import cli
from runcast.config_load import ENV_PREFIX
from runcast.core import errors
from runcast.core.events import EVENT_TYPES
from runcast.core.runs import EXTERNAL_TRANSITIONS, TRANSITIONS
from runcast.runtime.runtime import Runtime
from runcast.web.app import create_app
from runcast.web.operations import METRICS
from runcast.web.problems import STATUSES
from runcast.web.sockets import SURFACES
from runcast.wires import WIRES

ROOT = Path(__file__).parents[1]
# Codes that the web framework or a response answers with, without an error being raised.
UNRAISED = {"internal": 500, "method_not_allowed": 405, "range_not_satisfiable": 416}
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(head)
    return "".join(map(_row, [titles, ["---"] * len(titles), *rows]))


def _row(cells: Iterable[str]) -> str:
    # A bar inside a cell would end it.
    shown = (" ".join(text.split()).replace("|", "\\|") for text in cells)
    return f"| {' | '.join(shown)} |\n"


def events() -> str:
    """Every event type and what its data holds."""
    return _table(("type", "data"), ((f"`{name}`", text) for name, text in EVENT_TYPES.items()))


def transitions() -> str:
    """The statuses of a run and which may follow which."""
    rows = (
        (f"`{status}`", _names(TRANSITIONS[status]), _names(EXTERNAL_TRANSITIONS[status]))
        for status in TRANSITIONS
    )
    return _table(("from", "to, for a run that runcast executes", "to, for an external run"), rows)


def _names(statuses: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(statuses)) or "nothing: it has ended"


def error_codes() -> str:
    """Every error code, the HTTP statuses it comes with and what it means."""
    found = _statuses_by_code()
    rows = (
        (f"`{code}`", ", ".join(map(str, sorted(found.get(code, ())))), meaning)
        for code, meaning in errors.CODES.items()
    )
    return _table(("code", "status", "meaning"), rows)


def _statuses_by_code() -> dict[str, set[int]]:
    """Find with which error class, and so with which status, the source raises each code."""
    found = {code: {status} for code, status in UNRAISED.items()}
    for path in (ROOT / "src").rglob("*.py"):
        for call in filter(_is_raised, ast.walk(ast.parse(path.read_text()))):
            assert isinstance(call, ast.Call)
            code = call.args[0].value  # type: ignore[attr-defined]
            found.setdefault(code, set()).add(_status(call.func.id))  # type: ignore[attr-defined]
    return found


def _is_raised(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and hasattr(errors, node.func.id)
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value in errors.CODES
    )


def _status(class_name: str) -> int:
    return next(STATUSES[cls] for cls in getattr(errors, class_name).__mro__ if cls in STATUSES)


def settings() -> str:
    """Every setting with its variable, type, default and meaning."""
    rows = (
        (
            f"`{setting.name}`<br>`{ENV_PREFIX}{setting.name.replace('.', '__').upper()}`",
            setting.type,
            f"`{setting.default}`",
            setting.doc,
        )
        for setting in config.describe()
    )
    return _table(("setting and variable", "type", "default", "meaning"), rows)


def commands() -> str:
    """Every command with its arguments and options."""
    context = click.Context(cli, info_name="runcast")
    names = cli.list_commands(context)
    return "\n".join(_command(name, cli.get_command(context, name)) for name in names)


def _command(name: str, command: click.Command | None) -> str:
    assert command is not None, name
    context = click.Context(command, info_name=f"runcast {name}")
    usage = " ".join([f"runcast {name}", *command.collect_usage_pieces(context)])
    told = "\n\n".join(" ".join(text.split()) for text in (command.help or "").split("\n\n"))
    records = (param.get_help_record(context) for param in command.params)
    options = _table(("option", "meaning"), ((f"`{text[0]}`", text[1]) for text in records if text))
    return f"### {name}\n\n`{usage}`\n\n{told}\n\n{options}"


def routes() -> str:
    """Every route of the HTTP API, as the server itself describes it."""
    rows = (
        (f"`{method.upper()} {path}`", operation["description"].partition("\n\n")[0])
        for path, methods in _openapi()["paths"].items()
        for method, operation in methods.items()
    )
    return _table(("method and path", "what it does"), rows)


def sockets() -> str:
    """Every path of a WebSocket, as its surface describes itself."""
    rows = (
        (f"`{path}`", (inspect.getdoc(surface) or "").partition("\n\n")[0])
        for path, surface in SURFACES.items()
    )
    return _table(("path", "what is said there"), rows)


def wires() -> str:
    """Every wire that a stream may be written in."""
    rows = (
        (f"`{name}`", (import_module(where.partition(":")[0]).__doc__ or "").partition("\n\n")[0])
        for name, where in WIRES.items()
    )
    return _table(("format", "what it writes"), rows)


def metrics() -> str:
    """Every metric of runcast's own."""
    return _table(
        ("metric", "what it says"), ((f"`{name}`", text) for name, text in METRICS.items())
    )


def _openapi() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_ask_for_openapi(config.Settings(data_dir=folder)))


async def _ask_for_openapi(settings: config.Settings) -> dict[str, Any]:
    runtime = await Runtime.open(settings)
    try:
        transport = httpx2.ASGITransport(create_app(runtime))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            document: dict[str, Any] = (await client.get("/openapi.json")).json()
            return document
    finally:
        await runtime.close()


BLOCKS: dict[str, Callable[[], str]] = {
    make.__name__: make
    for make in (
        *(events, transitions, error_codes, settings, commands),
        *(routes, sockets, wires, metrics),
    )
}


def renew(text: str) -> str:
    """Return the page with its generated blocks made anew."""
    return BLOCK.sub(lambda match: f"{match[1]}\n{BLOCKS[match[2]]()}\n{match[3]}", text)


def main() -> int:
    """Write the pages, or check them; return 1 if one was out of date under `--check`."""
    stale = [
        page
        for page in (ROOT / "docs").rglob("*.md")
        if renew(page.read_text()) != page.read_text()
    ]
    for page in stale:
        if "--check" in sys.argv:
            print(f"{page.relative_to(ROOT)} is out of date; run `make format`", file=sys.stderr)
        else:
            page.write_text(renew(page.read_text()))
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
