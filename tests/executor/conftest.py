"""An id for a run, and a folder of the test's own for what an execution keeps for a time."""

import tempfile
from pathlib import Path

import pytest

from runcast.core.ids import uuid7


@pytest.fixture
def run_id() -> str:
    return uuid7()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files, as far as this process knows."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder
