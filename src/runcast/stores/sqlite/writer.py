"""The one thread that writes: it commits whatever has been asked for meanwhile as one group."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, TypeVar

import apsw

from runcast.core.errors import TooLarge, Unavailable
from runcast.core.events import Batch
from runcast.stores import Listener
from runcast.stores.listeners import tell
from runcast.stores.sqlite import removal
from runcast.stores.sqlite.ledger import Ledger

logger = logging.getLogger(__name__)

RETRY_S = 1.0  # before removing is tried again when storage refused it
T = TypeVar("T")
Operation = Callable[[Ledger], T]


class Order(NamedTuple):
    """An operation, and who waits for it."""

    operation: Operation[Any]
    future: "asyncio.Future[Any] | None"


class Writer:
    """Takes operations on the loop and performs them in the order in which they came.

    Nothing lingers: operations that are ready to go in one turn of the loop form a group, and so
    do those that come while a commit is under way.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._ledger = Ledger(connection)
        self._gathered: list[Order] = []  # in this turn of the loop
        self._orders: SimpleQueue[Sequence[Order]] = SimpleQueue()  # none at all: the end
        self._loop = asyncio.get_running_loop()
        self._pause = 0.0
        self._thread = Thread(target=self._work, name="runcast-writer", daemon=True)
        self._thread.start()
        self.listeners: list[Listener] = []

    def submit(self, operation: Operation[T]) -> "asyncio.Future[T]":
        """Have the operation performed; the future is resolved once it is durable."""
        future: asyncio.Future[T] = self._loop.create_future()
        if not self._gathered:
            # One hand-over wakes the thread once, and not while it would only wait for the GIL.
            self._loop.call_soon(self._hand_over)
        self._gathered.append(Order(operation, future))
        return future

    async def close(self) -> None:
        """Perform what was submitted, then end the thread."""
        self._hand_over()
        self._orders.put(())
        await asyncio.to_thread(self._thread.join)
        self._connection.close()

    def _hand_over(self) -> None:
        if self._gathered:
            self._orders.put(self._gathered)
            self._gathered = []

    def _work(self) -> None:
        open_ = True
        while open_:
            gathered = self._wait()
            open_ = () not in gathered
            if group := [order for orders in gathered for order in orders]:
                self._perform(group)

    def _wait(self) -> list[Sequence[Order]]:
        """Return all orders there are; where none are but something is to be removed, that."""
        removing = self._ledger.removing
        try:
            gathered = [self._orders.get(timeout=self._pause if removing else None)]
        except Empty:
            return [[Order(removal.remove_some, None)]]
        while not self._orders.empty():
            gathered.append(self._orders.get())
        return gathered

    def _perform(self, group: Sequence[Order]) -> None:
        batches: list[Batch] = []
        try:
            self._ledger.begin()
            outcomes = [self._try(order.operation) for order in group]
            batches = self._ledger.commit()
            self._pause = 0.0
        except Exception as error:
            defect = not isinstance(error, apsw.Error)
            logger.warning("store: a commit was refused: %s", error, exc_info=defect)
            self._ledger.rollback()
            self._pause = RETRY_S
            outcomes = [refused(error) for _ in group]
        waiting = [order.future for order in group]
        self._loop.call_soon_threadsafe(self._deliver, batches, waiting, outcomes)

    def _try(self, operation: Operation[Any]) -> Any:
        self._ledger.start()
        try:
            outcome = operation(self._ledger)
        except apsw.TooBigError:
            self._ledger.undo()  # the fault of this operation, so the group goes on
            return TooLarge("body_too_large", "SQLite keeps no value of a gigabyte; send less")
        except apsw.Error:
            raise
        except Exception as error:  # noqa: BLE001 - whoever asked gets it, the group goes on
            self._ledger.undo()
            return error
        self._ledger.keep()
        return outcome

    def _deliver(
        self,
        batches: Sequence[Batch],
        waiting: Sequence["asyncio.Future[Any] | None"],
        outcomes: Sequence[Any],
    ) -> None:
        tell(self.listeners, batches)
        for future, outcome in zip(waiting, outcomes, strict=True):
            if future is None or future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


def refused(error: Exception) -> Unavailable:
    """Make the error for a write or read that the disk or database refused."""
    return Unavailable("storage", f"the store is not available: {error}")
