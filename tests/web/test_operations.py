"""Health, status, metrics and the API's description of itself."""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from runcast.runtime.runtime import Runtime
from runcast.web.app import create_app
from runcast.web.docs import render
from runcast.web.operations import METRICS
from runcast.web.schemas import StatusAnswer
from tests.web.conftest import ADDRESS

RunCommand = Callable[..., Awaitable[dict[str, Any]]]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_says_only_ok(api: httpx2.AsyncClient, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert (await api.head(path)).status_code == 200


async def test_status_counts_what_there_is(
    api: httpx2.AsyncClient, run: RunCommand, runtime: Runtime
) -> None:
    await run("true")
    await run("false")
    shown = StatusAnswer.model_validate((await api.get("/api/v1/status")).json())
    assert (shown.runs["completed"], shown.runs["failed"], shown.runs["running"]) == (1, 1, 0)
    assert (shown.queue.max, shown.queue.queued, shown.streams) == (2, 0, 0)
    assert shown.data_dir == runtime.settings.data_dir
    assert shown.positions.head > 0
    assert 0 <= shown.uptime_s < 60


async def test_metrics_are_those_of_the_table_and_of_the_process(
    api: httpx2.AsyncClient, run: RunCommand
) -> None:
    await run("true")
    answer = await api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert {name for name in families if name.startswith("runcast_")} == set(METRICS)
    assert families["process_resident_memory_bytes"].samples[0].value > 1e6
    runs = {each.labels["status"]: each.value for each in families["runcast_runs"].samples}
    assert runs == {"queued": 0, "running": 0, "completed": 1, "failed": 0, "cancelled": 0}
    assert families["runcast_events_committed"].samples[0].value >= 3
    assert families["runcast_event_bytes_committed"].samples[0].value > 0


async def test_lines_that_no_parser_understood_are_counted_by_dialect(
    api: httpx2.AsyncClient, run: RunCommand
) -> None:
    said = '{"type": "result", "subtype": "success", "is_error": false, "result": "done"}'
    await run("printf", "%s\\n", '{"type": "of tomorrow"}', "{torn", said, dialect="claude")
    families = text_string_to_metric_families((await api.get("/metrics")).text)
    (unknown,) = (each for each in families if each.name == "runcast_parser_unknown_lines")
    assert {each.labels["dialect"]: each.value for each in unknown.samples} == {"claude": 2}


async def test_two_applications_have_metrics_of_their_own(
    api: httpx2.AsyncClient, runtime: Runtime
) -> None:
    other = httpx2.ASGITransport(create_app(runtime))
    async with httpx2.AsyncClient(transport=other, base_url=ADDRESS) as client:
        assert (await client.get("/metrics")).status_code == 200
    assert (await api.get("/metrics")).status_code == 200


async def description(api: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await api.get("/openapi.json")
    assert answer.status_code == 200
    described: dict[str, Any] = answer.json()
    return described


async def test_the_description_lists_every_path(api: httpx2.AsyncClient) -> None:
    assert set((await description(api))["paths"]) == {
        "/api/execute",
        "/api/processes",
        "/api/processes/{process_id}",
        "/api/processes/{process_id}/cancel",
        "/api/processes/{process_id}/output",
        "/api/processes/{process_id}/stream",
        "/api/queue/status",
        "/api/stats",
        "/api/stream/{job_id}",
        "/api/v1/agents",
        "/api/v1/envelopes",
        "/api/v1/messages",
        "/api/v1/messages/stream",
        "/api/v1/runs",
        "/api/v1/runs/stream/all",
        "/api/v1/runs/{run_id}",
        "/api/v1/runs/{run_id}/approvals",
        "/api/v1/runs/{run_id}/approvals/{approval_id}",
        "/api/v1/runs/{run_id}/blobs/{blob_id}",
        "/api/v1/runs/{run_id}/cancel",
        "/api/v1/runs/{run_id}/events",
        "/api/v1/runs/{run_id}/input",
        "/api/v1/runs/{run_id}/output",
        "/api/v1/runs/{run_id}/stop",
        "/api/v1/runs/{run_id}/stream",
        "/api/v1/prune",
        "/api/v1/search",
        "/api/v1/status",
        "/api/v1/tools",
        "/api/v1/watch",
        "/api/workspaces",
        "/healthz",
        "/metrics",
        "/readyz",
        "/stream",
    }


async def test_every_operation_documents_its_problems(api: httpx2.AsyncClient) -> None:
    described = await description(api)
    problems = [{"$ref": f"#/components/schemas/{name}"} for name in ("Problem", "TextProblem")]
    operations = [each for path in described["paths"].values() for each in path.values()]
    for operation in operations:
        responses = operation["responses"]
        assert "422" not in responses, operation["operationId"]
        assert responses["default"]["content"]["application/json"]["schema"] in problems
        assert operation["description"]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))


def body_of(operation: dict[str, Any]) -> str:
    """Name the model of an operation's body, if it has one."""
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).rpartition("/")[2]


async def test_the_docs_page_shows_all_that_is_described(api: httpx2.AsyncClient) -> None:
    described = await description(api)
    page = (await api.get("/docs")).text
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert f'<h3 id="{operation["operationId"]}">{method.upper()} {path}</h3>' in page
            for parameter in operation.get("parameters", ()):
                assert f"<code>{parameter['name']}</code>" in page
    for name, model in described["components"]["schemas"].items():
        assert f'<h3 id="{name}">' in page
        assert all(f"<code>{field}</code>" in page for field in model["properties"])
    anchors = set(re.findall(r'id="([^"]*)"', page))
    operations = [each for path in described["paths"].values() for each in path.values()]
    bodies = {body_of(operation) for operation in operations}
    assert set(re.findall(r'href="#([^"]*)"', page)) == anchors - bodies


async def test_the_docs_page_loads_nothing_and_runs_nothing(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert answer.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert not re.search(r"//|<script|<link|<img|\bstyle=|\bon\w+=|url\(", answer.text)


def test_the_docs_page_takes_no_markup_from_a_description() -> None:
    field = {"type": "string", "description": "<b>", "default": "<i>", "examples": ["</td>"]}
    page = render(
        {
            "info": {"title": "<u>", "version": "1", "summary": "a & `b<`"},
            "paths": {},
            "components": {"schemas": {"M": {"description": "&", "properties": {"<s>": field}}}},
        }
    )
    assert not re.search("<(b|i|u|s)>", page)
    assert "a &amp; <code>b&lt;</code>" in page
