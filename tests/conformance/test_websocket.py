"""Autobahn's fuzzing client against the echo route: the framing rules of RFC 6455, case by case."""

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.suites import WSTEST, tell
from tests.support.server import Server, clean_environment

pytestmark = [pytest.mark.conformance, pytest.mark.needs("autobahn")]

CORE_CASES = 247
# 9: messages larger than we take; 12 and 13: compression, which we decline.
EXCLUDED = ["9.*", "12.*", "13.*"]
# NON-STRICT: the fault was answered right, and what came whole before it in the same read was not
# echoed first. INFORMATIONAL: the RFC leaves it open.
ALLOWED = {"OK", "NON-STRICT", "INFORMATIONAL"}
AGENT = "runcast"
LIMIT_S = 600

Case = Mapping[str, Any]


def test_no_core_case_of_autobahn_fails(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(RUNCAST__TESTING__ECHO="true")
    cases = fuzz(f"ws://127.0.0.1:{server.port}/__echo", tmp_path)
    counts = Counter(case["behavior"] for case in cases.values())
    told = ", ".join(f"{count} {behavior}" for behavior, count in counts.most_common())
    tell(f"Autobahn, {len(cases)} cases: {told}")
    assert len(cases) == CORE_CASES
    wrong = {
        name: case
        for name, case in cases.items()
        if not {case["behavior"], case["behaviorClose"]} <= ALLOWED
    }
    assert not wrong


def fuzz(url: str, folder: Path) -> Mapping[str, Case]:
    """Run the suite's client against an address and return what it says of each case."""
    report = folder / "report"
    spec = folder / "spec.json"
    spec.write_text(
        json.dumps(
            {
                "outdir": str(report),
                "servers": [{"agent": AGENT, "url": url}],
                "cases": ["*"],
                "exclude-cases": EXCLUDED,
                "exclude-agent-cases": {},
            }
        )
    )
    subprocess.run(
        [WSTEST, "--mode", "fuzzingclient", "--spec", spec],
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        timeout=LIMIT_S,
        check=True,
    )
    cases: Mapping[str, Case] = json.loads((report / "index.json").read_text())[AGENT]
    return cases
