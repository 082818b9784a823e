"""Stores that an earlier runcast wrote are brought forward, with everything that is in them."""

import contextlib
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from runcast.core.events import LIFECYCLE, MESSAGES, run_log
from runcast.core.once import Answered, Once
from runcast.core.runs import RunRef
from runcast.core.workspaces import Workspace
from runcast.stores import Approval, Checkpoint, Piece, Selection, Stdin, Store, open_store
from runcast.stores.sqlite import queries
from runcast.stores.sqlite.database import migrations, open_database
from tests.stores.make import PLENTY, facts, say, tell_approval, texts_of

# A run as the first schema's runcast wrote it, before runs could be talked to.
FIRST_RUN: dict[str, Any] = {
    "id": "r",
    "key": "key-of-r",
    "task_id": "t",
    "workspace_id": "default",
    "source": "run",
    "command": ["cat"],
    "agent": "claude",
    "stdin": "pipe",
    "status": "running",
    "created_at": 1_000,
    "pending_approvals": 0,
    "order": 3,
}
# The same as the second's wrote it, with a question and input that waited.
SECOND_RUN = FIRST_RUN | {"stdin_bytes": 2, "stdin_ended": False, "pending_approvals": 1}
ASKED = Approval(id="q", state="pending", data={"id": "q", "state": "pending"}, time=2_000)


def write_run(connection: apsw.Connection, run: dict[str, Any]) -> None:
    body = msgspec.msgpack.encode([say("old")])
    connection.execute("INSERT INTO logs VALUES (3, 'run:r', 1, 1, ?, 0)", (len(body),))
    connection.execute("INSERT INTO batches VALUES (1, 3, 1, 1, 2000, ?)", (body,))
    connection.execute("INSERT INTO batches VALUES (2, 2, 1, 1, 2000, ?)", (body,))
    connection.execute("UPDATE logs SET last_seq = 1, bytes = ? WHERE id = 2", (len(body),))
    connection.execute("UPDATE meta SET value = 2 WHERE key = 'head'")
    row = (3, "key-of-r", "running", "default", "t", "run", "claude", 1_000, 0)
    marks = ", ".join("?" * 10)
    values = (*row, msgspec.msgpack.encode(run))
    connection.execute(f"INSERT INTO runs VALUES ({marks})", values)


def write_first(connection: apsw.Connection) -> None:
    write_run(connection, FIRST_RUN)


def write_second(connection: apsw.Connection) -> None:
    write_run(connection, SECOND_RUN)
    values = (msgspec.msgpack.encode(ASKED),)
    connection.execute("INSERT INTO approvals VALUES (1, 3, 'q', 'pending', ?)", values)
    connection.execute("INSERT INTO stdin VALUES (3, 0, ?, 0)", (b"hi",))


OLD = {  # schema version -> what its store holds, and what waits there
    1: (write_first, [], []),
    2: (write_second, [ASKED], [Piece(0, b"hi")]),
}


def an_old_store(path: Path, version: int) -> Path:
    with contextlib.closing(open_database(path, "safe", migrations()[:version])) as connection:
        OLD[version][0](connection)
        assert connection.execute(queries.SCHEMA_VERSION).get == version
    return path


@pytest.mark.parametrize("version", OLD)
async def test_old_store_holds_what_it_held(tmp_path: Path, version: int) -> None:
    store = await open_store(f"sqlite:{an_old_store(tmp_path / 'store.db', version)}")
    _, approvals, stdin = OLD[version]
    assert (await store.approvals("r"), await store.stdin("r")) == (approvals, stdin)
    assert await store.checkpoint("r") == Checkpoint()
    run = await store.get("r")
    assert (run.command, run.agent, run.pending_approvals) == (["cat"], "claude", len(approvals))
    assert (run.kind, run.prompt_preview, run.full_prompt, run.structured_result) == (None,) * 4
    assert await texts_of(store) == ["old"]
    (batch,) = await store.read_all(0, PLENTY)
    assert batch.ref == RunRef("r", "t", "default", "claude", "run")
    assert await store.workspace_totals() == {"default": 1}
    assert await store.workspaces() == []
    await store.close()


@pytest.mark.parametrize("version", OLD)
async def test_old_store_does_all_that_a_new_one_does(tmp_path: Path, version: int) -> None:
    store = await open_store(f"sqlite:{an_old_store(tmp_path / 'store.db', version)}")
    await use_everything(store)
    await store.close()


async def use_everything(store: Store) -> None:
    heard = []
    store.listen(heard.extend)
    answered = Answered(200, {}, b"{}")
    once = Once(key="k", fingerprint=b"f", time=9, answer=lambda _: answered)
    await store.append(run_log("r"), [tell_approval("new")], stdin=Stdin(b"x"), once=once)
    assert heard[0].ref == RunRef("r", "t", "default", "claude", "run")
    assert await store.answered("k") == (b"f", answered)
    await store.update("r", {"structured_result": 1}, 9)
    assert len(await store.read_all(0, PLENTY, Selection(task_id="t"))) == 2
    news = await store.read_all(0, PLENTY, Selection(log=LIFECYCLE))
    assert facts(news) == facts([batch for batch in heard if batch.log == LIFECYCLE])
    await store.add_message({"msg_id": "m"}, 9)
    assert (await store.head(MESSAGES)).last == 2
    workspace = Workspace(id="w", name="n", root_path="/w")
    assert (await store.put_workspace(workspace, 9)).created_at == 9
