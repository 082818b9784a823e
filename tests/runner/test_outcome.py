"""The record of a run's end: true, whole, and never larger than its reserve."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from runcast.runner.outcome import fitted, outcome, process_list
from runcast.runner.tree import descendants


@pytest.mark.parametrize(
    ("status", "code", "name"),
    [(None, None, None), (0, 0, None), (7 << 8, 7, None), (signal.SIGKILL, None, "SIGKILL")],
)
def test_a_wait_status_is_an_exit_code_or_a_signal(
    status: int | None, code: int | None, name: str | None
) -> None:
    ended = outcome("exit", 1, status)
    assert (ended["exit_code"], ended["signal"]) == (code, name)


def test_a_short_outcome_is_written_as_it_is() -> None:
    ended: dict[str, Any] = outcome("exit", 1, 0) | {"killed": process_list({7: "sleep 1"})}
    assert json.loads(fitted(ended)) == ended


@pytest.mark.parametrize("command", ["x" * 4000, "é" * 3000, "🙂" * 2000, "\n" * 100, "sh"])
@pytest.mark.parametrize("count", [1, 12, 5000])
def test_the_largest_outcome_fits_and_says_what_is_missing(command: str, count: int) -> None:
    processes = process_list(dict.fromkeys(range(10_000, 10_000 + count), command))
    ended = outcome("cancelled", 2**52, signal.SIGKILL)
    ended |= {"killed": processes, "leftovers": processes, "error": command}
    data = fitted(ended)
    assert len(data) <= 4096
    killed = json.loads(data)["killed"]
    assert killed[0]["pid"] == 10_000
    assert killed[0]["command"][:5] == command[:5]
    more = int(killed[-1]["command"].split()[1]) if killed[-1]["pid"] == 0 else 0
    assert len([process for process in killed if process["pid"]]) + more == count


def test_descendants_are_found_where_the_kernel_tells_them(tmp_path: Path) -> None:
    family = {10: {10: "11 12 ", 13: "14 "}, 11: {11: "15 "}, 12: {12: ""}, 14: {14: ""}}
    for pid, threads in family.items():
        for thread, children in threads.items():
            folder = tmp_path / str(pid) / "task" / str(thread)
            folder.mkdir(parents=True)
            (folder / "children").write_text(children)
    assert sorted(descendants(10, str(tmp_path))) == [11, 12, 14, 15]


def test_a_process_without_children_has_no_descendants(tmp_path: Path) -> None:
    assert os.getpid() not in descendants(os.getpid())
    assert descendants(2**22, str(tmp_path)) == []
