"""The guard on a real socket: what only the bytes of a request can say."""

import re
import socket
from collections.abc import Callable, Iterator
from typing import NamedTuple

import httpx2
import pytest

from tests.support.runs import wait_ended
from tests.support.server import Server

START = b'{"command": ["true"]}'


class Reply(NamedTuple):
    """A raw answer: status 0 if the connection was closed without one."""

    status: int
    code: str
    text: str


def talk(server: Server, request: bytes) -> Reply:
    """Send bytes as they are and read until the server closes or has answered once."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(request)
        data = b""
        while not _is_whole(data) and (chunk := connection.recv(65_536)):
            data += chunk
    text = data.decode("latin-1")
    status = re.match(r"HTTP/1\.1 (\d{3})", text)
    code = re.search(r'"code":"(\w+)"', text)
    return Reply(int(status[1]) if status else 0, code[1] if code else "", text)


def _is_whole(data: bytes) -> bool:
    head, found, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return bool(found) and length is not None and len(body) >= int(length[1])


def post(*headers: str, body: bytes = START) -> bytes:
    lines = ["POST /api/v1/runs HTTP/1.1", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def get(target: str, *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"GET {target} HTTP/{version}", *headers, "", ""]).encode()


Started = Callable[[], set[str]]


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture
def started(client: httpx2.Client) -> Iterator[Started]:
    """The runs that are there since the test began; it leaves none of them running."""

    def listed() -> set[str]:
        page = client.get("/api/v1/runs", params={"limit": 500}).json()
        return {run["id"] for run in page["runs"]}

    before = listed()
    yield lambda: listed() - before
    for run_id in listed() - before:
        wait_ended(client, run_id)


def test_no_request_for_another_host_gets_through(server: Server, started: Started) -> None:
    own = f"127.0.0.1:{server.port}"
    foreign = {
        "two hosts, ours last": post("Host: evil.example", f"Host: {own}"),
        "two hosts, ours first": post(f"Host: {own}", "Host: evil.example"),
        "ours twice": post(f"Host: {own}", f"Host: {own}"),
        "no host": post(),
        "an empty host": post("Host:"),
        "a forwarded host": post("Host: evil.example", f"X-Forwarded-Host: {own}"),
        "user info": post(f"Host: {own}@evil.example"),
        "another port": post(f"Host: 127.0.0.1:{server.port + 1}"),
        "any address": post(f"Host: 0.0.0.0:{server.port}"),
        "a mapped address": post(f"Host: [::ffff:127.0.0.1]:{server.port}"),
        "a trailing dot": post(f"Host: localhost.:{server.port}"),
        "HTTP/1.0 without a host": get("/api/v1/runs", version="1.0"),
        "another host in the target": get("http://evil.example/api/v1/runs", f"Host: {own}"),
        "a target without a path": get("http://evil.example", f"Host: {own}"),
        "a target of another scheme": get("ftp://evil.example/x", f"Host: {own}"),
        "our host in the target": get(f"http://{own}/api/v1/runs", "Host: evil.example"),
        "our host in both": get(f"http://{own}/api/v1/runs", f"Host: {own}"),
    }
    answers = {name: talk(server, request) for name, request in foreign.items()}
    assert {name: answer[:2] for name, answer in answers.items()} == dict.fromkeys(
        foreign, (403, "forbidden_host")
    )
    assert not started()


def test_a_request_for_this_host_gets_through(server: Server, started: Started) -> None:
    for host in ("127.0.0.1", "LOCALHOST", "[::1]"):
        assert talk(server, post(f"Host: {host}:{server.port}")).status == 201
        assert talk(server, post(f"Host: \t {host}\t")).status == 201
    assert len(started()) == 6


def test_targets_that_are_no_path_are_answered_and_harm_nothing(
    server: Server, client: httpx2.Client
) -> None:
    own = f"Host: 127.0.0.1:{server.port}"
    for request in (
        f"OPTIONS * HTTP/1.1\r\n{own}\r\n\r\n",
        f"CONNECT evil.example:443 HTTP/1.1\r\n{own}\r\n\r\n",
        f"GET evil.example/x HTTP/1.1\r\n{own}\r\n\r\n",
        f"GET ?x HTTP/1.1\r\n{own}\r\n\r\n",
    ):
        assert talk(server, request.encode()).status in {400, 403}, request
    assert client.get("/healthz").status_code == 200
    assert "Traceback" not in server.output.read_text()


def test_what_a_foreign_page_can_send_starts_nothing(server: Server, started: Started) -> None:
    own = f"Host: 127.0.0.1:{server.port}"
    page = "Origin: http://evil.example"
    plain = post(own).replace(b"application/json", b"text/plain;charset=UTF-8")
    form = post(own, body=b"command=true").replace(
        b"application/json", b"application/x-www-form-urlencoded"
    )
    untyped = post(own).replace(b"Content-Type: application/json\r\n", b"")
    expected = {
        post(own, page): (403, "forbidden_origin"),
        post(own, "Origin: null"): (403, "forbidden_origin"),
        post(own, "Sec-Fetch-Site: cross-site"): (403, "forbidden_origin"),
        plain: (415, "not_json"),
        form: (415, "not_json"),
        untyped: (415, "not_json"),
        get("/api/v1/runs/stream/all", own, page): (403, "forbidden_origin"),
    }
    for request, outcome in expected.items():
        assert talk(server, request)[:2] == outcome, request
    preflight = f"OPTIONS /api/v1/runs HTTP/1.1\r\n{own}\r\n{page}\r\n"
    preflight += "Access-Control-Request-Method: POST\r\n\r\n"
    answer = talk(server, preflight.encode())
    assert answer.status == 403
    assert "access-control" not in answer.text.lower()
    assert not started()


def handshake(host: str, *headers: str, path: str = "/ws") -> bytes:
    return get(
        path,
        f"Host: {host}",
        *headers,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )


def test_a_foreign_websocket_is_refused_with_403_instead_of_101(server: Server) -> None:
    own = f"127.0.0.1:{server.port}"
    for request, outcome in {
        handshake(own, "Origin: http://evil.example"): (403, "forbidden_origin"),
        handshake(own, "Origin: null"): (403, "forbidden_origin"),
        handshake("evil.example"): (403, "forbidden_host"),
        handshake(own, path=f"http://{own}/ws"): (403, "forbidden_host"),
        handshake(own, f"Origin: http://{own}", path="/nowhere"): (404, "not_found"),
        handshake(own, path="/api/v1/runs"): (404, "not_found"),
    }.items():
        assert talk(server, request)[:2] == outcome, request


def test_a_body_is_cut_off_at_its_limit_however_it_is_framed(
    server: Server, started: Started
) -> None:
    own = f"Host: 127.0.0.1:{server.port}"
    declared = post(own).replace(b"Content-Length: 21", b"Content-Length: 1073741824")
    assert talk(server, declared)[:2] == (413, "body_too_large")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    chunked = post(own, body=b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    assert talk(server, chunked + 17 * chunk)[:2] == (413, "body_too_large")
    both = post(own, "Transfer-Encoding: chunked")
    assert talk(server, both).status in {0, 400}
    assert not started()


def test_streams_are_hardened_too(server: Server, client: httpx2.Client) -> None:
    run_id = client.post("/api/v1/runs", json={"command": ["true"]}).json()["run"]["id"]
    answer = client.get(f"/api/v1/runs/{run_id}/stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert not [name for name in answer.headers if name.startswith("access-control")]
