"""What one read gave: whose slices are one, and what is written once for several sockets."""

import pytest

from runcast.core.events import Batch, Lines, encode_entries, run_log
from runcast.core.runs import RunRef
from runcast.web.sockets.page import KEPT_BYTES, Separate, Slice, Together, Written
from runcast.web.sockets.voices import ActivityVoice
from runcast.wires import Keep
from runcast.wires.activity import Include
from tests.web.sockets.client import add_run, say_lines, talking


class CountingVoice(ActivityVoice):
    """Counts how often it had to write."""

    def __init__(self):
        super().__init__(Include(), Keep())
        self.written = 0

    def texts(self, batches, after):
        self.written += 1
        return super().texts(batches, after)


@pytest.fixture
def voice():
    return CountingVoice()


@pytest.fixture
def batch():
    def make(position, *texts):
        body = encode_entries([Lines(1, "stdout", list(texts))])
        ref = RunRef("r", "r", "w", "agent", "run")
        return Batch(run_log("r"), position - 10, position, len(texts), body, ref)

    return make


@pytest.mark.parametrize("packing", [Separate(), Together()])
@pytest.mark.parametrize("places", [(11,), (11, 12, 15)])
def test_what_several_sockets_read_is_written_once(voice, batch, packing, places):
    batches = [batch(place, "text") for place in places]
    written = Written()
    said = [list(packing.write([Slice(voice, batches, after)], written)) for after in (3, 10, 10)]

    assert said[0] == said[1] == said[2]
    assert voice.written == 1


def test_other_batches_between_the_same_positions_are_written_anew(voice, batch):
    first, middle, last = (batch(place, f"at {place}") for place in (11, 12, 13))
    written = Written()
    for batches in ([first, last], [first, middle, last]):
        said = b"".join(Separate().write([Slice(voice, batches, 0)], written))
        assert (b"at 12" in said) == (middle in batches)


def test_part_of_a_batch_is_kept_nowhere(voice, batch):
    one = batch(11, "a", "b", "c")
    written = Written()
    for after in (11, 12, 11):
        list(Separate().write([Slice(voice, [one], after)], written))

    assert voice.written == 3
    assert one.memo == {}


def test_what_is_kept_of_several_batches_is_bounded_and_the_last_used_stays(voice, batch):
    batches = [batch(11 + n, "x" * 60_000) for n in range(10)]
    written = Written()

    def write(after):
        before = voice.written
        list(Separate().write([Slice(voice, batches, after)], written))
        return voice.written - before

    size = len(b"".join(Separate().write([Slice(voice, batches, 0)], written)))
    fit = KEPT_BYTES // size
    several = [Slice(voice, [*batches, batch(100 + n, "y")], 0) for n in range(3 * fit)]
    for one in several:
        list(Separate().write([one], written))
        assert write(0) == 0
    assert all(len(one.memo) == 0 for one in batches)
    before = voice.written
    list(Separate().write([several[0]], written))
    assert voice.written == before + 1


async def test_a_socket_that_had_some_of_it_takes_nothing_from_the_others(live, runtime):
    await add_run(runtime, "a", "task")
    await add_run(runtime, "b", "task")
    async with talking(live) as keeps, talking(live) as first, talking(live) as second:
        await keeps.ask(type="subscribe", workOrderId="task")
        head = (await runtime.store.positions()).head
        for run_id, text in (("a", "one"), ("b", "middle"), ("a", "three")):
            await say_lines(runtime, [text], run_id)
        wanted = {"type": "subscribe", "after": head}
        await first.ask(**wanted, runId="b")
        heard = [await first.settle()]
        for talk in (first, second):
            await talk.ask(**wanted, workOrderId="task")
            heard.append(await talk.settle())

    assert [[one["content"] for one in said] for said in heard] == [
        ["middle"],
        ["one", "three"],
        ["one", "middle", "three"],
    ]
