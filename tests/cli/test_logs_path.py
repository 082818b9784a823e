"""`runcast logs PATH`: a file is shown and followed without a server."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.commands import RUNCAST, runcast
from tests.cli.following import NO_SERVER, following, on_a_terminal, read_until
from tests.support.server import Server, clean_environment
from tests.support.waiting import until

ODD = (
    b"one\ntwo \xc3\xbc\n\n\xff\xfe no text\n\x00nul\r50%\r100%\r\n" + b"x" * 200_000 + b"\nno end"
)


def logs(*words: str, cwd: Path | None = None) -> tuple[int, bytes, str]:
    ended = subprocess.run(
        [*RUNCAST, "logs", *words],
        capture_output=True,
        env=clean_environment({"RUNCAST_SERVER": NO_SERVER}),
        cwd=cwd,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr.decode()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_a_file_is_printed_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "odd.log").write_bytes(ODD)
    assert logs(str(tmp_path / "odd.log")) == (0, ODD, "")
    assert logs("./odd.log", cwd=tmp_path) == (0, ODD, "")
    assert logs("odd.log", cwd=tmp_path) == (0, ODD, "")


def test_a_name_without_a_file_is_a_run(tmp_path: Path) -> None:
    code, out, said = logs("odd.log", cwd=tmp_path)
    assert (code, out) == (1, b"")
    assert said.startswith("runcast: no server at")


def test_a_folder_is_said_to_be_one_unless_a_run_has_its_name(
    shared_server: Server, tmp_path: Path
) -> None:
    url = shared_server.url
    for name in ("folder", "folder-and-run"):
        (tmp_path / name).mkdir()
    assert runcast(url, "run", "--id", "folder-and-run", "echo", "the run").returncode == 0
    for words in (["folder"], ["folder", "--server", url], ["."], ["..", "--server", url]):
        code, out, said = logs(*words, cwd=tmp_path)
        assert (code, out) == (2, b"")
        assert f"'{words[0]}' is a folder; see: runcast tail" in said
    assert logs("folder-and-run", "--server", url, cwd=tmp_path)[1] == b"the run\n"


def test_a_run_is_reached_by_naming_the_server_where_a_file_has_its_name(
    shared_server: Server, tmp_path: Path
) -> None:
    server = shared_server
    assert runcast(server.url, "run", "--id", "same", "echo", "the run").returncode == 0
    (tmp_path / "same").write_text("the file\n")
    assert logs("same", cwd=tmp_path)[1] == b"the file\n"
    assert logs("same", "--server", server.url, cwd=tmp_path)[1] == b"the run\n"


def test_the_last_lines_of_a_run_are_shown_on_request(shared_server: Server) -> None:
    server = shared_server
    assert runcast(server.url, "run", "--id", "some", "seq", "9").returncode == 0
    assert runcast(server.url, "logs", "--tail", "2", "some").stdout == b"8\n9\n"
    assert runcast(server.url, "logs", "-f", "--tail", "1", "some").stdout == b"9\n"
    assert runcast(server.url, "logs", "--tail", "0", "some").stdout == b""
    assert len(runcast(server.url, "logs", "--tail", "99", "some").stdout) == 18


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, b""), (1, b"unfinished"), (2, b"4\nunfinished"), (5, b"1\n2\n3\n4\nunfinished")],
)
def test_the_last_lines_of_a_file_are_shown_on_request(
    tmp_path: Path, count: int, shown: bytes
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"1\n2\n3\n4\nunfinished")
    assert logs("--tail", str(count), str(path))[1] == shown
    assert logs("--tail", "99", str(path))[1] == path.read_bytes()


def test_the_last_lines_are_found_in_a_file_of_long_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = [bytes([97 + n]) * (n * 9_000) + b"\n" for n in range(26)]
    path.write_bytes(b"".join(lines))
    for count in (1, 7, 20):
        assert logs("--tail", str(count), str(path))[1] == b"".join(lines[-count:])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since-seq", "3", "./x"], "--since-seq does not go with './x': a file has no event"),
        (["--server", "http://x", "./x"], "--server does not go with './x': a file is read"),
        (["--format", "cri", "x"], "--format does not go with 'x': the server knows"),
        (["--format", "klingon", "./x"], "'klingon' is none of plain, cri, docker-json, lines"),
        (["/tmp"], "'/tmp' is a folder; see: runcast tail"),
        (["-f", "/tmp"], "'/tmp' is a folder; see: runcast tail"),
        ([""], "name a run, or the path of a file"),
    ],
)
def test_what_does_not_go_together_is_explained(words: list[str], said: str) -> None:
    code, out, error = logs(*words)
    assert (code, out) == (2, b"")
    assert said in error


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/no/such/file", "/no/such/file: No such file or directory"),
        ("/etc/hostname/x", "/etc/hostname/x: Not a directory"),
        ("/dev/null", "/dev/null: not a regular file"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_1(path: str, said: str) -> None:
    assert logs(path) == (1, b"", f"runcast: {said}\n")


def test_container_logs_are_split_by_stream(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    time = "2026-11-21T08:57:30.123456789Z"
    records = ["stdout F out", "stdout P a part ", "stderr F err", "stdout F joined"]
    path.write_text("".join(f"{time} {record}\n" for record in records))
    assert logs("--format", "cri", str(path)) == (0, b"out\na part joined\n", "err\n")
    assert logs("--format", "cri", "--stderr", str(path)) == (0, b"err\n", "")
    docker = {"log": "said\n", "stream": "stdout", "time": time}
    path.write_text(json.dumps(docker) + "\n")
    assert logs("--format", "docker-json", str(path)) == (0, b"said\n", "")


def test_what_an_agent_wrote_to_a_file_is_shown_as_that_of_a_run(tmp_path: Path) -> None:
    path = tmp_path / "agent.jsonl"
    said = {"type": "text", "text": "I look at the file."}
    call = {"type": "tool_use", "id": "1", "name": "Read", "input": {"path": "x"}}
    path.write_text(f"{json.dumps(said)}\nno json\n{json.dumps(call)}")
    code, out, error = logs("--format", "jsonl", str(path))
    assert (code, error) == (0, "")
    assert out.decode().splitlines() == [
        "I look at the file.",
        "no json",
        '▶ Read {"path":"x"}',
    ]


def test_a_followed_file_is_shown_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"old\nolder\n")
    with following(tmp_path, "logs", "-f", "--tail", "1", str(path)) as follower:
        follower.shows(b"older\n")
        append(path, "ü".encode()[:1])
        append(path, "ü".encode()[1:] + b" new\r\n")
        follower.shows(b"older\n" + "ü new\r\n".encode())
        assert follower.interrupt() == 130
        assert follower.err.strip() == b""


def test_the_beginning_of_a_line_is_shown_after_a_second(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"Password: ")
    with following(tmp_path, "logs", "-f", str(path)) as follower:
        follower.shows(b"Password: ")
        append(path, b"given\n")
        follower.shows(b"Password: given\n")


def test_a_rotated_file_is_finished_before_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"1\n")
    with following(tmp_path, "logs", "-f", str(path)) as follower:
        follower.shows(b"1\n")
        with path.open("ab", buffering=0) as before:
            path.rename(tmp_path / "log.1")
            before.write(b"2\n")
            path.write_bytes(b"3\n")
            follower.shows(b"1\n2\n3\n")
        append(path, b"4\n")
        follower.shows(b"1\n2\n3\n4\n")
        assert follower.err == b""


def test_a_truncated_file_is_read_from_its_beginning_and_the_gap_is_said(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\nthe truncation\n")
    with following(tmp_path, "logs", "-f", str(path)) as follower:
        follower.shows(b"before\nthe truncation\n")
        path.write_bytes(b"after\n")
        follower.shows(b"before\nthe truncation\nafter\n")
        follower.says(b"runcast: output is missing: truncated\n")


def test_a_missing_file_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "later" / "log"
    with following(tmp_path, "logs", "-f", str(path)) as follower:
        follower.says(b"log: not there yet; waiting for it\n")
        path.parent.mkdir()
        path.write_bytes(b"there\n")
        follower.shows(b"there\n")
        path.unlink()
        path.write_bytes(b"again\n")
        follower.shows(b"there\nagain\n")
        assert follower.err.count(b"waiting") == 1


def test_a_link_is_followed_to_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "log", tmp_path / "link"
    target.write_bytes(b"1\n")
    link.symlink_to(target)
    with following(tmp_path, "logs", "-f", str(link)) as follower:
        follower.shows(b"1\n")
        append(target, b"2\n")
        follower.shows(b"1\n2\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said_once_and_read_when_it_may(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"secret\n")
    path.chmod(0)
    with following(tmp_path, "logs", "-f", str(path)) as follower:
        follower.says(b"log: Permission denied\n")
        path.chmod(0o600)
        follower.shows(b"secret\n")
        assert follower.err.count(b"\n") == 1


def test_a_reader_that_leaves_ends_it_although_nothing_more_is_written(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"1\n")
    child = subprocess.Popen(
        [*RUNCAST, "logs", "-f", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"1\n"
    child.stdout.close()
    assert child.wait(20) == 141
    assert child.stderr is not None
    assert child.stderr.read() == b""
    child.stderr.close()


def test_on_a_terminal_nothing_but_colours_acts(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\x1b[31mred\x1b[0m \x1b[2J\x1b]0;title\x07safe\n\xff\n.\n")
    with on_a_terminal("logs", str(path)) as terminal:
        shown = read_until(terminal, b".\n")
    assert shown == b"\x1b[31mred\x1b[0m safe\n" + "\ufffd\n.\n".encode()
    with on_a_terminal("logs", "--raw", str(path)) as terminal:
        assert read_until(terminal, b".\n") == path.read_bytes()


def test_nothing_is_lost_while_a_busy_file_is_rotated_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"")
    with following(tmp_path, "logs", "-f", str(path)) as follower:
        expected = b""
        for generation in range(20):
            lines = b"".join(b"%d %d\n" % (generation, n) for n in range(2_000))
            append(path, lines)
            expected += lines
            until(lambda: b"%d 0\n" % generation in follower.out, "the generation to be found")  # noqa: B023
            path.rename(tmp_path / f"log.{generation}")
            path.write_bytes(b"")
        follower.shows(expected)
        assert follower.err == b""
