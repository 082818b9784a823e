"""Running the code blocks of a Markdown page as a reader would, and comparing what they print."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ANYTHING = "…"
END = re.compile(r"<<<end of step (\d+)\n")
MARK = "(code=$?; echo '<<<end of step' $code; exit $code)\n"  # hands $? on to the next step
JOB_ENDED = re.compile(r"^bash: line \d+: +\d+ Killed .*\n", re.MULTILINE)  # the shell's own words
LIMIT_S = 90


class Step(NamedTuple):
    """One thing to run; `expected` is None where the page does not show what it prints."""

    code: str
    expected: str | None


def steps(page: str) -> Iterator[Step]:
    """Yield what a page asks its reader to run, in order."""
    for language, body in BLOCK.findall(page):
        match language:
            case "console":
                yield from _console(body)
            case "sh":
                yield Step(body, None)
            case "python":
                yield Step(f"{sys.executable} - <<'PYTHON'\n{body}PYTHON\n", None)


def _console(body: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield Step(command + "\n", expected)


class Done(NamedTuple):
    """What a step printed, on both streams, and how it ended."""

    printed: str
    exit_code: int


def perform(page: str, folder: Path, env: Mapping[str, str]) -> Iterator[tuple[Step, Done]]:
    """Run all steps of a page in one shell; yield each that ended with what it did."""
    todo = list(steps(page))
    script = "".join(step.code + MARK for step in todo)
    output = folder / "output.txt"
    with output.open("w") as printed:
        subprocess.run(
            ["bash", "-c", script],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_S,
            check=False,
        )
    *told, _ = END.split(JOB_ENDED.sub("", output.read_text()))
    done = [Done(printed, int(code)) for printed, code in zip(told[::2], told[1::2], strict=True)]
    return zip(todo, done, strict=True)


def matches(expected: str, printed: str) -> bool:
    """Compare line by line; `…` stands for anything within a line, and runs of blanks are one."""
    wanted, got = (text.rstrip().splitlines() for text in (expected, printed))
    return len(wanted) == len(got) and all(map(_line_matches, wanted, got))


def _line_matches(wanted: str, got: str) -> bool:
    pattern = r".*".join(re.escape(part.strip()) for part in _words(wanted).split(ANYTHING))
    return re.fullmatch(rf"\s*{pattern}\s*", _words(got)) is not None


def _words(line: str) -> str:
    return " ".join(line.split())
