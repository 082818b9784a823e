"""The client is light: a program that uses it loads no server, no store and no framework."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import runcast.client

HEAVY = {"apsw", "fastapi", "starlette", "uvicorn", "pydantic"}
HEAVY |= {f"runcast.{name}" for name in ("config", "executor", "runner", "runtime", "server")}
HEAVY |= {f"runcast.{name}" for name in ("spool", "stores", "web")}


def loaded_by(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {program}; print(*sys.modules)"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("name", runcast.client.__all__)
def test_what_the_package_exports_loads_no_server(name: str) -> None:
    assert loaded_by(f"from runcast.client import {name}") & HEAVY == set()


def test_the_package_itself_loads_nothing() -> None:
    assert "httpx2" not in loaded_by("import runcast.client")


def test_a_client_does_not_load_the_other() -> None:
    assert "runcast.client.aio" not in loaded_by("from runcast.client import Client")


def test_the_package_exports_what_its_stub_says() -> None:
    stub = Path(runcast.client.__file__).with_suffix(".pyi").read_text()
    assert re.findall(r'"(\w+)"', stub) == runcast.client.__all__
    assert set(runcast.client.__all__) < set(dir(runcast.client))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = runcast.client.nonsense  # type: ignore[attr-defined]
