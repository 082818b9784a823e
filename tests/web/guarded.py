"""Requests through the guard, and an application behind it that keeps what it got."""

import json
from collections.abc import Sequence
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from runcast.web.guard import Guard

PORT = 7890
OWN = f"127.0.0.1:{PORT}"
LIMIT = 100
Headers = Sequence[tuple[str, str]]


class Behind:
    """The application behind the guard: it reads its body and says what it got."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.after: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await send({"type": "lifespan.startup.complete"})
            return
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            return
        self.bodies.append((await receive())["body"])
        self.after.append(await receive())
        headers = [(b"content-security-policy", b"own")] if scope["path"] == "/docs" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"in", "more_body": True})
        await send({"type": "http.response.body", "body": b"side"})


class Exchange:
    """One request through the guard, and everything it caused."""

    def __init__(self, **guard: Any) -> None:
        self.behind = Behind()
        self.sent: list[Message] = []
        self.received = 0
        self._guard = Guard(self.behind, body_bytes=LIMIT, **guard)

    async def run(self, scope: Scope, *chunks: bytes) -> "Exchange":
        connect: list[Message] = [{"type": "websocket.connect"}]
        parts: list[Message] = [
            {"type": "http.request", "body": chunk, "more_body": index + 1 < len(chunks)}
            for index, chunk in enumerate(chunks or (b"",))
        ]
        messages = connect if scope["type"] == "websocket" else parts

        async def receive() -> Message:
            self.received += 1
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            self.sent.append(message)

        await self._guard(scope, receive, send)
        return self

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def code(self) -> str:
        return str(json.loads(self.sent[1]["body"])["error"]["code"])


def request(
    headers: Headers = (("Host", OWN),), method: str = "GET", path: str = "/x", **scope: Any
) -> Scope:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "server": ("127.0.0.1", PORT),
        "path": path,
        "raw_path": path.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        **scope,
    }


def handshake(*headers: tuple[str, str], denial: bool = True) -> Scope:
    extensions: dict[str, Any] = {"websocket.http.response": {}} if denial else {}
    scope = request((("Host", OWN), *headers), path="/ws")
    return {**scope, "type": "websocket", "scheme": "ws", "extensions": extensions}
