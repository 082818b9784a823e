"""A server that watches log files: killed while they grow, out of disk, and left by its clients."""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.runs import events
from tests.support.server import WITHOUT_INOTIFY, Server
from tests.support.sse import Connection
from tests.support.waiting import until

ALL = "/api/v1/runs/stream/all"


def watch(root: Path, **more: str) -> dict[str, str]:
    """Return the settings of a server that watches `root`, as variables."""
    fields = {"root": str(root), **more}
    return {f"RUNCAST__WATCH__logs__{name.upper()}": text for name, text in fields.items()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def entry(client: httpx2.Client) -> dict[str, Any]:
    """Return how the only watched folder stands."""
    (found,) = client.get("/api/v1/watch").json()["watch"]
    return dict(found)


def texts(client: httpx2.Client, run_id: str) -> list[str]:
    """Return the lines of a run, and the types of other events but its status."""
    found = [event for event in events(client, run_id) if event["type"] != "status"]
    return [event["data"].get("text", event["type"]) for event in found]


@contextmanager
def writing(log: Path, pause_s: float) -> Iterator[list[str]]:
    """Write numbered lines, some in pieces, until the end; gives what was written so far."""
    written: list[str] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(pause_s):
            line = f"line {len(written)} ä"
            data = f"{line}\n".encode()
            with log.open("ab", buffering=0) as file:  # whatever is at the path by now
                file.write(data[:-2])
                file.write(data[-2:])
            written.append(line)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        stop.set()
        thread.join()


def test_a_server_that_is_killed_while_files_grow_goes_on_exactly_there(
    make_server: Callable[..., Server], root: Path
) -> None:
    log = root / "a.log"
    server = make_server(**watch(root, ingest="always"))
    with writing(log, 0.001) as written:
        for generation in (4, 3, 2, 1):
            wanted = len(written) + 150
            until(lambda wanted=wanted: len(written) > wanted, "lines to be written")
            server.kill9()
            log.rename(root / f"a.log.{generation}")
            server.start()
    with server.client() as client:
        last = written[-1]
        until(lambda: texts(client, "a.log")[-1:] == [last], "the last line")
        assert texts(client, "a.log") == written


def test_after_the_last_client_has_left_no_file_is_open(
    make_server: Callable[..., Server], root: Path
) -> None:
    for number in range(30):
        (root / f"{number}.log").write_text("x\n")
    server = make_server(**watch(root))
    with server.client() as client:
        until(lambda: entry(client)["not_ingested"] == 30, "all files to be found")
        before = descriptors(server)
        with (
            Connection(server.port, ALL) as all_runs,
            Connection(server.port, "/api/v1/runs/7.log/stream") as one,
        ):
            assert all_runs.status == one.status == 200
            until(lambda: entry(client)["tailed"] == 30, "all files to be read")
            until(lambda: texts(client, "7.log") == ["x"], "the text")
            assert descriptors(server) >= before + 30
        until(lambda: entry(client)["tailed"] == 0, "nothing to be read")
        until(lambda: descriptors(server) == before, "the descriptors to be given back")


def descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


@pytest.mark.parametrize(("interval_ms", "limit_s"), [("1000", 1.5), ("600000", 1.0)])
def test_a_new_folder_is_on_the_stream_by_looking_and_by_hints(
    make_server: Callable[..., Server], root: Path, interval_ms: str, limit_s: float
) -> None:
    env = watch(root, recipe="conductor", glob="*/*/runs/*")
    server = make_server(RUNCAST__API__SSE__DISCOVERY_INTERVAL_MS=interval_ms, **env)
    with server.client() as client, Connection(server.port, f"{ALL}?types=output") as stream:
        until(lambda: entry(client)["hints"], "the root to be watched")
        folder = root / "shop" / "task-7" / "runs" / "r-1"
        begun = time.monotonic()
        folder.mkdir(parents=True)
        (folder / "agent-stdout.txt").write_text("hello\n")
        frame = next(stream.frames())
        assert frame.data["line"] == "hello"
        assert time.monotonic() - begun < limit_s
        assert frame.data["run_id"] == "r-1"


@pytest.mark.needs("unshare")
def test_looking_alone_finds_a_new_folder_within_a_second_and_a_half(
    tmp_path: Path, root: Path
) -> None:
    server = Server(tmp_path / "data", watch(root, recipe="conductor", glob="*/*/runs/*"))
    server.program = WITHOUT_INOTIFY
    server.start()
    with contextlib.closing(server), server.client() as client:
        with Connection(server.port, f"{ALL}?types=output") as stream:
            frames = stream.frames()
            for number in range(3):
                folder = root / "shop" / "task-7" / "runs" / f"r-{number}"
                begun = time.monotonic()
                folder.mkdir(parents=True)
                (folder / "agent-stdout.txt").write_text("hello\n")
                assert next(frames).data["run_id"] == f"r-{number}"
                assert time.monotonic() - begun < 1.5
                with (folder / "agent-stdout.txt").open("a") as file:
                    file.write("again\n")
                assert next(frames).data["line"] == "again"
        assert not entry(client)["hints"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.needs("root")
def test_a_full_disk_delays_what_files_say_and_loses_nothing(
    disk: Path, make_server: Callable[..., Server], root: Path
) -> None:
    log = root / "a.log"
    log.write_text("first\n")
    server = make_server(disk / "data", **watch(root, ingest="always"))
    with server.client() as client:
        until(lambda: entry(client)["sources"], "the file to be found")
        until(lambda: texts(client, "a.log") == ["first"], "the first line")
        fill(disk / "ballast")
        lines = [f"{number:0400}" for number in range(2_000)]
        with log.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
        until(lambda: b"watch.waits" in server.output.read_bytes(), "the disk to be full", 20)
        (disk / "ballast").unlink()
        until(lambda: texts(client, "a.log")[-1] == lines[-1], "the last line", 20)
        assert texts(client, "a.log") == ["first", *lines]


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
