"""The logs of the memory engine: their batches, and the positions over all of them."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from runcast.core.events import Batch
from runcast.core.runs import RunRef
from runcast.stores import LogHead, Positions, Selection, rules
from runcast.stores.rules import Packed


class Log:
    """One log, of a run unless it has no `ref`; `newest` has the newest time of each batch."""

    def __init__(self, ref: RunRef | None = None) -> None:
        self.ref = ref
        self.batches: list[Batch] = []
        self.newest: list[int] = []
        self.last = 0
        self.sealed = False

    def head(self) -> LogHead:
        """Return where the log stands."""
        first = self.batches[0].first_seq if self.batches else self.last + 1
        return LogHead(first, self.last, self.sealed, sum(len(b.body) for b in self.batches))


class Logs:
    """Every log by its name, numbered together."""

    def __init__(self) -> None:
        self._logs = {name: Log() for name in rules.SHARED_LOGS}
        self._position = self._floor = 0
        self._by_position: list[Batch] = []  # of run logs only
        self._news: list[Batch] = []

    def create(self, name: str, ref: RunRef) -> Log:
        """Add the empty log of a run."""
        self._logs[name] = log = Log(ref)
        return log

    def find(self, name: str) -> Log:
        """Return a log; NotFound if there is none."""
        if name not in self._logs:
            raise rules.no_log(name)
        return self._logs[name]

    def add(self, name: str, packed: Packed) -> None:
        """Number the entries and append them to a log as one batch; none at all are skipped."""
        if not packed.count:
            return
        log = self._logs[name]
        numbers = log.last + 1, self._position + 1, packed.count
        batch = Batch(name, *numbers, packed.body, log.ref)
        log.batches.append(batch)
        log.newest.append(packed.newest)
        log.last = batch.last_seq
        self._position = batch.last_position
        self._news.append(Batch(name, *numbers, packed.body, log.ref, urgent=packed.urgent))
        if log.ref is not None:
            self._by_position.append(batch)

    def take_news(self) -> list[Batch]:
        """Return the batches that were added since this was last asked."""
        news, self._news = self._news, []
        return news

    def read(self, name: str, after: int, limit_bytes: int) -> list[Batch]:
        """Return batches of a log from the one that holds seq `after` + 1 on."""
        batches = self._logs[name].batches if name in self._logs else []
        start = bisect_right(batches, after, key=lambda batch: batch.last_seq)
        return _first_bytes(batches[start:], limit_bytes)

    def read_all(self, after: int, limit_bytes: int, where: Selection) -> list[Batch]:
        """Return the selected batches from the one that holds position `after` + 1 on."""
        batches = self._by_position if where.log is None else self._logs[where.log].batches
        start = bisect_right(batches, after, key=lambda batch: batch.last_position)
        return _first_bytes(filter(where.takes, batches[start:]), limit_bytes)

    def read_back(
        self, before: int, limit_bytes: int, where: Selection, after: int, since: int | None
    ) -> list[Batch]:
        """Return the selected batches that begin between two positions, newest first."""
        batches = self._by_position
        start = bisect_right(batches, after, key=_begin)
        stop = bisect_left(batches, before, key=_begin)
        found = filter(where.takes, reversed(batches[start:stop]))
        return _first_bytes((b for b in found if since is None or _newest(b) >= since), limit_bytes)

    def positions(self) -> Positions:
        """Return the newest position and the floor."""
        return Positions(self._position, self._floor)

    def trim(self, name: str, before: int) -> int:
        """Drop batches older than `before` from the head of a log; return how many events."""
        kept = self._logs[name]
        dropped = 0
        while len(kept.batches) > 1 and kept.newest[0] < before:
            batch = kept.batches.pop(0)
            kept.newest.pop(0)
            dropped += batch.count
            self._floor = max(self._floor, batch.last_position)
        return dropped

    def remove(self, name: str) -> None:
        """Remove the log of a run."""
        log = self._logs.pop(name)
        self._floor = max(self._floor, log.batches[-1].last_position)
        self._by_position = [batch for batch in self._by_position if batch.log != name]


def _begin(batch: Batch) -> int:
    return batch.first_position


def _newest(batch: Batch) -> int:
    return max(entry.time for entry in batch.entries())


def _first_bytes(batches: Iterable[Batch], limit: int) -> list[Batch]:
    taken: list[Batch] = []
    size = 0
    for batch in batches:
        taken.append(batch)
        size += len(batch.body)
        if size >= limit:
            break
    return taken
