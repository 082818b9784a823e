"""Starting the command line as a user does, as a process of its own."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any

from tests.support.server import clean_environment

RUNCAST = [sys.executable, "-m", "runcast.cli"]

Ended = subprocess.CompletedProcess[bytes]


def start(
    url: str, words: Sequence[str], stdout: int | IO[bytes] = subprocess.PIPE, **options: Any
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*RUNCAST, *words],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=clean_environment({"RUNCAST_SERVER": url}),
        **options,
    )


def runcast(url: str, *words: str, stdin: bytes = b"", variables: Mapping[str, str] = {}) -> Ended:
    return subprocess.run(
        [*RUNCAST, *words],
        capture_output=True,
        input=stdin,
        env=clean_environment({"RUNCAST_SERVER": url, **variables}),
        timeout=60,
        check=False,
    )
