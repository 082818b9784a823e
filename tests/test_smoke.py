"""The smoke script tells a server that works from one that does not."""

import subprocess
import sys
from pathlib import Path

from tests.support.server import clean_environment

SMOKE = Path(__file__).parents[1] / "scripts/smoke.py"


def smoke(**env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SMOKE)],
        env=clean_environment(env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_exits_0_when_all_three_envelopes_arrive() -> None:
    done = smoke()
    assert (done.returncode, done.stdout) == (
        0,
        "smoke: all 3 envelopes arrived as they were sent\n",
    ), done.stderr


def test_it_exits_1_when_the_server_does_not_start() -> None:
    done = smoke(RUNCAST__STREAMING__HOST="192.0.2.1")
    assert done.returncode == 1
    assert "the server did not start" in done.stderr
