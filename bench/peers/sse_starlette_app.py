"""The peer: an event stream as it is usually written with sse-starlette, a queue per client.

Runs the command given to it and sends each line to every client. Prints its address first.
"""

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import uvicorn
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

RUN_ID = "01a2b3c4-d5e6-7f80-91a2-b3c4d5e6f708"  # as long as a run's id
Queue = asyncio.Queue[dict[str, str] | None]

queues: set[Queue] = set()


async def stream(request: Request) -> EventSourceResponse:
    """Send what comes from now on, until the command ends."""
    del request
    queue: Queue = asyncio.Queue()
    queues.add(queue)

    async def events() -> AsyncIterator[dict[str, str]]:
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            queues.discard(queue)

    return EventSourceResponse(events())


async def publish(command: list[str]) -> None:
    """Run the command and hand each of its lines to every queue."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    number = 0
    async for line in process.stdout:
        number += 1
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = line.decode().rstrip("\n")
        data = {"run_id": RUN_ID, "stream": "stdout", "line": text, "timestamp": now}
        event = {"event": "log", "id": str(number), "data": json.dumps(data)}
        for queue in queues:
            queue.put_nowait(event)
    for queue in queues:
        queue.put_nowait(None)
    await process.wait()


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Run the command for as long as the server lives."""
    del app
    task = asyncio.create_task(publish(sys.argv[1:]))
    yield
    task.cancel()


def main() -> None:
    """Serve on any free port of the loopback."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    app = Starlette(routes=[Route("/stream", stream)], lifespan=lifespan)
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
