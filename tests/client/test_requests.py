"""What the clients ask for, byte for byte, and how they say that something went wrong."""

import inspect
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from runcast.client import (
    ApiError,
    AsyncClient,
    BadRequest,
    Client,
    ClientError,
    Conflict,
    NoServer,
    NotFound,
    calls,
)
from runcast.client.types import Run
from tests.client.both import Make, either
from tests.client.scripted import PROCESS, Request, ScriptedServer, answer, asked, run
from tests.support.server import free_port

RUN = run(id="a", something="that this version does not know")


def public(kind: type) -> dict[str, Any]:
    return {name: value for name, value in vars(kind).items() if not name.startswith("_")}


def parameters(method: Callable[..., Any]) -> list[str]:
    return [str(parameter) for parameter in inspect.signature(method).parameters.values()]


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    assert public(Client).keys() == public(AsyncClient).keys()
    for name in public(Client):
        assert parameters(getattr(Client, name)) == parameters(getattr(AsyncClient, name))
        assert getattr(Client, name).__doc__


@either
def test_a_run_is_submitted_as_json(make: Make) -> None:
    with ScriptedServer(lambda _: answer(201, {"run": RUN})) as server, make(server.url) as client:
        made = client.start(command=["true"], timeout_s=3)
        assert isinstance(made, Run)
        assert (made.id, made.created_at) == (
            "a",
            datetime(2026, 11, 21, 8, 57, 30, 123_000, tzinfo=UTC),
        )
        request = server.requests[0]
    assert request.headers["content-type"] == "application/json"
    assert asked(request) == ("POST", "/api/v1/runs", {"command": ["true"], "timeout_s": 3})


@either
@pytest.mark.parametrize(
    "id", ["", ".", "..", "a/b", "../../x?y=1#z", "ü", "a b", "\ud800", "x" * 129]
)
def test_what_cannot_be_an_id_is_refused_before_anything_is_sent(make: Make, id: str) -> None:
    with ScriptedServer(lambda _: answer(204)) as server, make(server.url) as client:
        for ask in (client.get, client.delete, client.remove, client.output, client.wait):
            with pytest.raises(BadRequest) as caught:
                ask(id)
            assert caught.value.code == "bad_id"
        with pytest.raises(BadRequest):
            list(client.follow(id))
        assert server.requests == []


@either
def test_lists_are_read_page_by_page_up_to_the_limit(make: Make) -> None:
    def script(request: Request) -> bytes:
        start = int(request.query.get("page_token", ["0"])[0])
        size = min(int(request.query["limit"][0]), 3)
        runs = [{**RUN, "id": str(number)} for number in range(start, start + size)]
        return answer(200, {"runs": runs, "next_page_token": str(start + size)})

    with ScriptedServer(script) as server, make(server.url) as client:
        since = datetime(2026, 11, 21, tzinfo=UTC)
        assert [one.id for one in client.list(7, status="queued", since=since)] == list("0123456")
        for request in server.requests:
            assert request.query["status"] == ["queued"]
            assert request.query["since"] == ["2026-11-21T00:00:00+00:00"]


@either
def test_the_last_page_ends_a_list(make: Make) -> None:
    page = {"runs": [RUN], "next_page_token": None}
    with ScriptedServer(lambda _: answer(200, page)) as server, make(server.url) as client:
        assert [one.id for one in client.list()] == ["a"]


@either
def test_processes_are_listed_page_by_page(make: Make) -> None:
    def script(request: Request) -> bytes:
        begin, size = (int(request.query[name][0]) for name in ("offset", "limit"))
        ids = range(begin, min(begin + size, 502))
        return answer(200, {"processes": [{**PROCESS, "id": str(number)} for number in ids]})

    with ScriptedServer(script) as server, make(server.url) as client:
        assert [process.id for process in client.list_processes()] == list(map(str, range(502)))
        assert len(client.list_processes(limit=501)) == 501


@either
def test_waiting_asks_again_until_the_end_or_its_time(make: Make) -> None:
    def script(request: Request) -> bytes:
        ended = {"ended_at": "2026-11-21T08:57:31Z"} if request.number == 2 else {}
        return answer(200, {"run": RUN | ended})

    with ScriptedServer(script) as server, make(server.url) as client:
        assert client.wait("a").ended_at is not None
        waits = [request.query.get("wait_s") for request in server.requests]
        assert waits == [None, ["60.0"], ["60.0"]]
        assert client.wait("a", timeout_s=0).ended_at is None
        assert len(server.requests) == 4


@either
@pytest.mark.parametrize("failure", [b"", answer(503), answer(404)], ids=["cut", "503", "proxy"])
def test_waiting_outlasts_an_outage_of_the_server(make: Make, failure: bytes) -> None:
    def script(request: Request) -> bytes:
        if request.number == 1:
            return failure
        ended = {"ended_at": "2026-11-21T08:57:31Z"} if request.number == 2 else {}
        return answer(200, {"run": RUN | ended})

    with ScriptedServer(script) as server, make(server.url) as client:
        assert client.wait("a", timeout_s=30).ended_at is not None


@either
def test_waiting_for_what_is_not_there_ends_at_once(make: Make) -> None:
    gone = answer(404, {"error": {"code": "not_found", "message": "no run a"}})
    with (
        ScriptedServer(lambda it: gone if it.number else answer(200, {"run": RUN})) as server,
        make(server.url) as client,
        pytest.raises(NotFound),
    ):
        client.wait("a")
    with make(f"http://127.0.0.1:{free_port()}") as client, pytest.raises(NoServer):
        client.wait("a")


@either
def test_input_and_answers_are_sent_to_their_places(make: Make) -> None:
    with ScriptedServer(lambda _: answer(202, {"run": RUN})) as server, make(server.url) as client:
        client.send("a", "go on")
        client.send("a", "", newline=False, eof=True)
        client.approve("a", "q/1")
        client.approve("a", "q/1", "deny", message="why?")
        client.approve("a", "q/1", input={"x": 1})
        told = list(map(asked, server.requests))
    given, asked_of = "/api/v1/runs/a/input", "/api/v1/runs/a/approvals/q%2F1"
    assert told == [
        ("POST", given, {"text": "go on", "newline": True, "eof": False}),
        ("POST", given, {"text": "", "newline": False, "eof": True}),
        ("POST", asked_of, {"decision": "allow"}),
        ("POST", asked_of, {"decision": "deny", "message": "why?"}),
        ("POST", asked_of, {"decision": "allow", "input": {"x": 1}}),
    ]


@either
def test_what_cannot_be_sent_is_refused_before_it_is(make: Make) -> None:
    with ScriptedServer(lambda _: answer(204)) as server, make(server.url) as client:
        for ask in (
            lambda: client.emit_output("p", os.fsdecode(b"caf\xe9")),
            lambda: client.search("\udce9"),
            lambda: list(client.follow("r", grep="\udce9")),
            lambda: calls.start(command=["true"]).under("ключ"),
            lambda: calls.start(command=["true"]).under(""),
        ):
            with pytest.raises(BadRequest, match="cannot be sent"):
                ask()
        assert server.requests == []


@either
def test_an_update_sends_what_has_changed_and_nothing_else(make: Make) -> None:
    with ScriptedServer(lambda _: answer(200, PROCESS)) as server, make(server.url) as client:
        client.update("p", status="completed", structured_result={"a": 1})
        client.update("p", error=None)
        told = list(map(asked, server.requests))
    path = "/api/processes/p"
    assert told == [
        ("PATCH", path, {"status": "completed", "structuredResult": {"a": 1}}),
        ("PATCH", path, {"error": None}),
    ]


@either
@pytest.mark.parametrize("said", [answer(204), answer(404, {"error": "not_found: no run p"})])
def test_to_remove_what_is_gone_is_well(make: Make, said: bytes) -> None:
    with ScriptedServer(lambda _: said) as server, make(server.url) as client:
        client.remove("p")
        assert asked(server.requests[0]) == ("DELETE", "/api/processes/p", None)


@either
@pytest.mark.parametrize("status", [200, 302, 404])
def test_what_something_else_says_is_no_success(make: Make, status: int) -> None:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n"
    page = f"{head}<p>Please log in".encode()
    with ScriptedServer(lambda _: page) as server, make(server.url) as client:
        for ask in (client.remove, client.delete, client.output, client.get):
            with pytest.raises(ApiError) as caught:
                ask("p")
            assert caught.value.code == ("http_404" if status == 404 else "not_runcast")
            assert caught.value.retryable


@either
def test_an_answer_that_cannot_be_decoded_is_none(make: Make) -> None:
    head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n"
    with (
        ScriptedServer(lambda _: f"{head}hello".encode()) as server,
        make(server.url) as client,
        pytest.raises(NoServer, match="does not answer"),
    ):
        client.status()


@either
def test_to_remove_what_runs_is_refused(make: Make) -> None:
    said = {"error": "run_active: the run is running; cancel it first"}
    with (
        ScriptedServer(lambda _: answer(409, said)) as server,
        make(server.url) as client,
        pytest.raises(Conflict) as caught,
    ):
        client.remove("p")
    assert (caught.value.code, caught.value.message) == (
        "run_active",
        "the run is running; cancel it first",
    )


@either
def test_a_call_can_be_sent_under_a_key(make: Make) -> None:
    with ScriptedServer(lambda _: answer(201, {"run": RUN})) as server, make(server.url) as client:
        assert client.request(calls.start(command=["true"]).under("k-1")).id == "a"
        assert server.requests[0].headers["idempotency-key"] == "k-1"


@either
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((400, "BadRequest"), (401, "Forbidden"), (403, "Forbidden"), (404, "NotFound")),
        *((405, "ApiError"), (409, "Conflict"), (410, "Gone"), (413, "TooLarge")),
        *((429, "TooMany"), (500, "Unavailable"), (503, "Unavailable")),
    ],
)
def test_a_refusal_keeps_the_servers_words(make: Make, status: int, kind: str) -> None:
    problem = {"error": {"code": "run_ended", "message": "no", "details": {"field": "x"}}}
    with (
        ScriptedServer(lambda _: answer(status, problem)) as server,
        make(server.url) as client,
        pytest.raises(ApiError, match="no") as caught,
    ):
        client.cancel("a")
    error = caught.value
    assert type(error).__name__ == kind
    assert (error.code, error.status, error.details) == ("run_ended", status, {"field": "x"})
    assert error.retryable == (status >= 500 or status == 429)


@either
@pytest.mark.parametrize("body", [None, "text", {"error": "text"}, {"error": {}}, []])
def test_a_refusal_in_another_shape_is_still_an_api_error(make: Make, body: object) -> None:
    with ScriptedServer(lambda _: answer(502, body)) as server, make(server.url) as client:
        with pytest.raises(ApiError, match="502 Bad Gateway") as caught:
            client.status()
        assert caught.value.code == "http_502"


@either
@pytest.mark.parametrize("body", [None, "text", {}, {"agents": "none"}])
def test_an_answer_that_no_runcast_gives_is_not_runcast(make: Make, body: object) -> None:
    with ScriptedServer(lambda _: answer(200, body)) as server, make(server.url) as client:
        for ask in (client.status, client.agents):
            with pytest.raises(ApiError) as caught:
                ask()
            assert caught.value.code == "not_runcast"


@either
def test_where_nobody_listens_there_is_no_server(make: Make) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with make(url) as client, pytest.raises(NoServer, match=f"no server at {url}"):
        client.status()


@either
def test_why_a_server_cannot_be_connected_to_is_told(make: Make) -> None:
    with ScriptedServer(lambda _: b"") as server:
        url = server.url.replace("http:", "https:")
        with make(url) as client, pytest.raises(NoServer, match=f"cannot connect to {url}: .*SSL"):
            client.status()
    with (
        make("http://nowhere.invalid") as client,
        pytest.raises(NoServer, match=r"cannot connect to http://nowhere\.invalid: "),
    ):
        client.status()


@either
def test_a_server_that_hangs_up_does_not_answer(make: Make) -> None:
    with (
        ScriptedServer(lambda _: b"") as server,
        make(server.url) as client,
        pytest.raises(NoServer, match="does not answer"),
    ):
        client.status()


@pytest.mark.parametrize(
    "url",
    [
        "localhost:7890",
        "ftp://localhost",
        "",
        "http://",
        "http://h:port",
        "http://[::1",
        "http://..",
        "http://a b",
        "http://h:99999",
        "http://h:0",
    ],
)
def test_what_is_no_http_address_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ClientError) as caught:
        Client(url)
    assert caught.value.code == "bad_address"


@either
def test_a_slash_at_the_end_of_the_address_changes_nothing(make: Make) -> None:
    with ScriptedServer(lambda _: answer(200, {"tools": []})) as server:
        with make(server.url + "/") as client:
            assert client.tools() == []
        assert server.requests[0].path == "/api/v1/tools"
