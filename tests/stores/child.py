"""A process that uses a SQLite store until somebody or it itself kills it.

`python -m tests.stores.child append LOCATION` appends to four logs and prints each acknowledged
event; `python -m tests.stores.child delete LOCATION` deletes the run `r` and dies at once.
"""

import asyncio
import os
import signal
import sys
from itertools import count

from runcast.core.events import run_log
from runcast.stores import Advance, Checkpoint, Store
from runcast.stores.sqlite import open_store
from tests.stores.make import say

RUNS = ("a", "b", "c", "d")


async def append(store: Store) -> None:
    async with asyncio.TaskGroup() as group:
        for run_id in RUNS:
            group.create_task(append_to(store, run_id))


async def append_to(store: Store, run_id: str) -> None:
    offset = (await store.checkpoint(run_id)).offset
    for number in count(offset + 1):
        advance = Advance(number - 1, Checkpoint(offset=number))
        span = await store.append(run_log(run_id), [say(str(number))], advance=advance)
        # One write for one line: what a killed process leaves behind is never half a line.
        os.write(1, f"{run_id} {span.last} {number}\n".encode())


async def delete(store: Store) -> None:
    await store.delete(["r"], 9_000)
    os.kill(os.getpid(), signal.SIGKILL)


async def main(action: str, location: str) -> None:
    await {"append": append, "delete": delete}[action](await open_store(location))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
