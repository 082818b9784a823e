"""The guard: one ASGI layer before every route and WebSocket, which no foreign web page passes."""

from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Protocol

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runcast.core.errors import Forbidden, RuncastError, TooLarge, UnsupportedMedia
from runcast.core.limits import BODY_BYTES
from runcast.web.problems import problem

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

Headers = Mapping[bytes, Sequence[bytes]]

_JUDGED = frozenset(
    {
        b"host",
        b"origin",
        b"sec-fetch-site",
        b"content-type",
        b"content-length",
        b"transfer-encoding",
    }
)
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_ORIGIN_SCHEMES = {"http": b"http://", "https": b"https://", "ws": b"http://", "wss": b"https://"}
_STARTS = frozenset({"http.response.start", "websocket.http.response.start"})
_POLICY = b"content-security-policy"
_HARDENING = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
)
_CLOSED_POLICY = (_POLICY, b"default-src 'none'; frame-ancestors 'none'")
_POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1


LASTING = "runcast.lasting"  # where an answer in the ASGI scope says that it will take long


class Lasting(Protocol):
    """An answer that goes on when all layers between the guard and it have returned."""

    async def last(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; nothing was sent so far."""


class Guard:
    """Let only requests through that were made for this server.

    runcast executes commands, and any web page can reach loopback: by a form, by fetch, by
    WebSocket, or by a host name that it rebinds to 127.0.0.1. So `Host` must be a name this
    server goes by, `Origin` (if there is one) its own, and a body JSON, which pages of other
    origins cannot send unasked. A WebSocket is refused before its upgrade. Every answer is
    marked so that browsers neither sniff, frame nor embed it; an answer that brings its own
    content security policy keeps it.

    An entry of `allowed_hosts` is a name, accepted with our port or none, or `name:port`.
    """

    def __init__(
        self,
        app: ASGIApp,
        allowed_hosts: Collection[str] = (),
        allowed_origins: Collection[str] = (),
        body_bytes: int = BODY_BYTES,
    ) -> None:
        self.app = app
        self._body_bytes = body_bytes
        self._names = [*LOOPBACK_NAMES, *(name.lower() for name in allowed_hosts)]
        self._origins = frozenset(origin.lower().encode() for origin in allowed_origins)
        self._hosts: dict[int | None, frozenset[bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer why not."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        send = _hardened(send)
        try:
            receive = await self._admit(scope, receive)
        except RuncastError as error:
            await _refuse(error, scope, receive, send)
            return
        except ClientDisconnect:
            return
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
        else:
            await self._respond(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the request answered; an answer that lasts comes out of the framework's layers.

        A stream lives for hours, and the frames and objects of a dozen layers would with it; their
        notes in the scope go, too.
        """
        lasting: list[Lasting] = []
        await self.app({**scope, LASTING: lasting}, receive, send)
        for answer in lasting:
            await answer.last(scope, receive, send)

    async def _admit(self, scope: Scope, receive: Receive) -> Receive:
        headers = _judged_headers(scope)
        host = self._check_host(scope, headers)
        self._check_origin(scope, headers, host)
        if scope["type"] == "websocket":
            return receive
        if scope["method"] not in _SAFE_METHODS and b"cross-site" in headers.get(
            b"sec-fetch-site", ()
        ):
            raise Forbidden("forbidden_origin", "a page of another site may not do this")
        return await self._check_body(headers, receive)

    def _check_host(self, scope: Scope, headers: Headers) -> bytes:
        hosts = headers.get(b"host", ())
        server = scope.get("server")
        own = self._hosts_at(server[1] if server else None)
        # A target with a host of its own (absolute-form) would make `Host` meaningless.
        origin_form = scope.get("raw_path", b"/").startswith(b"/")
        if len(hosts) != 1 or hosts[0].lower() not in own or not origin_form:
            raise Forbidden(
                "forbidden_host",
                "the Host header must name this server: 127.0.0.1, localhost, [::1] "
                "or a name listed in auth.allowed_hosts",
            )
        return hosts[0].lower()

    def _hosts_at(self, port: int | None) -> frozenset[bytes]:
        if port not in self._hosts:
            with_port = [f"{name}:{port}" for name in self._names if not _has_port(name)]
            self._hosts[port] = frozenset(name.encode() for name in self._names + with_port)
        return self._hosts[port]

    def _check_origin(self, scope: Scope, headers: Headers, host: bytes) -> None:
        origins = headers.get(b"origin")
        if origins is None:
            return
        own = _ORIGIN_SCHEMES[scope["scheme"]] + host
        if len(origins) == 1 and (origins[0].lower() == own or origins[0].lower() in self._origins):
            return
        raise Forbidden(
            "forbidden_origin",
            "a page of another origin made this request; auth.allowed_origins can let it in",
        )

    async def _check_body(self, headers: Headers, receive: Receive) -> Receive:
        """Return a `receive` that gives the body whole, or `receive` itself if there is none."""
        lengths = headers.get(b"content-length", ())
        if b"transfer-encoding" not in headers and all(length == b"0" for length in lengths):
            return receive
        # Refused by its headers where possible: a large body is then not read at all.
        if any(length.isdigit() and int(length) > self._body_bytes for length in lengths):
            raise self._too_large()
        is_json = _is_json(headers.get(b"content-type", ()))
        if lengths and not is_json:
            raise _not_json()
        return _replay(await self._read(receive, is_json), receive)

    async def _read(self, receive: Receive, is_json: bool) -> bytes:
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if body and not is_json:
                raise _not_json()
            if len(body) > self._body_bytes:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> TooLarge:
        return TooLarge("body_too_large", f"a body may have at most {self._body_bytes} bytes")


def _judged_headers(scope: Scope) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        if name in _JUDGED:
            found.setdefault(name, []).append(value.strip(b" \t"))
    return found


def _has_port(name: str) -> bool:
    return name.rpartition(":")[2].isdecimal()


def _is_json(types: Sequence[bytes]) -> bool:
    return len(types) == 1 and types[0].partition(b";")[0].strip().lower() == b"application/json"


def _not_json() -> UnsupportedMedia:
    return UnsupportedMedia("not_json", "send the body with Content-Type: application/json")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Make a `receive` that gives `body`, then whatever comes after it: the disconnect."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


def _hardened(send: Send) -> Send:
    # Not a coroutine itself: streams send many chunks, and this adds a call to each, no task step.
    def harden(message: Message) -> Awaitable[None]:
        if message["type"] in _STARTS:
            headers = [*message.get("headers", ()), *_HARDENING]
            if not any(name == _POLICY for name, _ in headers):
                headers.append(_CLOSED_POLICY)
            message = {**message, "headers": headers}
        return send(message)

    return harden


async def _refuse(error: RuncastError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()  # the connect message comes before any answer
        if "websocket.http.response" not in scope.get("extensions", {}):
            # Closing before accepting makes the server answer the handshake with 403.
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
    await problem(error)(scope, receive, send)
