"""Subscriptions: what one connection follows, how far each has come, and what was already sent."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from runcast.core.errors import NotFound, TooMany
from runcast.core.events import Batch, Event, run_log
from runcast.core.limits import READ_BYTES
from runcast.runtime.follow import PositionFollower
from runcast.runtime.logs import Logs
from runcast.stores import ALL_RUNS, Selection, Store
from runcast.web.sockets.voices import Voice
from runcast.web.sse import Streams

MAX_SUBSCRIPTIONS = 1_000  # of one connection: each is memory, and its client could ask for more


class Target(NamedTuple):
    """What can be subscribed to: by which name a client calls it, and what the store has of it.

    `counted` is the run or task whose clients are limited; None where they are not. `within` is
    the work order that the client named beside its run.
    """

    name: str
    value: str | bool
    selection: Selection
    counted: str | None = None
    within: str | None = None

    @property
    def shown(self) -> dict[str, Any]:
        """Return it as messages about it name it."""
        named = {self.name: self.value}
        return named if self.within is None else {"workOrderId": self.within} | named


class Sent(NamedTuple):
    """Everything a voice wants of one selection, behind position `start` up to `end`, was sent."""

    voice: Voice
    start: int
    end: int

    def covers(self, event: Event) -> bool:
        """Tell whether this event was sent."""
        return self.start < event.position <= self.end and self.voice.wants(event)


class Subscription:
    """One target in one voice; `sent` is the position up to which its client has everything.

    It may begin again at an earlier position: `before` is then what it had sent by then.
    """

    __slots__ = ("before", "follower", "idle", "sent", "start", "target", "told", "voice")

    def __init__(self, target: Target, voice: Voice, follower: PositionFollower) -> None:
        self.target = target
        self.voice = voice
        self.follower = follower
        self.start = self.sent = follower.cursor
        self.told = 0  # removals up to this position took nothing that its client does not know of
        self.idle = False  # it had everything when last read, and nothing has come since
        self.before: Sent | None = None

    def speak(self, voice: Voice) -> None:
        """Go on in another voice, which has sent nothing yet."""
        if voice.key != self.voice.key:
            self.voice, self.start, self.before = voice, self.sent, None

    def ranges(self) -> Iterator[Sent]:
        """Yield what this subscription has sent."""
        yield Sent(self.voice, self.start, self.sent)
        if self.before is not None:
            yield self.before

    def resume(self, after: int) -> None:
        """Begin again behind a position, without what was sent from there on."""
        self.before = _union([one for one in self.ranges() if max(one.start, after) < one.end])
        self.start = self.sent = after
        self.told = 0

    def advance(self) -> None:
        """Note that everything taken so far was sent."""
        self.sent = self.follower.cursor
        if self.before is not None and self.sent >= self.before.end:
            self.start, self.before = min(self.start, self.before.start), None


class Taken(NamedTuple):
    """What one read gave of a subscription, behind `after`, and what to say first of a gap."""

    subscription: Subscription
    batches: list[Batch]
    after: int
    gap: dict[str, Any] | None


class Subscriptions:
    """The subscriptions of one connection.

    `wake` is called when there is something to take, with whether it is urgent.
    """

    def __init__(self, logs: Logs, streams: Streams, wake: Callable[[bool], None]) -> None:
        self._logs = logs
        self._streams = streams
        self._wake = wake
        self._all: dict[Selection, Subscription] = {}
        self._due: dict[Subscription, None] = {}  # in the order in which they will be read
        self.more = False  # the last read did not give everything

    def __len__(self) -> int:
        """Count them."""
        return len(self._all)

    def get(self, target: Target) -> Subscription | None:
        """Return the subscription to a target, if there is one."""
        return self._all.get(target.selection)

    def add(self, target: Target, voice: Voice, after: int) -> Subscription:
        """Subscribe behind a position; `start` makes it be read. Raise TooMany."""
        if len(self._all) >= MAX_SUBSCRIPTIONS:
            problem = f"a connection may have {MAX_SUBSCRIPTIONS} subscriptions"
            raise TooMany("too_many_clients", problem)
        if target.counted is not None:
            self._streams.reserve(target.counted)
        follower = self._logs.follow_where(target.selection, after)
        added = self._all[target.selection] = Subscription(target, voice, follower)
        return added

    @property
    def lone(self) -> Subscription | None:
        """The only subscription, if nothing of it is due and nothing was sent ahead of it."""
        if len(self._all) != 1 or self._due:
            return None
        (only,) = self._all.values()
        return only if only.before is None else None

    def start(self, subscription: Subscription) -> None:
        """Have a subscription read now, and whenever its logs move."""
        subscription.follower.on_move = partial(self._moved, subscription)
        subscription.idle = False
        self._moved(subscription, urgent=True)

    def pause(self, subscription: Subscription) -> None:
        """Leave it to others to read a subscription and send what that gives."""
        subscription.follower.on_move = None

    def go_on(self, subscription: Subscription) -> None:
        """Have a subscription read whenever its logs move, behind what others sent of it."""
        follower = subscription.follower
        follower.on_move = partial(self._moved, subscription)
        subscription.advance()
        subscription.idle = not follower.behind
        if follower.behind:
            self._moved(subscription, urgent=False)

    def _moved(self, subscription: Subscription, urgent: bool) -> None:
        if subscription.idle:
            subscription.idle = False
            subscription.told = max(subscription.told, subscription.follower.floor)
        self._due[subscription] = None
        self._wake(urgent)

    def resume(self, subscription: Subscription, after: int) -> None:
        """Have a subscription begin again behind a position."""
        subscription.follower.close()
        subscription.follower = self._logs.follow_where(subscription.target.selection, after)
        subscription.resume(after)

    def remove(self, target: Target) -> None:
        """End a subscription, if there is one."""
        if (removed := self._all.pop(target.selection, None)) is not None:
            self._due.pop(removed, None)
            removed.follower.close()
            if target.counted is not None:
                self._streams.release(target.counted)

    def clear(self) -> None:
        """End all."""
        for subscription in list(self._all.values()):
            self.remove(subscription.target)

    def of(self, batch: Batch) -> list[Subscription]:
        """Return the subscriptions that a batch belongs to."""
        return [self._all[one] for one in _selections_of(batch) if one in self._all]

    async def take(self) -> list[Taken]:
        """Read what is due, about READ_BYTES in all; what does not fit is due again."""
        due, self._due = list(self._due), {}
        taken: list[Taken] = []
        rest: list[Subscription] = []
        size = 0
        for subscription in due:
            if size >= READ_BYTES:
                rest.append(subscription)
                continue
            one = await self._take(subscription)
            taken.append(one)
            size += sum(len(batch.body) for batch in one.batches)
            if subscription.follower.behind:
                rest.append(subscription)
        self._due = dict.fromkeys(rest) | self._due
        self.more = bool(rest)
        return taken

    async def _take(self, subscription: Subscription) -> Taken:
        follower = subscription.follower
        after = follower.cursor
        batches = await follower.take_ready()
        subscription.idle = not follower.behind
        floor = follower.floor
        if floor <= max(after, subscription.told):
            return Taken(subscription, batches, after, None)
        subscription.told = floor
        if not await _lost(self._logs.store, subscription.target.selection, batches):
            return Taken(subscription, batches, after, None)
        first = batches[0].first_position if batches else max(follower.cursor, floor) + 1
        gap = {"type": "gap", **subscription.target.shown, "after": after}
        gap |= {"first": max(first, after + 1), "reason": "retention"}
        return Taken(subscription, batches, after, gap)


async def _lost(store: Store, selection: Selection, batches: Sequence[Batch]) -> bool:
    """Tell whether what was removed somewhere may have been removed from before these batches."""
    log = run_log(selection.run_id) if selection.run_id is not None else selection.log
    if log is None:
        return True  # of several logs nobody can tell
    try:
        head = await store.head(log)
    except NotFound:
        return True
    return head.first > 1 and (not batches or batches[0].first_seq <= head.first)


def _union(ranges: Sequence[Sent]) -> Sent | None:
    """Join what was sent; of ranges that do not touch the newer, so that nothing gets lost."""
    if not ranges:
        return None
    newer, *older = ranges
    if older and newer.start <= older[0].end and older[0].start <= newer.end:
        start = min(newer.start, older[0].start)
        return newer._replace(start=start, end=max(newer.end, older[0].end))
    return newer


def _selections_of(batch: Batch) -> tuple[Selection, ...]:
    if batch.ref is None:
        return (Selection(log=batch.log),)
    return (ALL_RUNS, Selection(task_id=batch.ref.task_id), Selection(run_id=batch.ref.id))
