"""schemathesis against a real server: what `/openapi.json` promises holds for made-up requests."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.suites import SCHEMATHESIS, tell
from tests.support.server import Server, clean_environment

pytestmark = pytest.mark.needs("schemathesis")

CONFIG = Path(__file__).parent / "openapi" / "schemathesis.toml"
LIMIT_S = 1800
# The whole PATH: whatever is made up, nothing else can be executed by name.
PROGRAM = "true"
# Requests one by one; and chains, where an answer says what can be asked next. These are few by
# chance now and then, so they are made for a time, in seconds.
PHASES = [
    pytest.param("examples,fuzzing", ["--max-examples", "5"], id="short"),
    pytest.param("examples,coverage,fuzzing", [], marks=pytest.mark.conformance, id="long"),
    pytest.param("stateful", ["--max-time", "90"], marks=pytest.mark.conformance, id="chains"),
]
FIGURES = (r"Tested: +\d+", r"Scenarios: +\d+", r"Test cases:\n +.+", r"Seed: \d+")


@pytest.mark.parametrize(("phases", "flags"), PHASES)
def test_made_up_requests_are_answered_as_the_description_says(
    make_server: Callable[..., Server], tmp_path: Path, phases: str, flags: list[str]
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / PROGRAM).symlink_to(str(shutil.which(PROGRAM)))
    server = make_server(
        PATH=str(programs), RUNCAST__TOOLS__nothing=json.dumps({"command": [PROGRAM]})
    )
    done = subprocess.run(
        [
            *(SCHEMATHESIS, "--config-file", CONFIG, "run", f"{server.url}/openapi.json"),
            *("--phases", phases, *flags, "--no-color"),
        ],
        cwd=tmp_path,
        env=clean_environment({"PYTHONPATH": str(CONFIG.parent)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
    )
    print(done.stdout)
    tell(f"schemathesis, {phases}: {summary(done.stdout)}")
    assert done.returncode == 0
    assert "Traceback" not in server.output.read_text()


def summary(printed: str) -> str:
    """Return the figures that schemathesis ends with, and the seed that gives them again."""
    found = (re.search(f"^ *{figure}$", printed, re.MULTILINE) for figure in FIGURES)
    return "; ".join(" ".join(match[0].split()) for match in found if match)
