"""A real HTTP server on a real socket that says, byte for byte, what a test tells it to."""

import socket
import socketserver
import threading
from collections.abc import Callable
from io import BufferedIOBase
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

import msgspec


class Request(NamedTuple):
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    number: int  # 0 for the first connection


Script = Callable[[Request], bytes]


PROCESS = {
    "id": "p",
    "type": "command",
    "promptPreview": "x",
    "status": "running",
    "startTime": "2026-11-21T08:57:30.123Z",
    "workspaceId": "default",
}


def asked(request: Request) -> tuple[str, str, Any]:
    return request.method, request.path, msgspec.json.decode(request.body or b"null")


def answer(status: int, value: object = None) -> bytes:
    body = b"" if value is None else msgspec.json.encode(value)
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def run(**fields: object) -> dict[str, object]:
    """A run as the API gives it, as far as every run has these fields."""
    known = {"id": "r", "task_id": "r", "workspace_id": "default", "source": "run"}
    return {**known, "status": "running", "created_at": "2026-11-21T08:57:30.123Z", **fields}


def stream(body: bytes, *, chunked: bool = False) -> bytes:
    """A stream that ends where the connection ends; chunked, that is a cut and not an end."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    if not chunked:
        return head + b"connection: close\r\n\r\n" + body
    size = len(body) + 1  # one byte more than will ever come
    return head + b"transfer-encoding: chunked\r\n\r\n" + f"{size:x}\r\n".encode() + body


def frame(number: int, event: str = "log", **data: object) -> bytes:
    text = msgspec.json.encode(data)
    return b"event: %s\ndata: %s\nid: %d\n\n" % (event.encode(), text, number)


class ScriptedServer:
    """Answers each connection's one request with what the script returns, and hangs up."""

    def __init__(self, script: Script) -> None:
        self.requests: list[Request] = []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                request = outer._read(self.rfile)
                if request is not None:
                    self.wfile.write(script(request))
                    self.request.shutdown(socket.SHUT_WR)

        self._server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def _read(self, file: BufferedIOBase) -> Request | None:
        line = file.readline().decode()
        if not line:
            return None
        method, target, _ = line.split(" ")
        headers: dict[str, str] = {}
        while (line := file.readline().decode().strip()) != "":
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = file.read(int(headers.get("content-length", 0)))
        url = urlsplit(target)
        number = len(self.requests)
        request = Request(method, url.path, parse_qs(url.query), headers, body, number)
        self.requests.append(request)
        return request

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
