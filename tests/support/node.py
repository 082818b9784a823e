"""Scripts of tests/browser run by Node: a specification in, what they saw out, both as JSON."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.needs import BROWSER_CLIENTS
from tests.support.waiting import until


class Script:
    """A running script; leaving the block ends it, and with it a browser that it started."""

    def __init__(self, name: str, folder: Path, **spec: object) -> None:
        self._name = name
        self._output = folder / f"{name}.output"
        self._errors = folder / f"{name}.errors"
        spec["chromium"] = shutil.which("chromium")
        # Files, for nobody reads a pipe while the test waits for something else.
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                ["node", str(BROWSER_CLIENTS / f"{name}.mjs"), json.dumps(spec)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    def until(self, condition: Callable[[], bool], what: str, timeout: float = 45) -> None:
        """Wait until `condition` holds; fail if the script fails before."""
        until(lambda: self._has_failed() or condition(), what, timeout)
        self._check()

    def result(self, timeout: float = 45) -> Any:
        """Return what the script prints, once it has ended."""
        self._process.wait(timeout)
        self._check()
        return json.loads(self._output.read_bytes())

    def _has_failed(self) -> bool:
        return bool(self._process.poll())

    def _check(self) -> None:
        code, said = self._process.returncode, self._errors.read_text()
        assert not self._has_failed(), f"{self._name} exited with {code}: {said}"
