"""What a command prints is in the spool, byte for byte and in time."""

import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast.runner import output
from tests.runner.held import HEADER, Held, joined
from tests.support.waiting import until

StartRunner = Callable[..., Held]

OUTPUTS = {
    "nothing": b"",
    "lines": b"".join(b"line %d\n" % number for number in range(30_000)),
    "one long line": b"x" * 200_000 + b"\n",
    "long lines without an end": "€🙂".encode() * 60_000,
    "empty lines": b"\n" * 100_000,
    "carriage returns": b"10%\r20%\r\n30%\r",
    "bytes that are no text": bytes(range(256)) * 900,
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_output_comes_back_byte_for_byte(
    start_runner: StartRunner, tmp_path: Path, name: str
) -> None:
    (tmp_path / "said").write_bytes(OUTPUTS[name])
    held = start_runner(["sh", "-c", "cat said; cat said >&2"])
    outcome = held.ended()
    assert held.output("stdout") == OUTPUTS[name]
    assert held.output("stderr") == OUTPUTS[name]
    assert outcome["spool_bytes"] == os.path.getsize(held.folder.output_path)
    assert (outcome["reason"], outcome["exit_code"], outcome["lost_bytes"]) == ("exit", 0, None)


def test_records_are_bounded_and_cut_between_characters(
    start_runner: StartRunner, tmp_path: Path
) -> None:
    (tmp_path / "said").write_text("€🙂" * 60_000)
    held = start_runner(["cat", "said"])
    held.ended()
    texts = [record[HEADER:] for record in held.records()]
    assert max(map(len, texts)) <= 65_536
    assert "".join(text.decode() for text in texts) == "€🙂" * 60_000


@pytest.mark.skipif(not hasattr(fcntl, "F_GETPIPE_SZ"), reason="pipes here have one size")
def test_a_command_that_prints_much_gets_a_wider_pipe(
    start_runner: StartRunner, python: list[str]
) -> None:
    size = "import fcntl; print(fcntl.fcntl(1, fcntl.F_GETPIPE_SZ), flush=True)\n"
    held = start_runner([*python, f"{size}print('x' * 300_000, flush=True)\n{size}"])
    held.ended()
    before, _, after = held.output().split()
    assert int(before) < int(after) == 1_048_576


def test_where_no_pipe_can_be_wider_all_is_copied_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_SET_PIPE_SIZE", -1)
    said = OUTPUTS["bytes that are no text"]
    path = tmp_path / "output.log"
    path.touch()
    copied = output.Output(str(path))
    (stdout, into_stdout), (stderr, into_stderr) = os.pipe(), os.pipe()
    os.close(into_stderr)
    copied.attach(stdout, stderr)
    writer = threading.Thread(target=_say, args=(into_stdout, said))
    writer.start()
    while not copied.closed:
        for copy in list(copied.readers().values()):
            copy()
    writer.join()
    assert joined(path.read_bytes().split(b"\n")[:-1], "stdout") == said


def _say(fd: int, text: bytes) -> None:
    with os.fdopen(fd, "wb") as pipe:
        pipe.write(text)


def test_a_prompt_is_shown_before_its_line_ends(start_runner: StartRunner) -> None:
    held = start_runner(["sh", "-c", "printf 'name? '; read name; echo $name"], stdin="pipe")
    held.said(b"name? ")
    assert held.records()[-1][38:] == b"P name? "
    held.folder.write_input(0, b"Ada\n")
    held.order("input")
    held.ended()
    assert held.records()[-1][38:] == b"F Ada"


def test_a_line_that_ends_within_100_ms_is_one_record(
    start_runner: StartRunner, python: list[str]
) -> None:
    code = "import os, time\nfor c in b'abcde\\n': os.write(1, bytes([c])); time.sleep(0.005)"
    held = start_runner([*python, code])
    held.ended()
    assert [record[38:] for record in held.records()] == [b"F abcde"]


def test_a_line_that_grows_slowly_is_shown_as_it_grows(
    start_runner: StartRunner, python: list[str]
) -> None:
    code = "import os, time\nwhile True: os.write(1, b'.'); time.sleep(0.02)"
    held = start_runner([*python, code])
    until(lambda: len(held.records()) >= 3, "three parts of the endless line")
    held.order("kill")
    assert held.ended()["reason"] == "cancelled"


def test_a_command_may_close_its_output_early(start_runner: StartRunner) -> None:
    held = start_runner(["sh", "-c", "echo bye; exec >&- 2>&-; sleep 0.3"])
    held.said(b"bye\n")
    used = _cpu_seconds(held.pid("worker"))
    held.process.wait(5)
    assert held.ended()["exit_code"] == 0
    assert used < 1


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_an_idle_run_costs_no_cpu(start_runner: StartRunner) -> None:
    held = start_runner(["sh", "-c", "exec >&- 2>&-; exec sleep 100"], stdin="pipe")
    worker = held.pid("worker")
    before = _cpu_seconds(worker)
    deadline = time.monotonic() + 0.5
    until(lambda: time.monotonic() > deadline, "half a second to pass")
    assert _cpu_seconds(worker) - before < 0.1


def test_a_process_that_holds_the_pipe_does_not_keep_the_run_open(
    start_runner: StartRunner,
) -> None:
    held = start_runner(["sh", "-c", "sleep 100 & echo done"])
    started = time.monotonic()
    outcome = held.ended()
    assert time.monotonic() - started < 2
    assert held.output() == b"done\n"
    assert [process["command"] for process in outcome["leftovers"]] == ["sleep 100"]


def test_what_goes_on_printing_does_not_keep_the_run_open(
    start_runner: StartRunner, python: list[str]
) -> None:
    code = (
        "import os, time\n"
        "if os.fork(): os._exit(7)\n"
        "while True: os.write(1, b'more\\n'); time.sleep(0.005)\n"
    )
    held = start_runner([*python, code])
    started = time.monotonic()
    outcome = held.ended()
    assert time.monotonic() - started < 4
    assert outcome["exit_code"] == 7
    assert len(outcome["leftovers"]) == 1
    assert held.output().count(b"more\n") > 1


def test_the_output_of_a_short_lived_straggler_is_kept(start_runner: StartRunner) -> None:
    held = start_runner(["sh", "-c", "(sleep 0.1; echo late) & echo early"])
    outcome = held.ended()
    assert held.output() == b"early\nlate\n"
    assert outcome["leftovers"] == []


def test_times_of_records_lie_within_the_run(start_runner: StartRunner) -> None:
    before = time.time_ns() // 1000
    held = start_runner([sys.executable, "-c", "print('x')"])
    outcome = held.ended()
    assert before <= outcome["started_at"] <= outcome["ended_at"] <= time.time_ns() // 1000
