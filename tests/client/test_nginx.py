"""Following runs through a real nginx, with its buffering as it comes."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.client.both import Make, either
from tests.support.runs import child, submit, wait_ended
from tests.support.server import Server, free_port
from tests.support.waiting import until

pytestmark = [pytest.mark.needs("nginx"), pytest.mark.usefixtures("quick_retries")]

CONFIG = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{target}; }}
    }}
}}
"""


class Proxied(NamedTuple):
    """A server, and the address at which nginx passes everything on to it."""

    server: Server
    url: str


@pytest.fixture
def proxied(make_server: Callable[..., Server], tmp_path: Path) -> Iterator[Proxied]:
    server = make_server(RUNCAST__API__SSE__RETRY_MS="1")
    (folder := tmp_path / "nginx").mkdir()
    port, file = free_port(), folder / "nginx.conf"
    # Workers that gave up root could not enter the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    file.write_text(user + CONFIG.format(folder=folder, port=port, target=server.port))
    with subprocess.Popen(["nginx", "-e", f"{folder}/error.log", "-c", str(file)]) as nginx:
        try:
            until(lambda: (folder / "pid").exists() and listens(port), "nginx to listen")
            yield Proxied(server, f"http://127.0.0.1:{port}")
        finally:
            nginx.terminate()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@either
def test_a_line_comes_through_at_once_and_the_rest_in_order(make: Make, proxied: Proxied) -> None:
    with make(proxied.url) as client:
        run = client.start(command=["sh", "-c", "echo first; cat; seq 5000"], stdin="pipe")
        events = client.follow(run.id)
        lines: list[str] = []
        numbers: list[int] = []
        for event in events:
            numbers.append(event.id)
            if event.event == "log":
                lines.append(event.data["line"])
                if lines == ["first"]:
                    # The run ends only now: what was held back could never have come.
                    client.send(run.id, "second", eof=True)
    assert lines == ["first", "second", *map(str, range(1, 5001))]
    assert numbers == list(range(1, len(numbers) + 1))


@either
def test_a_server_that_is_killed_behind_nginx_is_followed_when_it_is_back(
    make: Make, proxied: Proxied
) -> None:
    server = proxied.server
    with server.client() as raw:
        run_id = submit(raw, child("flood", 300, 80, 200))
        with make(proxied.url) as client:
            numbers: list[int] = []
            for event in client.follow(run_id):
                numbers.append(event.id)
                if event.id in (50, 200):
                    server.kill9()
                    server.restart()
        last_seq = wait_ended(raw, run_id)["last_seq"]
    assert numbers == list(range(1, last_seq + 2))
