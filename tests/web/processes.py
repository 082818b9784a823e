"""Requests about processes, whose answers are checked against their schemas."""

from typing import Any

import httpx2

from runcast.web.process_schemas import ProcessAnswer, PublicProcess, TextProblem

PROCESSES = "/api/processes"
MINE = f"{PROCESSES}/mine"
REPORT = {"promptPreview": "do it", "status": "running", "startTime": "2026-11-21T08:57:30.123Z"}


async def report(api: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.post(PROCESSES, json={**REPORT, **fields})
    assert answer.status_code == 201, answer.text
    PublicProcess.model_validate(answer.json())
    shown: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{PROCESSES}/{shown['id']}"
    return shown


async def get(api: httpx2.AsyncClient, process_id: str = "mine") -> dict[str, Any]:
    answer = await api.get(f"{PROCESSES}/{process_id}")
    assert answer.status_code == 200, answer.text
    ProcessAnswer.model_validate(answer.json())
    shown: dict[str, Any] = answer.json()["process"]
    return shown


async def refused(answer: httpx2.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    found, _, text = TextProblem.model_validate(answer.json()).error.partition(": ")
    assert found == code
    return text
