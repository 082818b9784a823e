"""Cursors, stream by stream: what an id is, where one begins, what is unknown, how it ends."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from runcast.config import Settings
from runcast.runtime.external import ExternalSpec, Report
from runcast.runtime.messages import MessageSpec
from runcast.runtime.runtime import Runtime
from tests.web.live import Live

RUN = "1c7a0000-0000-4000-8000-00000000abcd"
NOBODY = "1c7a0000-0000-4000-8000-00000000ffff"
ID = re.compile(r"^id: (\d+)$", re.MULTILINE)
SAID = re.compile(r"said-\d+")


class Row(NamedTuple):
    """A stream: its path, with {id} where one is named, and what its cursor is."""

    path: str
    numbering: str
    begins: str
    unknown: str | int | None
    closing: str | None


ROWS = {
    "A": Row("/stream?taskId={id}", "position", "now", "waits", None),
    "B": Row("/api/stream/{id}", "seq", "first", "waits", None),
    "C": Row("/api/processes/{id}/stream", "seq", "first", 404, "done"),
    "D run": Row("/api/v1/runs/{id}/stream", "seq", "first", 404, "end"),
    "D all": Row("/api/v1/runs/stream/all", "position", "now", None, None),
    "D messages": Row("/api/v1/messages/stream", "seq", "now", None, None),
}
rows = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


@pytest.fixture
async def runtime(data_dir) -> AsyncIterator[Runtime]:
    runtime = await Runtime.open(Settings(data_dir=str(data_dir)))
    # So that no position is the same as a seq.
    for number in range(20):
        await runtime.external.start(ExternalSpec(id=f"before-{number}"))
    yield runtime
    await runtime.close()


async def say(runtime: Runtime, row: Row, *numbers: int, run_id: str = RUN) -> None:
    """Have the run, or the message bus, say something on the stream."""
    for number in numbers:
        text = f"said-{number}"
        if "messages" in row.path:
            await runtime.messages.post(MessageSpec(body=text))
        else:
            report = Report("output", {"stream": "stdout", "text": text})
            await runtime.external.append(run_id, [report])


async def start(runtime: Runtime, run_id: str = RUN) -> None:
    await runtime.external.start(ExternalSpec(id=run_id))


@asynccontextmanager
async def opened(live: Live, row: Row, run_id: str = RUN, **headers: str) -> AsyncIterator["Ear"]:
    async with (
        asyncio.timeout(20),
        live.client.stream("GET", row.path.format(id=run_id), headers=headers) as response,
    ):
        yield Ear(response.status_code, response.aiter_text())


class Ear(NamedTuple):
    """What comes on a stream, once the server has answered with this status."""

    status: int
    texts: AsyncIterator[str]

    async def hear(self, wanted: str) -> str:
        """Return all that comes up to the frame with this text, or up to the end."""
        heard = ""
        async for text in self.texts:
            heard += text
            if wanted in heard and heard.endswith("\n\n"):
                break
        return heard


def said(heard: str) -> list[str]:
    """Return what was said, in order; a message says it twice."""
    return list(dict.fromkeys(SAID.findall(heard)))


def with_cursor(row: Row, after: int) -> Row:
    return row._replace(path=f"{row.path}{'&' if '?' in row.path else '?'}after={after}")


@rows
async def test_the_id_is_the_cursor_and_counts_what_it_should(live, runtime, row):
    await start(runtime)
    await say(runtime, row, 1, 2, 3)
    async with opened(live, with_cursor(row, 0)) as ear:
        heard = await ear.hear("said-3")

    ids = [int(number) for number in ID.findall(heard)]
    assert ids == sorted(set(ids))
    assert (ids[-1] <= 5) == (row.numbering == "seq")
    assert said(heard) == ["said-1", "said-2", "said-3"]
    async with opened(live, with_cursor(row, 0), **{"Last-Event-ID": str(ids[-2])}) as ear:
        assert said(await ear.hear("said-3")) == ["said-3"]


@rows
async def test_without_a_cursor_it_begins_where_it_should(live, runtime, row):
    await start(runtime)
    await say(runtime, row, 1)
    async with opened(live, row) as ear:
        await say(runtime, row, 2)
        heard = said(await ear.hear("said-2"))

    assert heard == {"first": ["said-1", "said-2"], "now": ["said-2"]}[row.begins]


@rows
async def test_an_unknown_id_is_waited_for_or_not_found(live, runtime, row):
    if row.unknown is None:
        return  # it names nothing that could be unknown
    async with opened(live, row, NOBODY) as ear:
        assert ear.status == (200 if row.unknown == "waits" else row.unknown)
        if row.unknown == "waits":
            await start(runtime, NOBODY)
            await say(runtime, row, 1, run_id=NOBODY)
            assert said(await ear.hear("said-1")) == ["said-1"]


@rows
async def test_it_ends_as_it_should_or_not_at_all(live, runtime, row):
    await start(runtime)
    await say(runtime, row, 1)
    async with opened(live, with_cursor(row, 0)) as ear:
        await runtime.external.append(RUN, [Report("status", {"status": "completed"})])
        if row.closing is not None:
            heard = await ear.hear("nothing that is ever said")
            last = heard.rstrip().rpartition("\n\n")[2]
            assert last.startswith(f"event: {row.closing}\n")
            # It has seq 1 to 3; the id of the closing frame is one that no event takes.
            assert ID.findall(last) == ["4"]
            stop = await live.client.get(with_cursor(row, 4).path.format(id=RUN))
            assert stop.status_code == 204
        else:
            await ear.hear("said-1")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await ear.hear("nothing that is ever said")
