"""Envelopes as a program's agents send them."""

from typing import Any

TASK = "6f1b1c2e-0000-4000-8000-00000000000a"
OTHER = "6f1b1c2e-0000-4000-8000-00000000000b"


def envelope(
    kind: str, payload: dict[str, Any], task_id: str = TASK, number: int = 1
) -> dict[str, Any]:
    return {
        "type": kind,
        "taskId": task_id,
        "agentId": "coder",
        "sequenceNumber": number,
        "timestamp": "2026-01-02T03:04:05.678901+02:00",
        "payload": payload,
    }


def thought(content: str = "hm", task_id: str = TASK, number: int = 1) -> dict[str, Any]:
    return envelope("thought", {"content": content}, task_id, number)
