"""Pages: what one read gave, in order, each batch written once for all who want the same."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from runcast.core.events import Batch, Draft, Event, encode_entries
from runcast.web.sockets.frames import frame, frames
from runcast.web.sockets.subscriptions import Subscription, Subscriptions, Taken
from runcast.web.sockets.voices import Voice, events_after
from runcast.web.sse import SHARED_ENCODINGS

MESSAGE_BYTES = 256 * 1024  # of a batch message: many clients refuse messages over 1 MiB
KEPT_BYTES = 4 * 1024 * 1024  # of written slices of several batches, for all sockets together
KEPT_OVERHEAD = 256  # what each batch of such a slice takes in the name by which it is found

_Pack = Callable[[Iterable[str]], bytes]
# How it is packed, the key of its voice, behind which position, first position and count of each.
_Key = tuple[_Pack, object, int, tuple[tuple[int, int], ...]]


class Slice(NamedTuple):
    """Neighbouring batches to be written in one voice, what lies behind position `after`."""

    voice: Voice
    batches: list[Batch]
    after: int

    @property
    def is_whole(self) -> bool:
        """Whether no event of its first batch is left out."""
        return self.after < self.batches[0].first_position

    def texts(self) -> Iterable[str]:
        """Write the messages."""
        return self.voice.texts(self.batches, self.after)


def slices(taken: Sequence[Taken], subscriptions: Subscriptions) -> Iterator[Slice]:
    """Put what was read in the order of positions; what was sent before is left out.

    Where a batch belongs to several subscriptions, an event is written once for each of their
    formats.
    """
    if len(subscriptions) == 1 and all(one.subscription.before is None for one in taken):
        for one in taken:
            yield from _whole(one.subscription, one.batches, one.after)
        return
    by_place: dict[int, tuple[Batch, list[Taken]]] = {}
    for one in taken:
        for batch in one.batches:
            by_place.setdefault(batch.first_position, (batch, []))[1].append(one)
    found = (_slice(*by_place[place], subscriptions) for place in sorted(by_place))
    yield from _joined(chain.from_iterable(found))


class Written:
    """What was written of slices, kept for the next who wants exactly the same events.

    One batch keeps what was made of all of it, as long as it lives; of slices of several batches
    the last used are kept here, KEPT_BYTES in all.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, bytes] = OrderedDict()
        self._size = 0

    def of(self, one: Slice, pack: _Pack) -> bytes:
        """Return the slice, packed; write it if nobody has."""
        if len(one.batches) > 1:
            return self._several(one, pack)
        memo = one.batches[0].memo
        if not one.is_whole:
            return pack(one.texts())
        key = (pack, one.voice.key)
        packed = memo.get(key)
        if packed is None:
            packed = pack(one.texts())
            if len(memo) < SHARED_ENCODINGS:
                memo[key] = packed
        return packed

    def _several(self, one: Slice, pack: _Pack) -> bytes:
        # By the very events: between two positions, sockets may have different ones to send.
        batches = tuple((batch.first_position, batch.count) for batch in one.batches)
        after = max(one.after, batches[0][0] - 1)
        key = (pack, one.voice.key, after, batches)
        packed = self._kept.get(key)
        if packed is not None:
            self._kept.move_to_end(key)
            return packed
        packed = self._kept[key] = pack(one.texts())
        self._size += len(packed) + KEPT_OVERHEAD * len(batches)
        while self._size > KEPT_BYTES:
            (*_, dropped), text = self._kept.popitem(last=False)
            self._size -= len(text) + KEPT_OVERHEAD * len(dropped)
        return packed


class Separate:
    """Writes every message for itself."""

    def write(self, found: Iterable[Slice], written: Written) -> Iterator[bytes]:
        """Write whole frames, slice by slice, while they are being taken."""
        for one in found:
            if one.voice.joins:
                yield written.of(one, frames)
            else:
                for batch in one.batches:
                    yield written.of(one._replace(batches=[batch]), frames)


class Together:
    """Writes the messages of one read as one: `{"type": "batch", "events": […]}`."""

    def write(self, found: Iterable[Slice], written: Written) -> Iterator[bytes]:
        """Write one frame; several if it would be too long for clients."""
        whole = list(found)
        if len(whole) == 1:
            yield written.of(whole[0], _batched)
        elif whole:
            yield _batched(chain.from_iterable(one.texts() for one in whole))


Packing = Separate | Together


def _whole(subscription: Subscription, batches: list[Batch], after: int) -> Iterator[Slice]:
    if batches:
        yield Slice(subscription.voice, batches, after)


def _slice(
    batch: Batch, taken: Sequence[Taken], subscriptions: Subscriptions
) -> Iterator[Slice | None]:
    """Yield what there is to send of a batch; None for an event of which there is nothing."""
    among = subscriptions.of(batch)
    one = taken[0]
    if among == [one.subscription] and one.subscription.before is None:
        yield from _whole(one.subscription, [batch], one.after)
        return
    due = {each.subscription: each.after for each in taken}
    for event in events_after(batch, min(due.values())):
        voices = list(_speakers(event, among, due))
        if not voices:
            yield None
        for voice in voices:
            yield Slice(voice, [_single(batch, event)], event.position - 1)


def _speakers(
    event: Event, among: Sequence[Subscription], due: dict[Subscription, int]
) -> Iterator[Voice]:
    """Yield one voice of each format in which the event is wanted and was not sent yet."""
    done: set[str] = {
        sent.voice.format for each in among for sent in each.ranges() if sent.covers(event)
    }
    for subscription, after in due.items():
        voice = subscription.voice
        if voice.format not in done and event.position > after and voice.wants(event):
            done.add(voice.format)
            yield voice


def _single(batch: Batch, event: Event) -> Batch:
    body = encode_entries([Draft(event.time, event.type, event.data)])
    return Batch(batch.log, event.seq, event.position, 1, body, batch.ref)


def _joined(found: Iterable[Slice | None]) -> Iterator[Slice]:
    """Make one slice of neighbours that one voice writes; over None nobody is a neighbour."""
    last: Slice | None = None
    for one in found:
        if last and one and one.voice is last.voice and one.is_whole:
            last.batches.extend(one.batches)
            continue
        if last is not None:
            yield last
        last = one
    if last is not None:
        yield last


def _batched(texts: Iterable[str]) -> bytes:
    written: list[bytes] = []
    events: list[str] = []
    size = 0
    for text in texts:
        if events and size + len(text) > MESSAGE_BYTES:
            written.append(_batch(events))
            events, size = [], 0
        events.append(text)
        size += len(text) + 1
    if events:
        written.append(_batch(events))
    return b"".join(written)


def _batch(events: Sequence[str]) -> bytes:
    return frame(f'{{"type":"batch","events":[{",".join(events)}]}}')
