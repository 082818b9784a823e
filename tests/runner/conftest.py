"""The fixture that starts real runners, and ends whatever a test leaves of them."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runcast.core.ids import uuid7
from runcast.spool.folder import RunFolder
from tests.runner.held import Held


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., RunFolder]:
    """Make run folders: `make_folder(["echo", "x"], timeout_s=1)`."""

    def make(
        argv: list[str],
        env: Mapping[str, str] = {},
        text: bytes | None = None,
        root: Path = tmp_path,
        **fields: Any,
    ) -> RunFolder:
        spec = {
            "run_id": "the-run",
            "task_id": "the-task",
            "argv": argv,
            "cwd": str(tmp_path),
            "timeout_s": None,
            "grace_s": 0.3,
            "keep_background": False,
            "stdin": None if text is None else "text",
        }
        return RunFolder.create(root, uuid7(), spec | fields, env, text)

    return make


@pytest.fixture
def start_runner(make_folder: Callable[..., RunFolder]) -> Iterator[Callable[..., Held]]:
    """Start runners: `start_runner(["echo", "x"], timeout_s=1).ended()`."""
    started: list[Held] = []

    def start(argv: list[str] | RunFolder, *, wrap: list[str] | None = None, **fields: Any) -> Held:
        folder = argv if isinstance(argv, RunFolder) else make_folder(argv, **fields)
        held = Held(folder, wrap or [])
        started.append(held)
        return held

    yield start
    for held in started:
        held.close()


@pytest.fixture
def python() -> list[str]:
    """The beginning of a command that runs Python quickly."""
    return [sys.executable, "-I", "-S", "-c"]


@pytest.fixture
def children() -> Path:
    """The folder of the programs that tests run as commands."""
    return Path(os.fspath(Path(__file__).parents[1] / "children"))
