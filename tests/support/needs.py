"""The parts that only some tests need, and how to know that one is missing."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

BROWSER_CLIENTS = Path(__file__).parents[1] / "browser"
AGENTS = Path(__file__).parents[1] / "agents_real"
SUITES = Path(__file__).parents[2] / ".conformance"


def _program(name: str) -> Callable[[], str | None]:
    return lambda: None if shutil.which(name) else f"the program {name} is not installed"


def _npm_package(name: str, project: Path = BROWSER_CLIENTS) -> Callable[[], str | None]:
    folder = project / "node_modules" / name
    return lambda: None if folder.is_dir() else f"the npm package {name} is not installed"


def _suite(program: str) -> Callable[[], str | None]:
    return lambda: None if (SUITES / program).exists() else f"{SUITES.name}/{program} is missing"


def _root() -> str | None:
    return None if os.geteuid() == 0 else "only root can mount a small file system"


# Name of a part -> what tells why it is missing, or None when it is there.
PARTS: dict[str, Callable[[], str | None]] = {
    "autobahn": _suite("autobahn/bin/wstest"),
    "chromium": _program("chromium"),
    "claude": _npm_package("@anthropic-ai/claude-code", AGENTS),
    "curl": _program("curl"),
    "eventsource": _npm_package("eventsource"),
    "fetch-event-source": _npm_package("@microsoft/fetch-event-source"),
    "logrotate": _program("/usr/sbin/logrotate"),  # not on everybody's PATH
    "make": _program("make"),
    "nginx": _program("nginx"),
    "node": _program("node"),
    "playwright": _npm_package("playwright-core"),
    "root": _root,
    "schemathesis": _suite("schemathesis/bin/schemathesis"),
    "unshare": _program("unshare"),
    "ws": _npm_package("ws"),
}


def missing(names: tuple[str, ...]) -> list[str]:
    """Say of each part that is missing why it counts as missing."""
    reasons = (PARTS[name]() for name in names)
    return [reason for reason in reasons if reason]
