"""The guard as a table: which hosts, origins and sites get through, and how others are answered."""

import asyncio

import pytest

from tests.web.guarded import OWN, Exchange, Headers, handshake, request

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
