"""The store contract: workspaces, and messages that are known by their ids."""

import asyncio

import pytest

from runcast.core.errors import BadRequest, Conflict, NotFound
from runcast.core.events import MESSAGES
from runcast.core.workspaces import Workspace, derived_id
from runcast.stores import Span, Store
from tests.stores.make import a_run, events_of, say


def a_workspace(workspace_id: str = "w", **fields: str | None) -> Workspace:
    usual = {"name": f"name of {workspace_id}", "root_path": f"/{workspace_id}"}
    return Workspace(id=workspace_id, **{**usual, **fields})  # type: ignore[arg-type]


async def test_workspace_is_kept_as_given_from_the_time_it_was_added(store: Store) -> None:
    added = await store.put_workspace(a_workspace(color="red"), 5_000)
    assert added == Workspace(
        id="w", name="name of w", root_path="/w", color="red", created_at=5_000
    )
    assert await store.workspace("w") == added
    assert await store.workspaces() == [added]


async def test_workspace_put_again_gets_its_new_name_and_color(store: Store) -> None:
    await store.put_workspace(a_workspace(color="red"), 5_000)
    again = await store.put_workspace(a_workspace(name="new"), 6_000)
    assert (again.name, again.color, again.created_at) == ("new", None, 5_000)
    assert await store.workspaces() == [again]


async def test_workspace_id_stands_for_one_folder(store: Store) -> None:
    first = await store.put_workspace(a_workspace(), 5_000)
    with pytest.raises(Conflict) as refused:
        await store.put_workspace(a_workspace(name="new", root_path="/elsewhere"), 6_000)
    assert refused.value.code == "workspace_taken"
    assert await store.workspaces() == [first]


async def test_workspaces_are_listed_in_the_order_they_were_added(store: Store) -> None:
    for workspace_id in ("c", "a", "b"):
        await store.put_workspace(a_workspace(workspace_id, root_path="/same"), 5_000)
    await store.put_workspace(a_workspace("c", root_path="/same", name="new"), 6_000)
    assert [workspace.id for workspace in await store.workspaces()] == ["c", "a", "b"]


async def test_unknown_workspace_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound) as refused:
        await store.workspace("nobody")
    assert refused.value.code == "not_found"
    assert await store.workspaces() == []


def test_derived_id_is_the_beginning_of_a_hash_of_the_path() -> None:
    assert derived_id("/") == "8a5edab282632443"
    assert derived_id("/\udcff") != derived_id("/é")


async def test_runs_are_counted_by_workspace(store: Store) -> None:
    assert await store.workspace_totals() == {}
    for number, workspace_id in enumerate(("w", "x", "w")):
        await store.create(a_run(str(number), workspace_id=workspace_id))
    assert await store.workspace_totals() == {"w": 2, "x": 1}
    await store.delete(["1"], 9_000)
    assert await store.workspace_totals() == {"w": 2}


async def test_message_is_an_event_of_its_log(store: Store) -> None:
    data = {"msg_id": "m1", "body": "hello", "parents": []}
    await store.append(MESSAGES, [say("before")])
    assert await store.add_message(data, 7_000) == Span(2, 2, 2)
    event = (await events_of(store, MESSAGES))[-1]
    assert (event.seq, event.time, event.type, event.data) == (2, 7_000, "message", data)


async def test_message_needs_parents_that_are_there(store: Store) -> None:
    await store.add_message({"msg_id": "a"}, 1)
    await store.add_message({"msg_id": "b"}, 2, ["a"])
    await store.add_message({"msg_id": "c"}, 3, ["b", "a", "b"])
    for parents in (["a", "nobody"], ["d"]):
        with pytest.raises(BadRequest) as refused:
            await store.add_message({"msg_id": "d"}, 4, parents)
        assert refused.value.details == {"field": "parents"}
        assert parents[-1] in refused.value.message
    assert (await store.head(MESSAGES)).last == 3


async def test_message_ids_are_used_once(store: Store) -> None:
    outcomes = await asyncio.gather(
        *(store.add_message({"msg_id": "same", "n": n}, 1) for n in range(3)),
        return_exceptions=True,
    )
    assert [getattr(outcome, "code", None) for outcome in outcomes] == [None, *["id_taken"] * 2]
    assert [event.data["n"] for event in await events_of(store, MESSAGES)] == [0]


async def test_trimmed_messages_are_known_no_more(store: Store) -> None:
    for time in (10, 20, 30):
        await store.add_message({"msg_id": str(time)}, time)
    assert await store.trim(MESSAGES, 25) == 2
    with pytest.raises(BadRequest):
        await store.add_message({"msg_id": "x"}, 40, ["20"])
    await store.add_message({"msg_id": "y"}, 40, ["30"])
    await store.add_message({"msg_id": "10"}, 50)
    assert await store.trim(MESSAGES, 45) == 2
    await store.add_message({"msg_id": "z"}, 60, ["10"])
