"""The throttle: prompt when quiet, seldom when busy, at once for what is urgent."""

import asyncio

import pytest

from runcast.web.sockets.throttle import Throttle


@pytest.fixture
async def throttle():
    throttle = Throttle()
    throttle.interval_s = 0.2
    yield throttle
    throttle.stop()


async def waited(throttle):
    clock = asyncio.get_running_loop().time
    began = clock()
    async with asyncio.timeout(5):
        await throttle.wait()
    return clock() - began


async def test_the_first_read_after_quiet_is_at_once_and_the_next_one_interval_later(throttle):
    throttle.wake(urgent=False)
    assert await waited(throttle) < 0.1
    for _ in range(3):
        throttle.wake(urgent=False)
        throttle.wake(urgent=False)
        assert await waited(throttle) > 0.15


async def test_what_is_urgent_does_not_wait(throttle):
    throttle.wake(urgent=True)
    await throttle.wait()
    throttle.wake(urgent=False)
    throttle.wake(urgent=True)
    assert await waited(throttle) < 0.1


async def test_a_read_that_gave_nothing_does_not_count(throttle):
    throttle.wake(urgent=False)
    await throttle.wait()
    throttle.wake(urgent=False)
    throttle.forgive()
    assert await waited(throttle) < 0.1
    throttle.forgive()
    throttle.wake(urgent=False)
    assert await waited(throttle) < 0.1


async def test_no_wake_up_is_lost_and_none_comes_twice(throttle):
    throttle.interval_s = 0
    throttle.wake(urgent=False)
    throttle.wake(urgent=True)
    assert await waited(throttle) < 0.1
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await throttle.wait()


async def test_readers_of_one_interval_read_at_few_moments():
    """Each begins when it likes, but what they go on to read they read together."""
    readers = [Throttle() for _ in range(12)]
    clock = asyncio.get_running_loop().time
    moments = set()
    for reader in readers:
        reader.interval_s = 0.2
        reader.wake(urgent=False)
        await reader.wait()
        await asyncio.sleep(0.01)
    for reader in readers:
        reader.wake(urgent=False)

    async def read(reader):
        await reader.wait()
        moments.add(round(clock() / 0.05))

    await asyncio.gather(*map(read, readers))
    assert len(moments) <= 5
