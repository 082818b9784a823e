"""The small client: what it asks for, and how it says that something went wrong."""

import msgspec
import pytest

from runcast.client.errors import ApiError, ClientError, NoServer
from runcast.client.http import Client
from tests.client.scripted import Request, ScriptedServer, answer
from tests.support.server import free_port


def test_a_run_is_submitted_as_json() -> None:
    with ScriptedServer(lambda _: answer(201, {"run": {"id": "a"}})) as server:
        with Client(server.url) as client:
            assert client.start_run({"command": ["true"]}) == {"id": "a"}
        request = server.requests[0]
        assert (request.method, request.path) == ("POST", "/api/v1/runs")
        assert request.headers["content-type"] == "application/json"
        assert msgspec.json.decode(request.body) == {"command": ["true"]}


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    with ScriptedServer(lambda _: answer(200, {"run": {}})) as server:
        with Client(server.url) as client:
            client.get_run("../../x?y=1#z", wait_s=2)
        assert server.requests[0].path == "/api/v1/runs/..%2F..%2Fx%3Fy%3D1%23z"
        assert server.requests[0].query == {"wait_s": ["2"]}


def test_lists_are_read_page_by_page_up_to_the_limit() -> None:
    def script(request: Request) -> bytes:
        start = int(request.query.get("page_token", ["0"])[0])
        size = min(int(request.query["limit"][0]), 3)
        runs = [{"id": str(number)} for number in range(start, start + size)]
        return answer(200, {"runs": runs, "next_page_token": str(start + size)})

    with ScriptedServer(script) as server, Client(server.url) as client:
        assert [run["id"] for run in client.list_runs(7, status="queued")] == list("0123456")
        assert all(request.query["status"] == ["queued"] for request in server.requests)


def test_the_last_page_ends_a_list() -> None:
    page = {"runs": [{"id": "a"}], "next_page_token": None}
    with ScriptedServer(lambda _: answer(200, page)) as server, Client(server.url) as client:
        assert client.list_runs(100) == [{"id": "a"}]


def test_input_and_answers_are_sent_to_their_places() -> None:
    with ScriptedServer(lambda _: answer(202, {"run": {"id": "a"}})) as server:
        with Client(server.url) as client:
            assert client.send("a", "go on") == {"id": "a"}
            assert client.send("a", "", newline=False, eof=True) == {"id": "a"}
            assert client.approve("a", "q/1", "allow") == {"id": "a"}
            assert client.approve("a", "q/1", "deny", "why?") == {"id": "a"}
        asked = [(r.method, r.path, msgspec.json.decode(r.body)) for r in server.requests]
    given, asked_of = "/api/v1/runs/a/input", "/api/v1/runs/a/approvals/q%2F1"
    assert asked == [
        ("POST", given, {"text": "go on", "newline": True, "eof": False}),
        ("POST", given, {"text": "", "newline": False, "eof": True}),
        ("POST", asked_of, {"decision": "allow"}),
        ("POST", asked_of, {"decision": "deny", "message": "why?"}),
    ]


def test_approvals_agents_and_tools_are_lists() -> None:
    lists = {"approvals": [{"id": "q"}], "agents": [{"name": "x"}], "tools": []}
    with ScriptedServer(lambda _: answer(200, lists)) as server, Client(server.url) as client:
        assert client.approvals("a") == [{"id": "q"}]
        assert (client.agents(), client.tools()) == ([{"name": "x"}], [])
        paths = [request.path for request in server.requests]
    assert paths == ["/api/v1/runs/a/approvals", "/api/v1/agents", "/api/v1/tools"]


def test_deleting_and_pruning_say_what_they_did() -> None:
    def script(request: Request) -> bytes:
        return answer(204) if request.method == "DELETE" else answer(200, {"removed": 3})

    with ScriptedServer(script) as server, Client(server.url) as client:
        client.delete("a")
        assert client.prune({"max_age": 60}) == 3


def test_a_refusal_keeps_the_servers_code_and_message() -> None:
    problem = {"error": {"code": "run_ended", "message": "run a has ended"}}
    with ScriptedServer(lambda _: answer(409, problem)) as server, Client(server.url) as client:
        with pytest.raises(ApiError, match="run a has ended") as caught:
            client.cancel("a")
        assert (caught.value.code, caught.value.status) == ("run_ended", 409)
        assert not caught.value.retryable


@pytest.mark.parametrize("body", [None, "text", {"error": "text"}, {"error": {}}, []])
def test_a_refusal_in_another_shape_is_still_an_api_error(body: object) -> None:
    with ScriptedServer(lambda _: answer(502, body)) as server, Client(server.url) as client:
        with pytest.raises(ApiError, match="502 Bad Gateway") as caught:
            client.status()
        assert caught.value.code == "http_502"
        assert caught.value.retryable


def test_an_answer_that_is_not_json_is_not_runcast() -> None:
    with ScriptedServer(lambda _: answer(200)) as server, Client(server.url) as client:
        with pytest.raises(ApiError) as caught:
            client.status()
        assert caught.value.code == "not_runcast"


def test_where_nobody_listens_there_is_no_server() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with Client(url) as client, pytest.raises(NoServer, match=f"no server at {url}"):
        client.status()


def test_a_server_that_hangs_up_does_not_answer() -> None:
    with (
        ScriptedServer(lambda _: b"") as server,
        Client(server.url) as client,
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
    with pytest.raises(ClientError, match="write http://HOST:PORT") as caught:
        Client(url)
    assert caught.value.code == "bad_address"


@pytest.mark.parametrize(
    "url", ["http://[::1]:7890/", "https://example.org", "http://bücher.example"]
)
def test_every_http_address_is_taken(url: str) -> None:
    with Client(url) as client:
        assert client.base_url == url.rstrip("/")


def test_a_proxy_of_the_environment_is_not_asked_for_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    said = answer(200, {"version": "1"})
    with ScriptedServer(lambda _: said) as server, Client(server.url) as client:
        assert client.status() == {"version": "1"}
