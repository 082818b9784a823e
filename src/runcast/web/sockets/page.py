"""Pages: what one read gave, in order, each batch written once for all who want the same."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from runcast.core.events import Batch, Draft, Event, encode_entries
from runcast.stores import Selection
from runcast.web.sockets.frames import frame, frames
from runcast.web.sockets.subscriptions import Subscription, Subscriptions, Taken
from runcast.web.sockets.voices import Voice, events_after
from runcast.web.sse import SHARED_ENCODINGS

MESSAGE_BYTES = 256 * 1024  # of a batch message: many clients refuse messages over 1 MiB


class Slice(NamedTuple):
    """Neighbouring batches to be written in one voice, what lies behind position `after`.

    They are all that a `selection` has between `after` and the last of them; None: only some.
    """

    voice: Voice
    selection: Selection | None
    batches: list[Batch]
    after: int

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


class Separate:
    """Writes every message for itself."""

    def write(self, found: Iterable[Slice]) -> Iterator[bytes]:
        """Write whole frames, slice by slice, while they are being taken."""
        for one in found:
            if one.voice.joins:
                yield _shared(one, frames)
            else:
                for batch in one.batches:
                    yield _shared(one._replace(batches=[batch]), frames)


class Together:
    """Writes the messages of one read as one: `{"type": "batch", "events": […]}`."""

    def write(self, found: Iterable[Slice]) -> Iterator[bytes]:
        """Write one frame; several if it would be too long for clients."""
        whole = list(found)
        if len(whole) == 1:
            yield _shared(whole[0], _batched)
        elif whole:
            yield _batched(chain.from_iterable(one.texts() for one in whole))


Packing = Separate | Together


def _whole(subscription: Subscription, batches: list[Batch], after: int) -> Iterator[Slice]:
    if batches:
        yield Slice(subscription.voice, subscription.target.selection, batches, after)


def _slice(batch: Batch, taken: Sequence[Taken], subscriptions: Subscriptions) -> Iterator[Slice]:
    among = subscriptions.of(batch)
    one = taken[0]
    if among == [one.subscription] and one.subscription.before is None:
        yield from _whole(one.subscription, [batch], one.after)
        return
    due = {each.subscription: each.after for each in taken}
    for event in events_after(batch, min(due.values())):
        for voice in _speakers(event, among, due):
            yield Slice(voice, None, [_single(batch, event)], event.position - 1)


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


def _joined(found: Iterable[Slice]) -> Iterator[Slice]:
    """Make one slice of neighbours that one voice writes of one selection."""
    last: Slice | None = None
    for one in found:
        if last is not None and one.voice is last.voice and one.selection == last.selection:
            last.batches.extend(one.batches)
            continue
        if last is not None:
            yield last
        last = one
    if last is not None:
        yield last


def _shared(one: Slice, pack: Callable[[Iterable[str]], bytes]) -> bytes:
    """Write a slice, or take what somebody else has made of the same."""
    if one.selection is None:
        return pack(one.texts())
    memo = one.batches[-1].memo
    after = max(one.after, one.batches[0].first_position - 1)
    # One batch is the same in every selection; what lies between several is not.
    selection = one.selection if len(one.batches) > 1 else None
    key: Any = (pack, one.voice.key, selection, after)
    packed = memo.get(key)
    if packed is None:
        packed = pack(one.texts())
        if len(memo) < SHARED_ENCODINGS:
            memo[key] = packed
    return packed


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
