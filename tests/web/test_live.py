"""Clients that are written to together: what is encoded once, and who is let go and when."""

import asyncio

import pytest

from runcast.config import Settings
from runcast.core.events import Draft, Lines, run_log
from runcast.core.runs import Run
from runcast.runtime.runtime import Runtime
from runcast.stores import ALL_RUNS, Selection
from runcast.web.live import Chorus, Part

LIMIT = 10_000
WAIT_S = 10
RUN = Selection(run_id="r")


class Line:
    """The outlet of a client that keeps what it gets, and reads `room` bytes of it."""

    def __init__(self, room=1_000_000):
        self.got = b""
        self.held = None
        self._room = room

    @property
    def ready(self):
        return len(self.got) <= self._room

    @property
    def write(self):
        return self._write

    def when_held(self, held):
        self.held = held

    def _write(self, data):
        self.got += data
        if not self.ready and self.held is not None:
            self.held()


class Choir:
    """Joins clients to the chorus of one part, which it counts the encodings of."""

    def __init__(self, runtime, interval_s=0.0, selection=RUN):
        self.encoded = 0
        self.part = Part("part", LIMIT, self._encode, interval_s)
        self.released = []
        self._runtime = runtime
        self._selection = selection

    def follow(self, after):
        return self._runtime.logs.follow_where(self._selection, after)

    def join(self, follower, line):
        chorus = Chorus.of(follower.track, self.part)
        if chorus.takes(follower, line):
            chorus.join(follower, line, lambda: self.released.append(line))
            return chorus
        return None

    def _encode(self, batches, after):
        self.encoded += 1
        return b"".join(
            b"%d:%s " % (event.position, event.data["text"].encode())
            for batch in batches
            for event in batch.events(after - batch.first_position + batch.first_seq)
        )


@pytest.fixture
async def runtime(data_dir):
    runtime = await Runtime.open(Settings(data_dir=str(data_dir)))
    yield runtime
    await runtime.close()


async def add_run(runtime, run_id):
    run = Run(id=run_id, key=run_id, task_id=run_id, source="external", status="running")
    await runtime.store.create(run)


@pytest.fixture
async def head(runtime):
    await add_run(runtime, "r")
    return (await runtime.store.positions()).head


@pytest.fixture
def choir(runtime):
    return Choir(runtime)


@pytest.fixture
def say(runtime):
    async def say(*texts):
        await runtime.store.append(run_log("r"), [Lines(1, "stdout", list(texts))])

    return say


async def until(condition):
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.001)


async def test_all_are_told_in_the_same_bytes_encoded_once(choir, head, say):
    lines = [Line() for _ in range(50)]
    followers = [choir.follow(head) for _ in lines]
    (chorus,) = {choir.join(*pair) for pair in zip(followers, lines, strict=True)}
    for text in "abc":
        await say(text)
    await until(lambda: b"c" in lines[-1].got)

    wanted = b"%d:a %d:b %d:c " % (head + 1, head + 2, head + 3)
    assert {line.got for line in lines} == {wanted}
    assert choir.encoded <= 3
    assert {one.cursor for one in followers} == {head + 3}
    assert len(chorus) == 50


async def test_who_joins_ahead_of_the_others_is_told_only_what_it_lacks(runtime, head, say):
    choir = Choir(runtime, interval_s=0.3)
    first, second, third = lines = [Line() for _ in range(3)]
    follower = choir.follow(head)
    choir.join(follower, first)
    await say("at once")
    await until(lambda: first.got)
    await say("waits")
    for line in (second, third):
        ahead = choir.follow(head + 1)
        assert choir.join(ahead, line) is None
        assert len(await ahead.take()) == 1
        assert choir.join(ahead, line) is not None
    await say("news")
    await until(lambda: all(b"news" in line.got for line in lines))

    assert first.got == b"%d:at once %d:waits %d:news " % (head + 1, head + 2, head + 3)
    assert second.got == third.got == b"%d:news " % (head + 3)


async def test_who_does_not_read_is_let_go_of_and_told_nothing_more(choir, head, say):
    slow, quick = Line(room=3), Line()
    follower = choir.follow(head)
    choir.join(follower, slow)
    choir.join(choir.follow(head), quick)
    for text in ("one", "two"):
        await say(text)
        await until(lambda text=text: text.encode() in quick.got)

    assert choir.released == [slow]
    assert slow.got == b"%d:one " % (head + 1)
    assert follower.cursor == head + 1
    assert slow.held is None
    assert choir.join(follower, slow) is None


class Broken(Line):
    """The outlet of a client that cannot be written to, and does not know yet."""

    def _write(self, data):
        raise RuntimeError("closed")


async def test_who_cannot_be_written_to_is_let_go_of_and_the_others_get_everything(
    choir, head, say, caplog
):
    lines = [Line(), Broken(), Line()]
    followers = [choir.follow(head) for _ in lines]
    (chorus,) = {choir.join(*pair) for pair in zip(followers, lines, strict=True)}
    first, broken, last = lines
    for text in ("one", "two"):
        await say(text)
        await until(lambda text=text: text.encode() in last.got)

    assert first.got == last.got == b"%d:one %d:two " % (head + 1, head + 2)
    assert choir.released == [broken]
    assert broken.held is None
    assert len(chorus) == 2
    assert "cannot be written to" in caplog.text


async def test_what_is_too_much_at_once_is_for_each_to_read(choir, head, say):
    line = Line()
    follower = choir.follow(head)
    choir.join(follower, line)
    await say("x" * LIMIT)
    await until(lambda: choir.released)

    assert line.got == b""
    assert follower.cursor == head
    assert follower.track.listeners == {}


async def test_the_chorus_reads_once_an_interval_but_at_once_what_is_urgent(runtime, head, say):
    choir = Choir(runtime, interval_s=30)
    line = Line()
    choir.join(choir.follow(head), line)
    await say("quiet before")
    await until(lambda: line.got)
    await say("waits")
    await asyncio.sleep(0.05)
    assert b"waits" not in line.got
    await runtime.store.append(run_log("r"), [Draft(1, "error", {"text": "urgent"})])
    await until(lambda: b"waits" in line.got)

    assert line.got.endswith(b":waits %d:urgent " % (head + 3))


async def test_what_encodes_to_nothing_moves_everybody_on_and_does_not_count(runtime, head, say):
    choir = Choir(runtime, interval_s=30)
    silent = Part("part", LIMIT, lambda batches, after: b"", 30)
    choir.part = silent
    follower = choir.follow(head)
    chorus = choir.join(follower, Line())
    for number in (1, 2, 3):
        await say("unheard")
        await until(lambda number=number: follower.cursor == head + number)

    assert len(chorus) == 1


async def test_who_may_have_missed_what_was_removed_is_let_go_of(runtime, head, say):
    await add_run(runtime, "s")
    choir = Choir(runtime, 0.3, ALL_RUNS)
    line = Line()
    follower = choir.follow((await runtime.store.positions()).head)
    choir.join(follower, line)
    await say("first")
    await until(lambda: line.got)
    heard = line.got
    await runtime.store.append(run_log("s"), [Lines(1, "stdout", ["removed"])])
    await say("kept")
    await runtime.delete("s")
    await until(lambda: choir.released)

    assert line.got == heard
    assert follower.floor > follower.cursor
    assert choir.join(follower, line) is None


async def test_a_removal_of_what_all_have_lets_go_of_nobody(runtime, choir, head, say):
    await add_run(runtime, "s")
    line = Line()
    choir.join(choir.follow((await runtime.store.positions()).head), line)
    await runtime.delete("s")
    await say("on")
    await until(lambda: line.got)

    assert choir.released == []


async def test_a_chorus_that_all_have_left_reads_no_more(runtime, head, say):
    choir = Choir(runtime, interval_s=0.05)
    line = Line()
    follower = choir.follow(head)
    chorus = choir.join(follower, line)
    await say("one")
    await until(lambda: line.got)
    await say("two")
    chorus.leave(follower)
    chorus.leave(follower)
    await asyncio.sleep(0.1)

    assert line.got == b"%d:one " % (head + 1)
    assert (follower.track.listeners, choir.released, len(chorus)) == ({}, [], 0)
