"""The commands while servers come, go and cannot start."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast.client import Client
from tests.cli.commands import RUNCAST, runcast, start
from tests.support.server import Server, clean_environment, free_port


def test_run_shows_every_line_once_over_a_killed_and_restarted_server(server: Server) -> None:
    script = "for i in $(seq 1 60); do echo $i; sleep 0.05; done; exit 9"
    child = start(server.url, ["run", "--", "bash", "-c", script])
    assert child.stdout is not None
    first = os.read(child.stdout.fileno(), 100)
    server.kill9()
    server.start()
    rest, said = child.communicate(timeout=60)
    assert first + rest == b"".join(b"%d\n" % n for n in range(1, 61))
    assert (child.returncode, said) == (9, b"")


def test_prune_without_a_server_works_on_the_folder(server: Server) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 7890)) == 0:
            pytest.skip("a server listens on the default port, and would be pruned instead")
    assert runcast(server.url, "run", "--id", "old", "true").returncode == 0
    server.terminate()
    command = [*RUNCAST, "prune", "--max-count", "0", "--data-dir", str(server.data_dir)]
    ended = subprocess.run(command, capture_output=True, env=clean_environment(), check=False)
    assert (ended.returncode, ended.stdout) == (0, b"removed 1 run\n"), ended.stderr
    named = runcast(server.url, *command[len(RUNCAST) :])
    assert (named.returncode, named.stdout) == (1, b"")
    server.start()
    with Client(server.url) as client:
        assert client.list(10) == []


def serve(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*RUNCAST, "serve", *words],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=30,
        check=False,
    )


def test_a_second_server_on_a_folder_or_port_ends_with_one_line_and_2(
    server: Server, tmp_path: Path
) -> None:
    folder, port = str(server.data_dir), str(server.port)
    for words in (
        ["--data-dir", folder, "--port", "0"],
        ["--data-dir", str(tmp_path / "b"), "--port", port],
    ):
        ended = serve(*words)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("runcast: ")
        assert ended.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_used_ends_serve_with_one_line_and_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = serve("--data-dir", str(tmp_path / "file" / "data"), "--port", str(free_port()))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("runcast: cannot use the data folder ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("/proc/x", "cannot use the data folder /proc/x: /proc takes no new files; choose another"),
        ("~nobody-of-this-name/x", "data_dir '~nobody-of-this-name/x': "),
    ],
)
def test_a_folder_where_nothing_can_be_made_is_named(folder: str, why: str) -> None:
    ended = serve("--data-dir", folder, "--port", "0")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"runcast: {why}")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("flags", [["--no-auth"], ["--host", "localhost"], ["--store", "memory:"]])
def test_serve_takes_its_flags(
    flags: list[str], tmp_path: Path, make_server: Callable[..., Server]
) -> None:
    server = make_server()
    server.terminate()
    # Its runs are in the store that it was first started with.
    server.data_dir = tmp_path / "other"
    server.start(*flags)
    assert runcast(server.url, "run", "echo", "hi").stdout == b"hi\n"
