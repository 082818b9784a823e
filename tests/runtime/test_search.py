"""Search: every event that says the text is found once, newest first, within the bounds."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runcast.core.events import Draft, Entry, Lines, run_log
from runcast.core.runs import Run
from runcast.runtime import search
from runcast.runtime.search import Found, Match, Searches, Wanted
from runcast.stores import Selection, Store, open_store

ENGINES = ("memory:", "sqlite:{folder}/store.db?durability=fast")


@pytest.fixture(params=ENGINES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(request.param.format(folder=tmp_path))
    for run_id, workspace_id in {"a": "w", "b": "x"}.items():
        await store.create(
            Run(
                id=run_id,
                key=run_id,
                task_id=f"task of {run_id}",
                workspace_id=workspace_id,
                status="running",
                created_at=1,
            )
        )
    yield store
    await store.close()


async def say(
    store: Store, run_id: str, *texts: str, time: int = 5, stream: str = "stdout"
) -> None:
    await store.append(run_log(run_id), [Lines(time, stream, list(texts))])


async def find(store: Store, text: str, **fields: Any) -> Found:
    return await Searches(store).find(Wanted(text=text, **{"limit": 100, **fields}))


async def find_all(store: Store, text: str, **fields: Any) -> list[Match]:
    """Search on and on until all is searched."""
    matches: list[Match] = []
    found = await find(store, text, **fields)
    while found.next_before is not None:
        matches += found.matches
        found = await find(store, text, **{**fields, "before": found.next_before})
    return matches + found.matches


def texts(matches: list[Match]) -> list[str]:
    return [match.text for match in matches]


async def test_matches_tell_what_was_said_where_and_when(store: Store) -> None:
    await say(store, "a", "one", "two apples", time=7, stream="stderr")
    await say(store, "b", "no", time=8)
    await store.append(run_log("b"), [Draft(9, "thought", {"text": "apples?"})])
    found = await find(store, "apple")
    newest, oldest = found.matches
    assert (newest.run.id, newest.run.task_id, newest.run.workspace_id) == ("b", "task of b", "x")
    assert (newest.seq, newest.time, newest.type, newest.stream) == (3, 9, "thought", None)
    assert (oldest.run.id, oldest.seq, oldest.time, oldest.type) == ("a", 3, 7, "output")
    assert (oldest.text, oldest.cut, oldest.stream) == ("two apples", False, "stderr")
    kept = {event.position: event for b in await store.read_all(0, 1 << 20) for event in b.events()}
    assert kept[oldest.position].data["text"] == "two apples"
    assert found.next_before is None
    assert found.scanned_bytes > 0


SAID: dict[str, tuple[Entry, list[str], list[str]]] = {  # with what is found in it and what is not
    "output": (Lines(1, "stdout", ["ä ö"]), ["ä ö", "ö"], ["stdout", "output", "Ä"]),
    "message": (Draft(1, "message", {"role": "user", "text": "hi"}), ["hi"], ["user", "role"]),
    "tool call": (
        Draft(1, "tool_call", {"tool": "Bash", "input": {"command": 'echo "a\tb" \\', "n": 42}}),
        ["Bash", 'echo "a\tb" \\'],
        ["command", "42", "\\t", "Bashecho"],
    ),
    "list": (Draft(1, "custom", {"value": [["deep", {"k": "er"}], None, True]}), ["deep"], ["rue"]),
    "no text": (Draft(1, "output", {"stream": "stdout", "text": 5}), ["stdout"], ["5", "text"]),
}


@pytest.mark.parametrize("case", SAID)
async def test_texts_are_searched_as_they_are_and_nothing_else(store: Store, case: str) -> None:
    entry, there, absent = SAID[case]
    await store.append(run_log("a"), [entry])
    for text in there:
        assert len((await find(store, text)).matches) == 1, text
    for text in absent:
        assert (await find(store, text)).matches == [], text


async def fill(store: Store, chance: random.Random) -> list[str]:
    """Write many batches of all sizes; return the texts that have an x in them, newest first."""
    said = [f"{number} {chance.choice('xyz')}" for number in range(400)]
    left = list(said)
    while left:
        count = chance.choice((1, 1, 2, 30))
        await say(store, chance.choice("ab"), *left[:count], time=chance.randrange(100))
        del left[:count]
    return [text for text in reversed(said) if "x" in text]


@pytest.mark.parametrize("limit", [1, 7, 100])
@pytest.mark.parametrize("stretch", [1, 50, 20_000])
async def test_going_on_finds_everything_once_and_in_order(
    store: Store, monkeypatch: pytest.MonkeyPatch, limit: int, stretch: int
) -> None:
    monkeypatch.setattr(search, "LEAST_STRETCH", stretch)
    monkeypatch.setattr(search, "PAGE_BYTES", 300)
    expected = await fill(store, random.Random(limit * stretch))
    matches = await find_all(store, "x", limit=limit)
    assert texts(matches) == expected
    positions = [match.position for match in matches]
    assert positions == sorted(set(positions), reverse=True)


@pytest.mark.parametrize(("bound", "value"), [("BUDGET_BYTES", 1_000), ("BUDGET_S", 0.0)])
async def test_search_ends_at_its_bounds_and_says_where_to_go_on(
    store: Store, monkeypatch: pytest.MonkeyPatch, bound: str, value: float
) -> None:
    monkeypatch.setattr(search, bound, value)
    monkeypatch.setattr(search, "PAGE_BYTES", 300)
    expected = await fill(store, random.Random(3))
    found = await find(store, "x", limit=500)
    assert found.next_before is not None
    assert found.scanned_bytes < 3_000
    assert texts(await find_all(store, "x", limit=500)) == expected
    assert await find_all(store, "nothing") == []


async def test_only_events_that_are_young_enough_count(store: Store) -> None:
    young = [Lines(3, "stdout", ["x old"]), Lines(9, "stdout", ["x new"])]
    await store.append(run_log("a"), young)
    await say(store, "a", "x older", time=2)
    assert texts((await find(store, "x", since=9)).matches) == ["x new"]
    assert texts((await find(store, "x", since=3)).matches) == ["x new", "x old"]
    assert (await find(store, "x", since=10)).matches == []


async def test_one_run_or_workspace_is_searched_alone(store: Store) -> None:
    expected = await fill(store, random.Random(5))
    everything = await find_all(store, "x")
    for where in (Selection(run_id="a"), Selection(workspace_id="w")):
        found = await find_all(store, "x", where=where)
        assert found == [match for match in everything if match.run.id == "a"]
        assert 0 < len(found) < len(expected)
    other = Selection(run_id="a", workspace_id="x")
    assert await find_all(store, "x", where=other) == []


@pytest.mark.parametrize("sizes", [[1] * 200, [200], [3, 1, 50] * 4])
@pytest.mark.parametrize("count", [1, 3])
async def test_context_is_what_the_neighbours_in_the_log_say(
    store: Store, sizes: list[int], count: int
) -> None:
    number = 0
    for size in sizes:
        await say(store, "a", *(f"a{number + n}" for n in range(size)))
        await say(store, "b", "between")
        number += size
    for match in (await find(store, "a", context=count)).matches:
        own = int(match.text[1:])
        around = [f"a{n}" for n in range(max(own - count, 0), own)]
        assert match.before[-len(around) :] == around or not around
        assert len(match.before) <= count
        assert match.after == [f"a{n}" for n in range(own + 1, min(own + count + 1, number))]


async def test_context_leaves_out_who_says_nothing(store: Store) -> None:
    usage = Draft(1, "usage", {"input_tokens": 5})
    await store.append(run_log("a"), [Lines(1, "stdout", ["b", "x"]), usage, usage])
    await say(store, "a", "too far")
    (match,) = (await find(store, "x", context=2)).matches
    assert (match.before, match.after) == (["running", "b"], [])


async def test_long_texts_are_cut_around_the_hit(store: Store) -> None:
    much = "." * 5_000
    await say(store, "a", f"hit{much}", f"{much}hit", f"{much}hit{much}", "short hit")
    short, middle, end, begin = (await find(store, "hit", context=1)).matches
    assert (short.text, short.cut) == ("short hit", False)
    for match in (middle, end, begin):
        assert (len(match.text), match.cut) == (search.SHOWN_CHARS, True)
        assert "hit" in match.text
        assert all(len(text) <= search.NEARBY_CHARS for text in match.before + match.after)
    assert 400 < middle.text.index("hit") < 600
    assert begin.text.startswith("hit.")
    assert end.text.endswith(".hit")


async def test_deleted_runs_are_not_found(store: Store) -> None:
    await say(store, "a", "x of a")
    await say(store, "b", "x of b")
    await store.transition("a", "failed", 9)
    await store.delete(["a"], 10)
    assert texts((await find(store, "x of", context=1)).matches) == ["x of b"]


async def test_searches_take_turns_and_one_that_is_given_up_gives_its_turn_back(
    store: Store,
) -> None:
    await fill(store, random.Random(1))
    searches = Searches(store)
    wanted = Wanted(text="x", limit=500, context=2)
    for _ in range(5):
        given_up = [asyncio.create_task(searches.find(wanted)) for _ in range(4)]
        await asyncio.sleep(0)
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
    found = await asyncio.gather(*(searches.find(wanted) for _ in range(8)))
    assert all(each == found[0] for each in found)
    assert found[0].matches
