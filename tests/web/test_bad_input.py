"""Bad input is answered with what is wrong, and starts nothing."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from runcast.runtime.runtime import Runtime
from runcast.stores import RunFilter
from runcast.web.schemas import Problem
from tests.web.conftest import RUNS

JSON = {"content-type": "application/json"}
GOOD = {"command": ["true"]}
RunCommand = Callable[..., Awaitable[dict[str, Any]]]


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {"a": value}
    return value


SUBMISSIONS: list[tuple[Any, str]] = [
    ({}, "command"),
    ({"command": None}, "command"),
    ({"command": []}, "command"),
    ({"command": [""]}, "command"),
    ({"command": ["", "x"]}, "command"),
    ({"command": "echo hi"}, "command"),
    ({"command": ["echo", 1]}, "command"),
    ({"command": ["echo", None]}, "command"),
    ({"command": ["a\0b"]}, "command"),
    ({"command": ["echo", "a\0b"]}, "command"),
    ({"command": {"0": "echo"}}, "command"),
    ({"tool": "grep", "args": {}}, "tool"),
    ({"tool": ["grep"]}, "tool"),
    ({"agent": "nobody", "prompt": "hi"}, "agent"),
    ({"agent": "claude", "prompt": "hi", "dialect": "claude"}, "dialect"),
    ({"external": True, "env": {"A": "b"}}, "env"),
    ({"external": 1}, "external"),
    ({**GOOD, "comand": 1}, "comand"),
    ({**GOOD, "id": ""}, "id"),
    ({**GOOD, "id": "../x"}, "id"),
    ({**GOOD, "id": "a..b"}, "id"),
    ({**GOOD, "id": "-x"}, "id"),
    ({**GOOD, "id": "a/b"}, "id"),
    ({**GOOD, "id": "a\0b"}, "id"),
    ({**GOOD, "id": "ä"}, "id"),
    ({**GOOD, "id": "a\n"}, "id"),
    ({**GOOD, "id": "x" * 129}, "id"),
    ({**GOOD, "id": 7}, "id"),
    ({**GOOD, "task_id": "../x"}, "task_id"),
    ({**GOOD, "workspace_id": "none-such"}, "workspace_id"),
    ({**GOOD, "workspace_id": None}, "workspace_id"),
    ({**GOOD, "dialect": "klingon"}, "dialect"),
    ({**GOOD, "cwd": "relative/path"}, "cwd"),
    ({**GOOD, "cwd": ""}, "cwd"),
    ({**GOOD, "cwd": "~"}, "cwd"),
    ({**GOOD, "cwd": "/a\0b"}, "cwd"),
    ({**GOOD, "env": {"": "x"}}, "env"),
    ({**GOOD, "env": {"A=B": "x"}}, "env"),
    ({**GOOD, "env": {"A\0": "x"}}, "env"),
    ({**GOOD, "env": {"A": "x\0"}}, "env"),
    ({**GOOD, "env": {"A": 1}}, "env"),
    ({**GOOD, "env": ["A=1"]}, "env"),
    ({**GOOD, "timeout_s": 0}, "timeout_s"),
    ({**GOOD, "timeout_s": "0s"}, "timeout_s"),
    ({**GOOD, "timeout_s": -1}, "timeout_s"),
    ({**GOOD, "timeout_s": "soon"}, "timeout_s"),
    ({**GOOD, "timeout_s": "-5s"}, "timeout_s"),
    ({**GOOD, "timeout_s": True}, "timeout_s"),
    ({**GOOD, "timeout_s": [1]}, "timeout_s"),
    ({**GOOD, "timeout_s": 1e300}, "timeout_s"),
    ({**GOOD, "timeout_s": 10**30}, "timeout_s"),
    ({**GOOD, "timeout_s": "9" * 5000}, "timeout_s"),
    ({**GOOD, "grace_s": -0.1}, "grace_s"),
    ({**GOOD, "keep_background": "yes"}, "keep_background"),
    ({**GOOD, "keep_background": 1}, "keep_background"),
    ({**GOOD, "stdin": "tty"}, "stdin"),
    ({**GOOD, "stdin": {"text": 1}}, "stdin"),
    ({**GOOD, "stdin": {}}, "stdin"),
    ({**GOOD, "stdin": {"text": "x", "eof": True}}, "stdin"),
    ({**GOOD, "metadata": []}, "metadata"),
    ({**GOOD, "metadata": None}, "metadata"),
    ({**GOOD, "metadata": {"big": 2**64}}, "metadata"),
    ({**GOOD, "metadata": nested(64)}, "metadata"),
]


@pytest.mark.parametrize(("body", "field"), SUBMISSIONS)
async def test_a_submission_that_cannot_be_run_names_the_field(
    api: httpx2.AsyncClient, runtime: Runtime, body: Any, field: str
) -> None:
    answer = await api.post(RUNS, json=body)
    error = Problem.model_validate(answer.json()).error
    assert answer.status_code == 400
    assert error.message.startswith(field)
    if error.code == "bad_request":
        assert error.details is not None
        assert str(error.details["field"]).startswith(field)
    assert await runtime.list(RunFilter(), 10) == []
    assert list(runtime.data_dir.runs.iterdir()) == []


@pytest.mark.parametrize("body", [[], [1], "text", 7, None])
async def test_a_body_that_is_no_object_is_told_so(api: httpx2.AsyncClient, body: Any) -> None:
    answer = await api.post(RUNS, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "the body must be a JSON object"


DURATION = "must be seconds or a duration such as 90s, 15m, 12h or 7d"
SAID: list[tuple[dict[str, Any], str]] = [
    ({}, "command: give exactly one of command, tool, agent"),
    ({"command": "ls -l"}, 'command: must be a list of words, such as ["ls", "-l"]'),
    ({**GOOD, "timeout": 3}, "timeout: unknown field; did you mean timeout_s?"),
    ({**GOOD, "zzzz": 3}, "zzzz: unknown field"),
    ({"external": True, **GOOD}, "command: goes with what is executed, not with external: true"),
    ({**GOOD, "stdin": "tty"}, 'stdin: must be "pipe" or {"text": "what the command reads"}'),
    ({**GOOD, "timeout_s": 0}, "timeout_s: must be more than 0 and at most 316224000 seconds"),
    ({**GOOD, "grace_s": -1}, "grace_s: must be between 0 and 316224000 seconds"),
    (
        {**GOOD, "grace_s": "x"},
        "grace_s: must be seconds or a duration such as 90s, 15m, 12h or 7d",
    ),
    ({**GOOD, "cwd": 7}, "cwd: must be a valid string"),
]


@pytest.mark.parametrize(("body", "message"), SAID)
async def test_a_refusal_says_what_to_write_instead(
    api: httpx2.AsyncClient, body: dict[str, Any], message: str
) -> None:
    error = (await api.post(RUNS, json=body)).json()["error"]
    assert error["message"] == message
    assert error["details"] == {"field": message.partition(":")[0]}


async def test_a_duration_may_have_a_fraction(api: httpx2.AsyncClient, run: RunCommand) -> None:
    described = (await api.get("/openapi.json")).json()["components"]["schemas"]["Submission"]
    (text,) = (
        one for one in described["properties"]["timeout_s"]["anyOf"] if one["type"] == "string"
    )
    for duration in ("1.5h", "90", "7d", *text["examples"]):
        assert re.search(text["pattern"], duration)
        assert (await run("true", timeout_s=duration))["status"] == "completed"


BROKEN = [
    b"{",
    b'{"command": ["true"]',
    b'{"command": ["tr\xffue"]}',
    b'{"command": ["tr\\ud800ue"]}',
    b'{"command": ["true"], "metadata": {"x": NaN}}',
    b"command=true",
    b"[" * 50_000,
]


@pytest.mark.parametrize("body", BROKEN)
async def test_broken_json_is_refused(api: httpx2.AsyncClient, body: bytes) -> None:
    answer = await api.post(RUNS, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")
    assert "not JSON" in answer.json()["error"]["message"]


async def test_an_empty_body_is_refused(api: httpx2.AsyncClient) -> None:
    answer = await api.post(RUNS, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


async def test_a_body_that_is_not_json_is_refused_before_it_is_read(
    api: httpx2.AsyncClient, runtime: Runtime
) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = await api.post(
            RUNS, content=b'{"command": ["true"]}', headers={"content-type": kind}
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "not_json")
    form = await api.post(RUNS, data={"command": "true"})
    assert form.status_code == 415
    upload = await api.post(RUNS, files={"command": b"true"})
    assert upload.status_code == 415
    assert await runtime.list(RunFilter(), 10) == []


async def test_a_body_over_the_limit_is_refused(api: httpx2.AsyncClient) -> None:
    answer = await api.post(RUNS, json={**GOOD, "stdin": {"text": "x" * 1024 * 1024}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


QUERIES: list[tuple[str, dict[str, Any], str, str]] = [
    ("", {"status": "done"}, "bad_request", "status"),
    ("", {"status": ""}, "bad_request", "status"),
    ("", {"status": "running,"}, "bad_request", "status"),
    ("", {"source": "nowhere"}, "bad_request", "source"),
    ("", {"since": "yesterday"}, "bad_request", "since"),
    ("", {"since": "2026-01-01T00:00:00"}, "bad_request", "since"),
    ("", {"limit": 0}, "bad_request", "limit"),
    ("", {"limit": 501}, "bad_request", "limit"),
    ("", {"limit": "x"}, "bad_request", "limit"),
    ("", {"page_token": ""}, "bad_request", "page_token"),
    ("", {"page_token": "abc"}, "bad_request", "page_token"),
    ("", {"page_token": "ä"}, "bad_request", "page_token"),
    ("", {"page_token": "A" * 500}, "bad_request", "page_token"),
    ("/x", {"wait_s": -1}, "bad_request", "wait_s"),
    ("/x", {"wait_s": 61}, "bad_request", "wait_s"),
    ("/x", {"wait_s": "nan"}, "bad_request", "wait_s"),
    ("/x/events", {"after": "-1"}, "bad_cursor", "after"),
    ("/x/events", {"after": "01"}, "bad_cursor", "after"),
    ("/x/events", {"after": "1.0"}, "bad_cursor", "after"),
    ("/x/events", {"after": "\u0661"}, "bad_cursor", "after"),
    ("/x/events", {"after": str(2**63)}, "bad_cursor", "after"),
    ("/x/events", {"after": ""}, "bad_cursor", "after"),
    ("/x/events", {"limit": 0}, "bad_request", "limit"),
    ("/x/events", {"limit": 1001}, "bad_request", "limit"),
    ("/x/output", {"stream": "stdin"}, "bad_request", "stream"),
]


@pytest.mark.parametrize(("path", "params", "code", "name"), QUERIES)
async def test_a_bad_query_names_the_parameter(
    api: httpx2.AsyncClient, path: str, params: dict[str, Any], code: str, name: str
) -> None:
    answer = await api.get(RUNS + path, params=params)
    error = Problem.model_validate(answer.json()).error
    assert (answer.status_code, error.code) == (400, code)
    assert error.message.startswith(name)


PATHS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("DELETE", "", None),
    ("POST", "/cancel", None),
    ("POST", "/stop", None),
    ("GET", "/events", None),
    ("GET", "/output", None),
    ("GET", "/stream", None),
    ("POST", "/input", {"text": "hello"}),
    ("GET", "/approvals", None),
    ("POST", "/approvals/a", {"decision": "allow"}),
    ("GET", "/blobs/0123456789abcdef0123456789abcdef", None),
]


@pytest.mark.parametrize(("method", "path", "body"), PATHS)
async def test_an_unknown_run_is_not_found(
    api: httpx2.AsyncClient, method: str, path: str, body: Any
) -> None:
    answer = await api.request(method, f"{RUNS}/no-such-run{path}", json=body)
    problem = {"code": "not_found", "message": "there is no run no-such-run"}
    assert (answer.status_code, answer.json()["error"]) == (404, problem)


@pytest.mark.parametrize(("method", "path", "body"), PATHS)
@pytest.mark.parametrize("run_id", ["-x", "a..b", "%00", "%2e%2e", "a%0Ab", "%C3%A4", "x" * 129])
async def test_a_bad_id_is_refused_everywhere(
    api: httpx2.AsyncClient, method: str, path: str, body: Any, run_id: str
) -> None:
    answer = await api.request(method, f"{RUNS}/{run_id}{path}", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_id")


@pytest.mark.parametrize("run_id", ["..%2f..%2fetc", "%2Fetc%2Fpasswd"])
async def test_an_id_cannot_climb_out_of_its_place(api: httpx2.AsyncClient, run_id: str) -> None:
    assert (await api.get(f"{RUNS}/{run_id}/output")).status_code in {400, 404}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "give max_age, max_count or max_bytes"),
        ({"max_age": "old"}, "max_age"),
        ({"max_age": -1}, "max_age"),
        ({"max_count": -1}, "max_count"),
        ({"max_count": 1.5}, "max_count"),
        ({"max_count": "1"}, "max_count"),
        ({"max_bytes": 2**63}, "max_bytes"),
        ({"everything": True}, "everything: unknown field"),
        ({"agent": "claude"}, "agent: unknown field"),
    ],
)
async def test_a_bad_prune_removes_nothing(
    api: httpx2.AsyncClient, body: dict[str, Any], name: str
) -> None:
    answer = await api.post("/api/v1/prune", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(name)


@pytest.mark.parametrize("path", ["/", "/nothing", "/api", "/api/v1", f"{RUNS}/", f"{RUNS}/x/y/z"])
async def test_an_unknown_path_is_not_found(api: httpx2.AsyncClient, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "/openapi.json" in answer.json()["error"]["message"]


WRONG_METHODS = [
    ("PUT", RUNS, "GET, POST"),
    ("DELETE", RUNS, "GET, POST"),
    ("POST", f"{RUNS}/x", "DELETE, GET"),
    ("GET", f"{RUNS}/x/cancel", "POST"),
    ("POST", f"{RUNS}/x/output", "GET, HEAD"),
    ("GET", f"{RUNS}/x/input", "POST"),
    ("DELETE", f"{RUNS}/x/approvals", "GET"),
    ("GET", f"{RUNS}/x/approvals/a/b", "POST"),
    ("PUT", f"{RUNS}/x/blobs/ff", "GET, HEAD"),
    ("POST", "/api/v1/tools", "GET"),
    ("POST", "/api/v1/agents", "GET"),
    ("POST", "/healthz", "GET, HEAD"),
    ("POST", "/docs", "GET, HEAD"),
]


@pytest.mark.parametrize(("method", "path", "allow"), WRONG_METHODS)
async def test_a_wrong_method_is_told_the_right_ones(
    api: httpx2.AsyncClient, method: str, path: str, allow: str
) -> None:
    answer = await api.request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allow


async def test_the_guard_stands_before_every_route(
    api: httpx2.AsyncClient, runtime: Runtime
) -> None:
    for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}):
        for method, path in [("GET", RUNS), ("GET", "/docs"), ("GET", "/x"), ("GET", "/healthz")]:
            assert (await api.request(method, path, headers=headers)).status_code == 403
        assert (await api.post(RUNS, json=GOOD, headers=headers)).status_code == 403
    assert await runtime.list(RunFilter(), 10) == []
    listed = {"host": "box.lan", "origin": "https://tools.example"}
    assert (await api.get(RUNS, headers=listed)).status_code == 200
