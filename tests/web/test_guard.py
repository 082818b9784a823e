"""The guard as a table: which requests get through, and how the others are answered."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
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
    extensions = {"websocket.http.response": {}} if denial else {}
    scope = request((("Host", OWN), *headers), path="/ws")
    return scope | {"type": "websocket", "scheme": "ws", "extensions": extensions}


GOOD_HOSTS = [
    OWN,
    "127.0.0.1",
    "localhost",
    "LocalHost:7890",
    "[::1]",
    "[::1]:7890",
    "box.lan",
    "BOX.lan:7890",
    " localhost\t",
    "proxy.example:8443",
]
BAD_HOSTS = [
    "",
    "evil.example",
    "evil.example:7890",
    "127.0.0.1.evil.example",
    "localhost.evil",
    "evil-localhost",
    "127.0.0.1:7890@evil",
    "evil@127.0.0.1:7890",
    "127.0.0.1:7891",
    "localhost:80",
    "localhost.",
    "localhost.:7890",
    "127.0.0.1.:7890",
    "0.0.0.0:7890",
    "0.0.0.0",
    "127.1:7890",
    "2130706433:7890",
    "[::ffff:127.0.0.1]:7890",
    "::1",
    "[::1%25lo]:7890",
    "localhost:7890/",
    "http://localhost:7890",
    "localhost:07890",
    "localhost, localhost",
    "proxy.example",
    "proxy.example:7890",
    "lоcalhost",  # noqa: RUF001 - a Cyrillic letter that looks like an o
]
ALLOWED_HOSTS = ["box.lan", "Proxy.example:8443"]


@pytest.mark.parametrize("host", GOOD_HOSTS)
async def test_a_name_of_ours_is_let_in(host: str) -> None:
    done = await Exchange(allowed_hosts=ALLOWED_HOSTS).run(request([("Host", host)]))
    assert done.status == 200


@pytest.mark.parametrize("host", BAD_HOSTS)
@pytest.mark.parametrize("path", ["/x", "/docs", "/healthz"])
async def test_any_other_name_is_refused_on_every_path(host: str, path: str) -> None:
    done = await Exchange(allowed_hosts=ALLOWED_HOSTS).run(request([("Host", host)], path=path))
    assert (done.status, done.code) == (403, "forbidden_host")
    assert done.behind.bodies == []


@pytest.mark.parametrize("name", ["box.lan", "0.0.0.0:7890"])
async def test_a_name_counts_only_where_it_is_listed(name: str) -> None:
    assert (await Exchange().run(request([("Host", name)]))).status == 403
    assert (await Exchange(allowed_hosts=[name]).run(request([("Host", name)]))).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Host", OWN), ("Host", OWN)],
        [("Host", OWN), ("Host", "evil.example")],
        [("Host", "evil.example"), ("X-Forwarded-Host", OWN)],
        [("X-Forwarded-Host", OWN)],
        [("Host", "evil.example"), ("Forwarded", f"host={OWN}")],
    ],
)
async def test_there_is_one_host_header_and_no_substitute_for_it(headers: Headers) -> None:
    done = await Exchange().run(request(headers))
    assert (done.status, done.code) == (403, "forbidden_host")


async def test_a_forwarded_host_takes_nothing_away_either() -> None:
    done = await Exchange().run(request([("Host", OWN), ("X-Forwarded-Host", "evil.example")]))
    assert done.status == 200


@pytest.mark.parametrize("target", [b"http://evil.example/x", b"http://127.0.0.1:7890/x", b"*"])
async def test_a_target_that_names_a_host_is_refused(target: bytes) -> None:
    done = await Exchange().run(request(raw_path=target))
    assert (done.status, done.code) == (403, "forbidden_host")


async def test_a_server_without_a_port_goes_by_its_bare_names() -> None:
    socket = request([("Host", "localhost")], server=("/run/runcast.sock", None))
    assert (await Exchange().run(socket)).status == 200
    assert (await Exchange().run(request(server=None))).status == 403


ORIGINS = {
    f"http://{OWN}": 200,
    "HTTP://127.0.0.1:7890": 200,
    "https://tools.example": 200,
    "null": 403,
    "": 403,
    "https://127.0.0.1:7890": 403,
    "http://127.0.0.1": 403,
    "http://127.0.0.1:7891": 403,
    "http://localhost:7890": 403,
    "http://evil.example": 403,
    f"http://{OWN}.evil.example": 403,
    f"http://evil.example/{OWN}": 403,
    f"http://{OWN}@evil.example": 403,
    "http://tools.example": 403,
    "https://tools.example.evil": 403,
}


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "DELETE"])
async def test_an_origin_is_ours_or_listed(origin: str, method: str) -> None:
    exchange = Exchange(allowed_origins=["https://Tools.example"])
    done = await exchange.run(request([("Host", OWN), ("Origin", origin)], method))
    assert done.status == ORIGINS[origin]
    if done.status == 403:
        assert done.code == "forbidden_origin"


async def test_two_origins_are_refused() -> None:
    own = ("Origin", f"http://{OWN}")
    assert (await Exchange().run(request([("Host", OWN), own, own]))).status == 403


async def test_an_origin_follows_the_scheme_and_the_host_header_together() -> None:
    headers = [("Host", "localhost:7890"), ("Origin", "https://localhost:7890")]
    assert (await Exchange().run(request(headers, scheme="https"))).status == 200
    assert (await Exchange().run(request(headers))).status == 403


@pytest.mark.parametrize(
    ("method", "site", "status"),
    [
        ("POST", "cross-site", 403),
        ("PUT", "cross-site", 403),
        ("PATCH", "cross-site", 403),
        ("DELETE", "cross-site", 403),
        ("OPTIONS", "cross-site", 403),
        ("GET", "cross-site", 200),
        ("HEAD", "cross-site", 200),
        ("POST", "same-origin", 200),
        ("POST", "same-site", 200),
        ("POST", "none", 200),
    ],
)
async def test_a_page_of_another_site_may_only_read(method: str, site: str, status: int) -> None:
    done = await Exchange().run(request([("Host", OWN), ("Sec-Fetch-Site", site)], method))
    assert done.status == status
    assert status == 200 or done.code == "forbidden_origin"


BODY = b'{"a": 1}'
TYPES: list[tuple[list[str], int]] = [
    (["application/json"], 200),
    (["Application/JSON; charset=utf-8"], 200),
    (["application/json;charset=utf-8"], 200),
    ([], 415),
    ([""], 415),
    (["text/plain"], 415),
    (["text/plain;charset=UTF-8"], 415),
    (["application/x-www-form-urlencoded"], 415),
    (["multipart/form-data; boundary=x"], 415),
    (["text/plain; application/json"], 415),
    (["application/jsonp"], 415),
    (["application/x-json"], 415),
    (["text/plain", "application/json"], 415),
    (["application/json", "text/plain"], 415),
]


@pytest.mark.parametrize(("types", "status"), TYPES)
@pytest.mark.parametrize("method", ["POST", "DELETE", "GET", "PROPFIND"])
@pytest.mark.parametrize(
    "framing", [("Content-Length", str(len(BODY))), ("Transfer-Encoding", "chunked")]
)
async def test_a_body_is_json_or_refused(
    types: list[str], status: int, method: str, framing: tuple[str, str]
) -> None:
    headers = [("Host", OWN), framing, *(("Content-Type", each) for each in types)]
    done = await Exchange().run(request(headers, method), BODY[:3], BODY[3:])
    assert done.status == status
    assert done.behind.bodies == ([BODY] if status == 200 else [])
    assert status == 200 or done.code == "not_json"


@pytest.mark.parametrize("framing", [("Content-Length", "0"), ("Transfer-Encoding", "chunked")])
async def test_an_empty_body_needs_no_type(framing: tuple[str, str]) -> None:
    done = await Exchange().run(request([("Host", OWN), framing], "POST"))
    assert (done.status, done.behind.bodies) == (200, [b""])


async def test_a_refused_body_is_not_read_if_its_length_is_known() -> None:
    text = [("Host", OWN), ("Content-Length", "8"), ("Content-Type", "text/plain")]
    assert (await Exchange().run(request(text, "POST"), BODY)).received == 0
    large = [("Host", OWN), ("Content-Length", "101"), ("Content-Type", "application/json")]
    done = await Exchange().run(request(large, "POST"), b"x" * 101)
    assert (done.status, done.code, done.received) == (413, "body_too_large", 0)


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
@pytest.mark.parametrize("framing", [("Content-Length", "5"), ("Transfer-Encoding", "chunked")])
async def test_a_body_is_counted_as_it_comes(
    size: int, status: int, framing: tuple[str, str]
) -> None:
    headers = [("Host", OWN), framing, ("Content-Type", "application/json")]
    done = await Exchange().run(request(headers, "POST"), *(b"x" for _ in range(size)))
    assert done.status == status


async def test_what_is_over_the_limit_is_not_read_on() -> None:
    headers = [
        ("Host", OWN),
        ("Transfer-Encoding", "chunked"),
        ("Content-Type", "application/json"),
    ]
    done = await Exchange().run(request(headers, "POST"), *(b"x" * 60 for _ in range(1000)))
    assert (done.status, done.code, done.received) == (413, "body_too_large", 2)


async def test_after_the_body_the_application_hears_of_the_disconnect() -> None:
    headers = [("Host", OWN), ("Content-Length", "8"), ("Content-Type", "application/json")]
    done = await Exchange().run(request(headers, "POST"), BODY)
    assert done.behind.after == [{"type": "http.disconnect"}]


async def test_a_client_that_leaves_within_its_body_is_not_answered() -> None:
    exchange = Exchange()
    headers = [("Host", OWN), ("Content-Length", "8"), ("Content-Type", "application/json")]
    gone: list[Message] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return gone.pop(0)

    async def send(message: Message) -> None:
        exchange.sent.append(message)

    await Guard(exchange.behind)(request(headers, "POST"), receive, send)
    assert (exchange.sent, exchange.behind.bodies) == ([], [])


HARDENED = {
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.mark.parametrize("host", [OWN, "evil.example"])
async def test_every_answer_is_hardened(host: str) -> None:
    done = await Exchange().run(request([("Host", host)]))
    assert done.headers.items() >= HARDENED.items()
    assert not [name for name in done.headers if name.startswith("access-control-")]


async def test_an_answer_may_bring_its_own_policy() -> None:
    done = await Exchange().run(request(path="/docs"))
    assert [value for name, value in done.sent[0]["headers"] if name.endswith(b"policy")].count(
        b"own"
    ) == 1
    assert done.headers == HARDENED | {"content-security-policy": "own"}


async def test_chunks_pass_as_they_are() -> None:
    done = await Exchange().run(request())
    assert [message["body"] for message in done.sent[1:]] == [b"in", b"side"]


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("Origin", f"http://{OWN}"),),
        (("Origin", f"http://{OWN}"), ("Sec-Fetch-Site", "same-origin")),
    ],
)
async def test_a_websocket_of_ours_is_accepted(headers: Headers) -> None:
    done = await Exchange().run(handshake(*headers))
    assert done.sent == [{"type": "websocket.accept"}]


FOREIGN_HANDSHAKES: list[tuple[tuple[str, str], str]] = [
    (("Origin", "http://evil.example"), "forbidden_origin"),
    (("Origin", "null"), "forbidden_origin"),
    (("Origin", f"ws://{OWN}"), "forbidden_origin"),
    (("Host", "evil.example"), "forbidden_host"),
]


@pytest.mark.parametrize(("header", "code"), FOREIGN_HANDSHAKES)
async def test_a_foreign_websocket_is_refused_before_its_upgrade(
    header: tuple[str, str], code: str
) -> None:
    done = await Exchange().run(handshake(header))
    assert [message["type"] for message in done.sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert (done.status, done.code) == (403, code)


async def test_a_websocket_is_closed_unaccepted_where_no_answer_can_be_given() -> None:
    done = await Exchange().run(handshake(("Origin", "null"), denial=False))
    assert done.sent == [{"type": "websocket.close", "code": 1008}]


async def test_the_lifespan_is_no_request() -> None:
    done = await Exchange().run({"type": "lifespan"})
    assert done.sent == [{"type": "lifespan.startup.complete"}]


async def test_requests_at_once_do_not_mix() -> None:
    exchange = Exchange()
    hosts = [OWN, "evil.example"] * 10
    await asyncio.gather(*(exchange.run(request([("Host", host)])) for host in hosts))
    starts = [message for message in exchange.sent if message["type"] == "http.response.start"]
    assert sorted(message["status"] for message in starts) == [200] * 10 + [403] * 10
