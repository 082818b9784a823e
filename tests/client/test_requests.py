"""What the clients ask for, byte for byte, and how they say that something went wrong."""

import inspect
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runcast.client import (
    ApiError,
    AsyncClient,
    Client,
    ClientError,
    Conflict,
    NoServer,
    calls,
    workspace_id,
)
from runcast.client.types import Run
from tests.client.both import Make, either
from tests.client.scripted import Request, ScriptedServer, answer, run
from tests.support.server import free_port

RUN = run(id="a", something="that this version does not know")
PROCESS = {
    "id": "p",
    "type": "command",
    "promptPreview": "x",
    "status": "running",
    "startTime": "2026-11-21T08:57:30.123Z",
    "workspaceId": "default",
}
WORKSPACE = {"id": "w", "name": "w", "rootPath": "/w", "color": "red"}


def asked(request: Request) -> tuple[str, str, Any]:
    return request.method, request.path, msgspec.json.decode(request.body or b"null")


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
def test_an_id_cannot_leave_its_place_in_the_path(make: Make) -> None:
    with ScriptedServer(lambda _: answer(200, {"run": RUN})) as server, make(server.url) as client:
        client.get("../../x?y=1#z", wait_s=2)
        assert server.requests[0].path == "/api/v1/runs/..%2F..%2Fx%3Fy%3D1%23z"
        assert server.requests[0].query == {"wait_s": ["2"]}


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
        assert [request.query["wait_s"] for request in server.requests] == [["60.0"]] * 3
        assert client.wait("a", timeout_s=0).ended_at is None
        assert len(server.requests) == 4


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


def of_workspaces(request: Request) -> bytes:
    bodies = {
        "/api/workspaces": WORKSPACE,
        "/api/processes": PROCESS,
        "/api/v1/runs": {"run": RUN},
        "/api/v1/messages": {"msg_id": "m", "timestamp": "2026-11-21T08:57:30Z"},
        "/api/v1/envelopes": {"accepted": 1},
    }
    return answer(201, bodies[request.path])


@either
def test_a_workspace_is_registered_once_before_the_first_item(make: Make, tmp_path: Path) -> None:
    began = datetime(2026, 11, 21, 8, 57, 30, tzinfo=UTC)
    with ScriptedServer(of_workspaces) as server, make(server.url, workspace=tmp_path) as client:
        assert client.submit("Fix it", start_time=began, full_prompt="Fix it all").id == "p"
        client.submit("Another", start_time=began)
        registration, *items = server.requests
    id = workspace_id(tmp_path)
    place = {"id": id, "name": tmp_path.name, "rootPath": str(tmp_path)}
    assert asked(registration) == ("POST", "/api/workspaces", place)
    assert [item.headers["x-workspace-id"] for item in items] == [id, id]
    assert asked(items[0]) == (
        "POST",
        "/api/processes",
        {
            "promptPreview": "Fix it",
            "fullPrompt": "Fix it all",
            "status": "running",
            "startTime": "2026-11-21T08:57:30Z",
        },
    )


@either
def test_everything_that_is_made_says_its_workspace_where_it_is_looked_for(
    make: Make, tmp_path: Path
) -> None:
    id = workspace_id(tmp_path)
    with ScriptedServer(of_workspaces) as server, make(server.url, workspace=tmp_path) as client:
        client.start(command=["true"])
        client.start(command=["true"], workspace_id="mine")
        client.post_message("hello")
        client.post({"type": "thought"})
        client.submit("x", workspace_id="mine")
        _, *items = server.requests
    bodies = [msgspec.json.decode(item.body) for item in items]
    assert [body.get("workspace_id") for body in bodies] == [id, "mine", None, None, None]
    assert bodies[2] == {"project_id": id, "body": "hello"}
    assert bodies[4]["workspaceId"] == "mine"
    headers = [item.headers.get("x-workspace-id") for item in items]
    assert headers == [None, None, None, id, None]


@either
def test_without_a_workspace_none_is_registered_or_said(make: Make) -> None:
    with ScriptedServer(of_workspaces) as server, make(server.url) as client:
        client.submit("x")
        client.start(command=["true"])
        assert len(server.requests) == 2
        assert "x-workspace-id" not in server.requests[0].headers
        assert msgspec.json.decode(server.requests[1].body) == {"command": ["true"]}


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
@pytest.mark.parametrize("status", [204, 404])
def test_to_remove_what_is_gone_is_well(make: Make, status: int) -> None:
    with ScriptedServer(lambda _: answer(status)) as server, make(server.url) as client:
        client.remove("p")
        assert asked(server.requests[0]) == ("DELETE", "/api/processes/p", None)


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


def test_the_same_folder_has_the_same_id_by_every_path(tmp_path: Path) -> None:
    (folder := tmp_path / "a").mkdir()
    (link := tmp_path / "b").symlink_to(folder)
    (other := tmp_path / "c").mkdir()
    assert workspace_id(folder) == workspace_id(link) == workspace_id(f"{folder}/../a")
    assert workspace_id(folder) != workspace_id(other)
    # On another day, in another process.
    program = f"from runcast.client import workspace_id; print(workspace_id({str(folder)!r}))"
    again = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    assert again.stdout.decode() == workspace_id(folder) + "\n"
