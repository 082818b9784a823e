"""Every error has a status and one shape, whoever raised it."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from runcast.core import errors
from runcast.core.errors import RuncastError
from runcast.web.answers import JsonRoute
from runcast.web.problems import HANDLERS

RAISED: list[tuple[RuncastError, int]] = [
    (errors.BadRequest("bad_id", "m"), 400),
    (errors.Forbidden("forbidden_host", "m"), 403),
    (errors.NotFound("not_found", "m"), 404),
    (errors.Conflict("run_ended", "m"), 409),
    (errors.StaleCheckpoint("stale_checkpoint", "m"), 409),
    (errors.Gone("gap", "m"), 410),
    (errors.TooLarge("body_too_large", "m"), 413),
    (errors.UnsupportedMedia("not_json", "m"), 415),
    (errors.TooMany("too_many_clients", "m"), 429),
    (errors.ConfigError("m"), 500),
    (errors.Unavailable("storage", "m"), 503),
]


class Asked(BaseModel):
    count: int
    names: list[str] = []


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI(exception_handlers=HANDLERS)
    app.router.route_class = JsonRoute

    @app.get("/raise/{row}")
    async def fail(row: int) -> None:
        raise RAISED[row][0]

    @app.get("/defect")
    async def defect() -> None:
        raise KeyError("a secret of the server")

    @app.get("/details")
    async def details() -> None:
        raise errors.Gone("gap", "m", {"first": 7})

    @app.get("/asked")
    async def query(count: int) -> None:
        pass

    @app.post("/asked")
    async def body(asked: Asked) -> None:
        pass

    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("row", range(len(RAISED)))
async def test_each_error_has_its_status(client: httpx2.AsyncClient, row: int) -> None:
    error, status = RAISED[row]
    answer = await client.get(f"/raise/{row}")
    assert answer.status_code == status
    assert answer.json() == {"error": {"code": error.code, "message": "m"}}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("row", range(len(RAISED)))
async def test_what_can_be_retried_says_when(client: httpx2.AsyncClient, row: int) -> None:
    answer = await client.get(f"/raise/{row}")
    assert answer.headers.get("retry-after") == ("1" if RAISED[row][0].retryable else None)


async def test_an_answer_carries_the_details_of_its_error(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/details")).json()["error"]["details"] == {"first": 7}


async def test_a_defect_tells_nothing_of_itself(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/defect")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "secret" not in answer.text


async def test_a_wrong_method_is_told_all_the_right_ones(client: httpx2.AsyncClient) -> None:
    answer = await client.delete("/asked")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"count": "many"}', "count"),
        (b"{}", "count"),
        (b'{"count": 1, "names": ["a", 2]}', "names.1"),
    ],
)
async def test_a_wrong_field_is_named(client: httpx2.AsyncClient, body: bytes, field: str) -> None:
    answer = await client.post("/asked", content=body, headers={"content-type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "bad_request")
    assert error["message"].startswith(f"{field}: ")
    assert error["details"] == {"field": field}


@pytest.mark.parametrize("body", [b"[]", b"", b"null", b"1"])
async def test_a_body_that_is_no_object_has_no_field_to_name(
    client: httpx2.AsyncClient, body: bytes
) -> None:
    answer = await client.post("/asked", content=body, headers={"content-type": "application/json"})
    message = "the body must be a JSON object"
    assert answer.status_code == 400
    assert answer.json() == {"error": {"code": "bad_request", "message": message}}


async def test_a_wrong_query_parameter_is_named(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/asked", params={"count": "x"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("count: ")


async def test_a_thousand_wrong_fields_make_a_short_answer(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/asked", json={"count": 1, "names": [0] * 1000})
    error = answer.json()["error"]
    assert (error["details"], error["message"].count("names.")) == ({"field": "names.0"}, 5)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"count": 1,}',
        b"{'count': 1}",
        b'{"count": NaN}',
        b'{"count": Infinity}',
        b'{"count": 1e999}',
        b'{"names": ["\\ud800"]}',
        b'{"names": ["\xff"]}',
        b'{"names": ["\x01"]}',
        b"\xef\xbb\xbf{}",
        b"count=1",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
async def test_what_is_not_json_is_refused_as_such(client: httpx2.AsyncClient, body: bytes) -> None:
    answer = await client.post("/asked", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("the body is not JSON: ")
