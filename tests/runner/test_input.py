"""What a command reads: nothing, a text, or what comes while it runs."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from runcast.spool.folder import RunFolder
from tests.runner.held import Held

StartRunner = Callable[..., Held]


def test_without_input_a_command_reads_the_end_at_once(start_runner: StartRunner) -> None:
    held = start_runner(["sh", "-c", "cat; readlink /proc/self/fd/0"])
    held.ended()
    assert held.output() == b"/dev/null\n"


def test_a_text_is_read_to_its_end(start_runner: StartRunner) -> None:
    text = bytes(range(256)) * 4_000
    held = start_runner(["sha256sum"], text=text)
    held.ended()
    assert held.output().split()[0] == hashlib.sha256(text).hexdigest().encode()


def test_input_arrives_as_it_is_given_and_ends_when_told(start_runner: StartRunner) -> None:
    held = start_runner(["cat"], stdin="pipe")
    for offset, line in ((0, b"one\n"), (4, b"two\n")):
        held.folder.write_input(offset, line)
        held.order("input")
        held.said(line)
    assert held.process.poll() is None
    held.folder.write_input(8, b"last")
    held.folder.end_input()
    held.order("input")
    assert held.ended()["exit_code"] == 0
    assert held.output() == b"one\ntwo\nlast"


def test_input_given_before_the_start_is_not_missed(
    start_runner: StartRunner, make_folder: Callable[..., RunFolder]
) -> None:
    folder = make_folder(["cat"], stdin="pipe")
    folder.write_input(0, b"early\n")
    folder.end_input()
    held = start_runner(folder)
    held.ended()
    assert held.output() == b"early\n"


def test_more_input_than_a_pipe_holds_waits_for_its_reader(
    start_runner: StartRunner, tmp_path: Path
) -> None:
    text = b"0123456789abcde\n" * 40_000
    os.mkfifo(tmp_path / "go")
    held = start_runner(["sh", "-c", "echo waiting; read go < go; wc -c"], text=text)
    held.said(b"waiting\n")
    (tmp_path / "go").write_text("go\n")
    held.ended()
    assert held.output().split() == [b"waiting", str(len(text)).encode()]


def test_a_command_that_closes_its_input_early_goes_on(start_runner: StartRunner) -> None:
    held = start_runner(["sh", "-c", "exec <&-; echo closed; sleep 0.2; exit 4"], stdin="pipe")
    held.said(b"closed\n")
    held.folder.write_input(0, b"nobody reads this\n")
    held.order("input")
    assert held.ended()["exit_code"] == 4


def test_a_command_that_never_reads_can_end(start_runner: StartRunner) -> None:
    assert start_runner(["true"], text=b"x" * 1_000_000).ended()["exit_code"] == 0
