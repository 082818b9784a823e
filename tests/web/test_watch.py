"""Watched folders over HTTP: listed, measured, followed, and what clients may do with them."""

import asyncio
from pathlib import Path

import httpx2
import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from runcast.config import Settings
from runcast.config_watch import WatchSettings
from runcast.runtime.runtime import Runtime
from runcast.web.schemas import Problem, RunAnswer, WatchList
from tests.web.conftest import RUNS
from tests.web.live import Live

LOG = f"{RUNS}/a.log"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(settings: Settings, root: Path) -> Settings:
    (root / "a.log").write_text("one\n")
    watch = {
        "logs": WatchSettings(root=str(root)),
        "gone": WatchSettings(root=str(root / "gone"), format="claude", ingest="always"),
    }
    settings.api.sse.discovery_interval_ms = 50
    return replace(settings, watch=watch)


async def watched(api: httpx2.AsyncClient) -> WatchList:
    """Return the list once the file is found."""
    async with asyncio.timeout(10):
        while True:
            answer = await api.get("/api/v1/watch")
            assert answer.status_code == 200
            found = WatchList.model_validate(answer.json())
            if found.watch[0].not_ingested and found.watch[1].problem:
                return found
            await asyncio.sleep(0.01)


async def test_the_watched_folders_are_listed_with_what_was_found(
    api: httpx2.AsyncClient, root: Path
) -> None:
    logs, gone = (await watched(api)).watch
    assert (logs.name, logs.root, logs.glob, logs.ingest) == ("logs", str(root), "*.log", "watched")
    assert (logs.format, logs.dialect, logs.workspace) == ("plain", "lines", "default")
    assert (logs.sources, logs.tailed, logs.ended, logs.not_ingested) == (1, 0, 0, 1)
    assert (logs.left_alone, logs.older) == (0, 0)
    assert (logs.hints, logs.problem, logs.unreadable) == (True, None, 0)
    assert (gone.format, gone.dialect, gone.ingest) == ("plain", "claude", "always")
    assert (gone.sources, gone.hints) == (0, False)
    assert str(root / "gone") in str(gone.problem)


async def test_metrics_count_sources_and_tails(api: httpx2.AsyncClient) -> None:
    await watched(api)
    families = text_string_to_metric_families((await api.get("/metrics")).text)
    counts = {
        family.name: {each.labels["entry"]: each.value for each in family.samples}
        for family in families
        if family.name.startswith("runcast_watch_")
    }
    assert counts == {
        "runcast_watch_sources": {"logs": 1, "gone": 0},
        "runcast_watch_tails": {"logs": 0, "gone": 0},
    }


async def test_a_stream_has_the_file_read_as_long_as_it_is_open(
    runtime: Runtime, live: Live
) -> None:
    await watched(live.client)
    async with asyncio.timeout(10), live.stream(f"{LOG}/stream") as frames:
        async for frame in frames:
            if frame.event == "log":
                assert frame.data["line"] == "one"
                break
        (logs, _) = runtime.watching.entries()
        assert logs.tailed == 1
    async with asyncio.timeout(10):
        while runtime.watching.entries()[0].tailed:
            await asyncio.sleep(0.01)


async def test_its_runs_are_runs_that_no_client_reports_on(api: httpx2.AsyncClient) -> None:
    await watched(api)
    run = RunAnswer.model_validate((await api.get(LOG)).json()).run
    assert (run.source, run.kind, run.prompt_preview) == ("watch", "logs", "a.log")
    listed = await api.get(RUNS, params={"source": "watch", "type": "logs"})
    assert [each["id"] for each in listed.json()["runs"]] == ["a.log"]
    draft = {"type": "output", "data": {"text": "x"}}
    for path, body, code in (
        ("events", [draft], "not_external"),
        ("input", {"text": "x"}, "input_closed"),
    ):
        answer = await api.post(f"{LOG}/{path}", json=body)
        assert answer.status_code == 409
        assert Problem.model_validate(answer.json()).error.code == code


async def test_it_can_be_cancelled_and_deleted(api: httpx2.AsyncClient) -> None:
    await watched(api)
    cancelled = await api.post(f"{LOG}/cancel")
    assert (cancelled.status_code, cancelled.json()["run"]["status"]) == (202, "cancelled")
    assert (await api.post(f"{LOG}/cancel")).status_code == 409
    assert (await api.delete(LOG)).status_code == 204
    assert (await api.get(LOG)).status_code == 404


async def test_a_running_one_can_be_deleted(api: httpx2.AsyncClient) -> None:
    await watched(api)
    assert (await api.delete(LOG)).status_code == 204
    logs = WatchList.model_validate((await api.get("/api/v1/watch")).json()).watch[0]
    assert (logs.sources, logs.ended, logs.left_alone) == (1, 0, 1)


async def test_the_output_is_what_was_read(api: httpx2.AsyncClient, runtime: Runtime) -> None:
    await watched(api)
    assert (await api.get(f"{LOG}/output")).content == b""
    follower = await runtime.logs.follow("run:a.log", 1)
    async with asyncio.timeout(10):
        assert await follower.take()
    follower.close()
    assert (await api.get(f"{LOG}/output")).content == b"one\n"
