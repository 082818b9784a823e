"""The guard and what passes it: bodies are JSON of a limited size, and answers are hardened."""

import pytest
from starlette.types import Message

from runcast.web.guard import Guard
from tests.web.guarded import LIMIT, OWN, Exchange, request

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
