"""A real `runcast serve` as a child process, to be talked to, killed and started again."""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from tests.support import processes
from tests.support.waiting import until

RUNCAST = str(Path(sys.executable).with_name("runcast"))
LISTENING = re.compile(rb"runcast is listening on (http://\S+)\n")


# The program in a user namespace of its own, in which the system gives no hints.
WITHOUT_INOTIFY = [
    *("unshare", "--user", "--map-root-user", "sh", "-c"),
    'echo 0 >/proc/sys/user/max_inotify_instances && exec "$0" "$@"',
    RUNCAST,
]


def clean_environment(changes: Mapping[str, str] = {}) -> dict[str, str]:
    """Return this process's environment without any runcast setting, plus `changes`."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("RUNCAST_")}
    return kept | dict(changes)


def free_port() -> int:
    """Return a free port that no outgoing connection is given.

    A client that knocks at a closed port of the ephemeral range can be connected to itself,
    and another process can take such a port while a killed server is down.
    """
    while True:
        port = random.randrange(11_000, 30_000)  # 10080 is one that browsers refuse
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """One server on one data folder; it keeps its port over restarts."""

    def __init__(self, data_dir: Path, env: Mapping[str, str] = {}) -> None:
        self.data_dir = data_dir
        self.env = dict(env)
        self.program = [RUNCAST]
        self.port = free_port()
        self.url = ""
        self.output = data_dir.with_name(data_dir.name + ".server-output")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the server."""
        assert self._process is not None, "the server was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the server was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, *flags: str) -> None:
        """Start the server and wait until it says where it listens."""
        assert not self.running, "the server runs already"
        place = ["--port", str(self.port), "--data-dir", str(self.data_dir)]
        command = [*self.program, "serve", *place]
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, *flags],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=clean_environment(self.env),
            )
        self.url = until(self._address, "the server to listen", timeout=30)

    def _address(self) -> str:
        said = self.output.read_bytes()
        if found := LISTENING.search(said):
            return found[1].decode()
        assert self.running, f"the server ended: {said.decode(errors='replace')}"
        return ""

    def client(self, **options: Any) -> httpx2.Client:
        """Open a client on the server; it reads no proxy from the environment."""
        return httpx2.Client(base_url=self.url, trust_env=False, **{"timeout": 10} | options)

    def kill9(self) -> None:
        """SIGKILL the server and wait until it is gone; its runs go on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self, timeout: float = 10) -> int:
        """SIGTERM the server and return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout)

    def restart(self) -> None:
        """Start it again on the same folder and port, after SIGTERM if it still runs."""
        if self.running:
            self.terminate()
        self.start()

    def close(self) -> None:
        """End the server and everything that it started; complain of what cancel left."""
        try:
            left = self._cancel_and_stop() if self.running else set()
        finally:
            if self.running:
                self.kill9()
            told = {pid: processes.command_line(pid) for pid in processes.of_folder(self.data_dir)}
            processes.kill_all(lambda: processes.of_folder(self.data_dir))
        assert not left, f"still there after their run was cancelled: {told}"

    def _cancel_and_stop(self) -> set[int]:
        # A server stopped by a test (SIGSTOP) could answer nothing.
        os.kill(self.pid, signal.SIGCONT)
        with self.client() as client:
            until(lambda: not self._cancel_active(client), "all runs to be cancelled", 30)
        self.terminate()
        return processes.of_folder(self.data_dir)

    def _cancel_active(self, client: httpx2.Client) -> list[str]:
        answer = client.get("/api/v1/runs", params={"status": "queued,running", "limit": 500})
        active = [run["id"] for run in answer.json()["runs"] if run["source"] == "run"]
        for run_id in active:
            client.post(f"/api/v1/runs/{run_id}/cancel")
        return active
