"""The documentation is true: its code runs, nothing is left out, links lead somewhere."""

import os
import re
from pathlib import Path

import click
import pytest

from runcast import config
from runcast.cli.main import cli
from runcast.core import errors
from runcast.core.events import EVENT_TYPES
from tests.support import processes
from tests.support.documents import matches, perform
from tests.support.server import RUNCAST, Server, clean_environment, free_port

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
REFERENCE = ROOT / "docs/reference"
NAME = re.compile(r"`([^`\n]+)`|^### (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


def _options() -> list[str]:
    context = click.Context(cli)
    commands = [cli.get_command(context, name) for name in cli.list_commands(context)]
    params = (param for command in commands if command for param in command.params)
    return [name for param in params if isinstance(param, click.Option) for name in param.opts]


MENTIONED = {
    "cli.md": lambda: [*_options(), *cli.list_commands(click.Context(cli))],
    "errors.md": lambda: errors.CODES,
    "events.md": lambda: EVENT_TYPES,
    "settings.md": lambda: [setting.name for setting in config.describe()],
}


def _named(text: str) -> set[str]:
    """Return the words that stand in a heading or as code, where a reference has its names."""
    spans = " ".join(match[1] or match[2] for match in NAME.finditer(text))
    return set(spans.replace(",", " ").split())


@pytest.mark.parametrize("name", MENTIONED)
def test_the_reference_leaves_nothing_out(name: str) -> None:
    assert not set(MENTIONED[name]()) - _named((REFERENCE / name).read_text())


def _check(page: Path, folder: Path, port: int) -> None:
    env = clean_environment(
        {
            "PATH": f"{Path(RUNCAST).parent}:{os.environ['PATH']}",
            "RUNCAST_SERVER": f"http://127.0.0.1:{port}",
            "RUNCAST__STREAMING__PORT": str(port),
        }
    )
    text = page.read_text().replace("127.0.0.1:7890", f"127.0.0.1:{port}")
    for step, done in perform(text, folder, env):
        shown = f"{step.code}ended with {done.exit_code} and printed:\n{done.printed}"
        if step.expected is None:
            assert done.exit_code == 0, shown
        else:
            assert matches(step.expected, done.printed), shown


@pytest.mark.needs("curl")
def test_the_readme_runs_as_written(server: Server, tmp_path: Path) -> None:
    _check(ROOT / "README.md", tmp_path, server.port)


@pytest.mark.needs("curl")
def test_the_tutorial_runs_as_written(tmp_path: Path) -> None:
    try:
        _check(ROOT / "docs/tutorial.md", tmp_path, free_port())
    finally:
        processes.kill_all(lambda: processes.of_folder(tmp_path / "state"))


@pytest.mark.needs("curl")
def test_the_page_on_agents_runs_as_written(tmp_path: Path) -> None:
    try:
        _check(ROOT / "docs/howto/agents.md", tmp_path, free_port())
    finally:
        processes.kill_all(lambda: processes.of_folder(tmp_path / "state"))


def test_the_page_on_programs_runs_as_written(tmp_path: Path) -> None:
    _check(ROOT / "docs/howto/executor.md", tmp_path, free_port())


def test_the_page_on_servers_in_programs_runs_as_written(tmp_path: Path) -> None:
    _check(ROOT / "docs/howto/python-server.md", tmp_path, free_port())


def test_the_page_on_the_client_runs_as_written(server: Server, tmp_path: Path) -> None:
    _check(ROOT / "docs/howto/python-client.md", tmp_path, server.port)


def test_the_page_on_outboxes_runs_as_written(server: Server, tmp_path: Path) -> None:
    _check(ROOT / "docs/howto/outbox.md", tmp_path, server.port)


@pytest.mark.needs("curl")
def test_the_page_on_envelopes_runs_as_written(server: Server, tmp_path: Path) -> None:
    _check(ROOT / "docs/reference/envelopes.md", tmp_path, server.port)
