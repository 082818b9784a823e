"""A process that uses a SQLite store until somebody or it itself kills it.

`python -m tests.stores.child append LOCATION` appends to four logs, asking, answering and feeding
stdin as it goes, and prints each acknowledged event; `python -m tests.stores.child delete LOCATION`
deletes the run `r` and dies at once.
"""

import asyncio
import os
import signal
import sys
from itertools import count

from runcast.core.events import Draft, run_log
from runcast.stores import Advance, Checkpoint, Stdin, Store
from runcast.stores.sqlite import open_store
from tests.stores.make import say, tell_approval

RUNS = ("a", "b", "c", "d")
STATES = ("", "pending", "denied")  # of the approval that event N tells, by N modulo three


async def append(store: Store) -> None:
    async with asyncio.TaskGroup() as group:
        for run_id in RUNS:
            group.create_task(append_to(store, run_id))


async def append_to(store: Store, run_id: str) -> None:
    offset = (await store.checkpoint(run_id)).offset
    for number in count(offset + 1):
        advance = Advance(number - 1, Checkpoint(offset=number))
        stdin = Stdin(str(number).encode()) if asks(number) else None
        entry = event(number)
        span = await store.append(run_log(run_id), [entry], advance=advance, stdin=stdin)
        # One write for one line: what a killed process leaves behind is never half a line.
        os.write(1, f"{run_id} {span.last} {number}\n".encode())


def event(number: int) -> Draft:
    """Make event N of a run: in turn a question, its answer and output."""
    state = STATES[number % 3]
    return tell_approval(f"q{number // 3}", state, text=str(number)) if state else say(str(number))


def asks(number: int) -> bool:
    """Tell whether event N is a question; with each goes some input."""
    return STATES[number % 3] == "pending"


async def delete(store: Store) -> None:
    await store.delete(["r"], 9_000)
    os.kill(os.getpid(), signal.SIGKILL)


async def main(action: str, location: str) -> None:
    await {"append": append, "delete": delete}[action](await open_store(location))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
