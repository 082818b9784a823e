"""What inotify tells, whom, and when it stops."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from runcast.tail import hints
from runcast.tail.hints import (
    CREATE,
    DELETE,
    IGNORED,
    IS_DIR,
    MODIFY,
    MOVE_SELF,
    MOVED_TO,
    OVERFLOW,
    Hints,
)


class Told(list[tuple[str, int]]):
    """What a callback was told: names and masks."""

    def __call__(self, name: str, mask: int) -> None:
        self.append((name, mask))


@pytest.fixture
async def watching() -> AsyncIterator[Hints]:
    made = Hints()
    yield made
    made.close()


async def until(condition: Callable[[], object], timeout: float = 5) -> None:
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.001)


async def settle(watching: Hints, folder: Path) -> None:
    """Wait until everything that has happened before is told."""
    told = Told()
    ticket = watching.add(str(folder), CREATE | MODIFY, told)
    for last in range(2):  # the first may be told together with what is told already
        name = f"last-{last}"
        (folder / name).touch()
        await until(lambda name=name: name in dict(told))
    watching.remove(ticket)


async def test_callers_of_one_folder_are_each_told_what_they_asked_for(
    watching: Hints, tmp_path: Path
) -> None:
    made, written = Told(), Told()
    watching.add(str(tmp_path), CREATE, made)
    watching.add(str(tmp_path), MODIFY, written)
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder").mkdir()
    await until(lambda: made == [("file", CREATE), ("folder", CREATE | IS_DIR)])
    assert written == [("file", MODIFY)]


async def test_what_happens_to_a_name_at_once_is_told_at_once(
    watching: Hints, tmp_path: Path
) -> None:
    told = Told()
    watching.add(str(tmp_path), CREATE | MODIFY | DELETE, told)
    for text in ("a", "b", "c"):
        (tmp_path / "file").write_text(text)
    (tmp_path / "file").unlink()
    await until(lambda: told)
    assert told == [("file", CREATE | MODIFY | DELETE)]


async def test_the_first_hint_comes_at_once_and_the_next_at_the_pace(
    watching: Hints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints, "PACE_S", 0.2)
    told = Told()
    watching.add(str(tmp_path), CREATE, told)
    loop = asyncio.get_running_loop()
    started = loop.time()
    (tmp_path / "1").touch()
    await until(lambda: told)
    assert loop.time() - started < 0.2
    (tmp_path / "2").touch()
    (tmp_path / "3").touch()
    await until(lambda: len(told) == 3)
    assert loop.time() - started >= 0.19


async def test_what_happens_while_hints_are_held_is_told_later_and_all_of_it(
    tmp_path: Path,
) -> None:
    held = iter([0.2])
    watching = Hints(lambda: next(held, 0.0))
    told = Told()
    watching.add(str(tmp_path), CREATE, told)
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number in range(5):
        (tmp_path / f"{number}").touch()
        await until(lambda: len(told) > number)  # noqa: B023 - awaited at once
    assert loop.time() - started >= 0.19
    assert [name for name, _ in told] == ["0", "1", "2", "3", "4"]
    watching.close()


async def test_who_holds_hints_is_asked_again_but_cannot_hold_them_for_ever(
    tmp_path: Path,
) -> None:
    asked: list[float] = []

    def hold() -> float:
        asked.append(asyncio.get_running_loop().time())
        return 0.05

    watching = Hints(hold)
    told = Told()
    watching.add(str(tmp_path), CREATE, told)
    for name in ("first", "second"):
        (tmp_path / name).touch()
        await until(lambda name=name: name in dict(told))
    assert len(asked) == 2
    assert asked[1] - asked[0] >= 0.045  # the loop's clock counts in ms
    watching.close()


async def test_who_leaves_is_told_nothing_more_and_the_others_are(
    watching: Hints, tmp_path: Path
) -> None:
    leaving, staying = Told(), Told()
    ticket = watching.add(str(tmp_path), MODIFY | CREATE, leaving)
    watching.add(str(tmp_path), MOVED_TO, staying)
    watching.remove(ticket)
    watching.remove(ticket)
    (tmp_path / "a").write_text("text")
    (tmp_path / "a").rename(tmp_path / "b")
    await until(lambda: staying == [("b", MOVED_TO)])
    assert leaving == []


async def test_what_nobody_asks_for_any_more_wakes_nobody(watching: Hints, tmp_path: Path) -> None:
    """Else a busy file that somebody followed once would cost time for ever."""
    told = Told()
    watching.add(str(tmp_path), CREATE, told)
    watching.remove(watching.add(str(tmp_path), MODIFY, told))
    assert masks() == {CREATE | MOVE_SELF}
    watching.add(str(tmp_path), MODIFY, told)
    assert masks() == {CREATE | MODIFY | MOVE_SELF}


async def test_a_folder_nobody_asks_about_is_not_watched(watching: Hints, tmp_path: Path) -> None:
    tickets = [watching.add(str(tmp_path), mask, Told()) for mask in (CREATE, MODIFY)]
    assert len(masks()) == 1
    for ticket in tickets:
        watching.remove(ticket)
    assert masks() == set()


async def test_less_is_asked_of_a_folder_and_not_of_what_has_its_name_now(
    watching: Hints, tmp_path: Path
) -> None:
    """A watch follows its folder, and what is told of a move may still be under way."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    watching.add(str(first), CREATE, Told())
    ticket = watching.add(str(first), MODIFY, Told())
    told = Told()
    watching.add(str(second), CREATE | DELETE, told)
    first.rename(tmp_path / "away")
    second.rename(first)
    watching.remove(ticket)
    assert CREATE | DELETE | MOVE_SELF in masks()
    await until(lambda: told == [("", MOVE_SELF)])


async def test_a_folder_that_is_deleted_is_told_and_its_tickets_end(
    watching: Hints, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    told = [Told(), Told()]
    tickets = [watching.add(str(folder), CREATE, each) for each in told]
    folder.rmdir()
    await until(lambda: told == [[("", IGNORED)], [("", IGNORED)]])
    assert not any(ticket.alive for ticket in tickets if ticket)
    folder.mkdir()
    again = Told()
    ticket = watching.add(str(folder), CREATE, again)
    for old in tickets:
        watching.remove(old)
    (folder / "file").touch()
    await until(lambda: again == [("file", CREATE)])
    assert ticket is not None
    assert ticket.alive


async def test_a_folder_that_is_moved_is_told_and_no_longer_watched(
    watching: Hints, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    told = Told()
    watching.add(str(folder), CREATE, told)
    folder.rename(tmp_path / "away")
    await until(lambda: told == [("", MOVE_SELF)])
    (tmp_path / "away/file").touch()
    await settle(watching, tmp_path)
    assert told == [("", MOVE_SELF)]


async def test_a_callback_may_end_the_others(watching: Hints, tmp_path: Path) -> None:
    told: list[int] = []
    tickets = [
        watching.add(str(tmp_path), CREATE, lambda *_, one=one: (told.append(one), end(one)))
        for one in range(2)
    ]

    def end(one: int) -> None:
        watching.remove(tickets[1 - one])

    (tmp_path / "file").touch()
    await until(lambda: told)
    await settle(watching, tmp_path)
    assert set(told) == {0}


async def test_everybody_is_told_when_hints_were_lost(watching: Hints, tmp_path: Path) -> None:
    quiet, busy = tmp_path / "quiet", tmp_path / "busy"
    told = [Told(), Told()]
    for folder, mask, each in zip((quiet, busy), (CREATE, MODIFY), told, strict=True):
        folder.mkdir()
        watching.add(str(folder), mask, each)
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with (busy / "a").open("wb", 0) as a, (busy / "b").open("wb", 0) as b:
        for _ in range(limit // 2 + 1):  # in turn: equal neighbours would be one hint
            a.write(b"a")
            b.write(b"b")
    await until(lambda: all(("", OVERFLOW) in each for each in told), timeout=20)


async def test_what_cannot_be_watched_is_not(watching: Hints, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert watching.add(str(tmp_path / "absent"), CREATE, Told()) is None
    assert watching.add(str(tmp_path / "file"), CREATE, Told()) is None
    watching.remove(None)


async def test_names_of_any_bytes_are_told(watching: Hints, tmp_path: Path) -> None:
    told = Told()
    watching.add(str(tmp_path), CREATE, told)
    name = os.fsdecode(b"caf\xe9")
    (tmp_path / name).touch()
    await until(lambda: told == [(name, CREATE)])


async def test_after_the_close_nothing_is_left_and_nothing_is_watched(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    watching = Hints()
    told = Told()
    ticket = watching.add(str(tmp_path), CREATE, told)
    (tmp_path / "file").touch()
    await until(lambda: told)
    watching.close()
    watching.close()
    watching.remove(ticket)
    assert not watching.available
    assert watching.add(str(tmp_path), CREATE, told) is None
    assert set(os.listdir("/proc/self/fd")) == before


async def test_without_inotify_there_are_no_hints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints.ctypes, "CDLL", lambda *_, **__: object())
    watching = Hints()
    assert not watching.available
    assert watching.add(str(tmp_path), CREATE, Told()) is None
    watching.remove(None)
    watching.close()


def masks() -> set[int]:
    """Return what this process asks of inotify, of all folders."""
    found: set[int] = set()
    for fd in os.listdir("/proc/self/fdinfo"):
        try:
            lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
        except FileNotFoundError:
            continue
        words = [line.split() for line in lines if line.startswith("inotify ")]
        found |= {int(word[5:], 16) for line in words for word in line if word[:5] == "mask:"}
    return found
