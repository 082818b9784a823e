"""What a subscription remembers of what it sent, however often it begins again."""

import pytest

from runcast.stores import Selection
from runcast.web.sockets.subscriptions import Subscription, Target
from runcast.web.sockets.voices import EnvelopeVoice, NativeVoice
from runcast.wires import Keep


@pytest.fixture
async def subscription(runtime):
    """One that began at 10."""
    selection = Selection(run_id="r")
    follower = runtime.logs.follow_where(selection, 10)
    yield Subscription(Target("runId", "r", selection), EnvelopeVoice(), follower)
    follower.close()


def sent_up_to(subscription, position):
    subscription.follower.cursor = position
    subscription.advance()


def sent(subscription):
    return [(one.start, one.end) for one in subscription.ranges() if one.start < one.end]


@pytest.mark.parametrize(
    ("steps", "known"),
    [
        ([50], [(10, 50)]),
        ([50, (0, 5)], [(0, 5), (10, 50)]),
        ([50, (0, 50)], [(0, 50)]),
        ([50, (0, 70)], [(0, 70)]),
        ([50, (20, 30)], [(20, 30), (10, 50)]),
        ([50, (20, 60)], [(10, 60)]),
        ([50, (60, 70)], [(60, 70)]),
        # Begun again before it came to where it had been: what touches is joined.
        ([50, (0, 20), (5, 6)], [(5, 6), (0, 50)]),
        ([50, (0, 5), (0, 3)], [(0, 3), (0, 5)]),
    ],
)
async def test_what_was_sent_is_known(subscription, steps, known):
    sent_up_to(subscription, steps[0])
    for after, position in steps[1:]:
        subscription.resume(after)
        sent_up_to(subscription, position)

    assert sent(subscription) == known


async def test_another_voice_has_sent_nothing_yet(subscription):
    sent_up_to(subscription, 50)
    subscription.speak(EnvelopeVoice())
    assert sent(subscription) == [(10, 50)]
    subscription.speak(NativeVoice(Keep()))
    assert sent(subscription) == []
