"""Outbox files for tests, and short ways to put something in and take it out."""

from pathlib import Path
from uuid import uuid4

from runcast.client.queue_file import QueueFile
from runcast.client.queue_rows import Item, Request

SERVER = "http://127.0.0.1:7890"
NOW = 1_795_275_072_000_000
LAST = 10**9
SECOND = 1_000_000


def new_queue(path: Path, max_items: int = 1000, max_bytes: int = 10_000_000) -> QueueFile:
    return QueueFile(path, max_items, max_bytes)


def request(kind: str = "output", process: str | None = "p", body: bytes = b"{}") -> Request:
    return Request(
        kind=kind,
        process=process,
        method="POST",
        path="/api/processes",
        headers={},
        body=body,
        key=str(uuid4()),
    )


def keep(queue: QueueFile, *requests: Request, now: int = NOW) -> list[int]:
    return [queue.keep(SERVER, each, now) for each in requests]


def drain(queue: QueueFile, now: int = NOW) -> list[bytes]:
    sent = []
    arrived = None
    while (found := queue.take(SERVER, LAST, now, arrived)) is not None:
        arrived, first = found
        sent.append(first.body)
    return sent


def take(queue: QueueFile, last: int = LAST, now: int = NOW) -> tuple[Item, Request]:
    found = queue.take(SERVER, last, now)
    assert found is not None
    return found


def forget_first(queue: QueueFile, last: int = LAST) -> bytes:
    item, first = take(queue, last)
    queue.forget(item)
    return first.body


def refuse_first(queue: QueueFile, said: str = "no") -> None:
    queue.refuse(take(queue)[0], said)


def refuse_unknown(queue: QueueFile) -> list[bytes]:
    """Refuse all that waits of processes which the server does not know; return the rest."""
    sent = []
    while (found := queue.take(SERVER, LAST, NOW)) is not None:
        item, first = found
        if item.kind in ("submit", "message"):
            sent.append(first.body)
            queue.forget(item)
        else:
            queue.refuse_unknown(item, "there is none (not_found)")
    return sent


def states(queue: QueueFile, now: int = NOW) -> list[tuple[int, str]]:
    return [(item.number, item.state) for item in queue.items(now)]


def listed(queue: QueueFile) -> list[Path]:
    return sorted(queue.path.parent.iterdir())
