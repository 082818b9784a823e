"""The throttle: prompt when quiet, seldom when busy, at once for what is urgent."""

import asyncio

import pytest

from runcast.web.throttle import Throttle


class Reader:
    """Reads when it is rung for."""

    def __init__(self):
        self.rung = asyncio.Event()
        self.throttle = Throttle(self.rung.set, 0.2)

    async def read(self):
        await self.rung.wait()
        self.rung.clear()
        self.throttle.begin()


@pytest.fixture
async def reader():
    reader = Reader()
    yield reader
    reader.throttle.stop()


@pytest.fixture
async def throttle(reader):
    return reader.throttle


async def waited(reader):
    clock = asyncio.get_running_loop().time
    began = clock()
    async with asyncio.timeout(5):
        await reader.read()
    return clock() - began


async def test_the_first_read_after_quiet_is_at_once_and_the_next_an_interval_later(
    reader, throttle
):
    throttle.wake(urgent=False)
    assert await waited(reader) < 0.1
    for _ in range(3):
        throttle.wake(urgent=False)
        throttle.wake(urgent=False)
        assert await waited(reader) > 0.15


async def test_what_is_urgent_does_not_wait(reader, throttle):
    throttle.wake(urgent=True)
    await reader.read()
    throttle.wake(urgent=False)
    throttle.wake(urgent=True)
    assert await waited(reader) < 0.1


async def test_a_read_that_gave_nothing_does_not_count(reader, throttle):
    throttle.wake(urgent=False)
    await reader.read()
    throttle.wake(urgent=False)
    throttle.forgive()
    assert await waited(reader) < 0.1
    throttle.forgive()
    throttle.wake(urgent=False)
    assert await waited(reader) < 0.1


async def test_no_wake_up_is_lost_and_none_comes_twice(reader, throttle):
    throttle.interval_s = 0
    throttle.wake(urgent=False)
    throttle.wake(urgent=True)
    assert await waited(reader) < 0.1
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await reader.read()


class Clock:
    """The time of a loop, set by the test."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.mark.parametrize("uptime_s", [1, 100, 12_345, 86_400, 1e6, 1e7])
async def test_who_reads_when_it_is_time_reads_again_exactly_an_interval_later(
    uptime_s, monkeypatch
):
    clock = Clock(uptime_s)
    with monkeypatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "time", clock)
        for interval_s in (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 5):
            throttle = Throttle(lambda: None, interval_s)
            throttle.begin()
            for late_s in [0, 0.001] * 50:
                due = throttle.due
                clock.now = due + late_s
                throttle.begin()
                assert throttle.due - due == pytest.approx(interval_s)


async def test_readers_of_one_interval_read_at_few_moments():
    """Each begins when it likes, but what they go on to read they read together."""
    readers = [Reader() for _ in range(12)]
    clock = asyncio.get_running_loop().time
    moments = set()
    for reader in readers:
        reader.throttle.wake(urgent=False)
        await reader.read()
        await asyncio.sleep(0.01)
    for reader in readers:
        reader.throttle.wake(urgent=False)

    async def read(reader):
        await reader.read()
        moments.add(round(clock() / 0.05))

    await asyncio.gather(*map(read, readers))
    assert len(moments) <= 5
