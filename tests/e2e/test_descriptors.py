"""Out of file descriptors: who is connected stays so, runs end truthfully, and it passes."""

import contextlib
import resource
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx2

from tests.support.runs import output, submit, wait_ended
from tests.support.server import Server
from tests.support.waiting import until

LIMIT = 60


def test_runs_end_well_although_clients_take_all_descriptors(
    make_server: Callable[..., Server],
) -> None:
    server = make_server(RUNCAST__QUEUE__MAX_CONCURRENT_RUNS="3")
    with server.client() as client, contextlib.ExitStack() as sockets:
        ids = [
            submit(client, ["sh", "-c", "sleep 2; echo done"], id=f"run-{number}")
            for number in range(3)
        ]
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        for _ in range(2 * LIMIT):
            sockets.enter_context(_stream(server, ids[0]))
        until(lambda: _ended_folders(server) == 3, "all runs to end", timeout=20)
        sockets.close()
        for run_id in ids:
            run = wait_ended(client, run_id)
            assert (run["status"], run["exit_code"]) == ("completed", 0), str(run)
            assert output(client, run_id) == b"done\n"


def _stream(server: Server, run_id: str) -> socket.socket:
    address = urlsplit(server.url)
    opened = socket.create_connection((address.hostname, address.port))
    request = f"GET /api/v1/runs/{run_id}/stream HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n"
    opened.sendall(request.encode())
    return opened


def _ended_folders(server: Server) -> int:
    return len(list(server.data_dir.glob("runs/*/exit.json")))


def test_the_server_opens_as_many_files_as_it_may_and_commands_get_the_usual_limit(
    client: httpx2.Client, server: Server
) -> None:
    soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    run_id = submit(client, ["sh", "-c", "ulimit -n"])
    wait_ended(client, run_id)

    assert soft == hard
    assert int(output(client, run_id)) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
