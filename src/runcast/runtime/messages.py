"""The message bus: what people and programs tell one another, beside the logs of runs."""

from typing import Any

import msgspec

from runcast.core.errors import BadRequest, Gone, TooLarge
from runcast.core.events import MESSAGES, Event
from runcast.core.ids import check_id, uuid7
from runcast.core.limits import MESSAGE_BYTES, READ_BYTES
from runcast.core.messages import MessageFilter
from runcast.core.once import Once, mapped
from runcast.runtime.clock import now
from runcast.runtime.workspaces import Workspaces
from runcast.stores import LogHead, Store

SCAN_BYTES = 16 * 1024 * 1024  # read for one page: a filter that matches nothing must end, too


class MessageSpec(msgspec.Struct, kw_only=True):
    """A message to be posted; what it is about are ids, none of which has to exist."""

    body: str
    type: str = "USER"
    project_id: str | None = None
    task_id: str | None = None
    run_id: str | None = None
    parents: list[str] = []
    links: list[dict[str, Any]] = []
    meta: dict[str, Any] = {}


class MessagePage(msgspec.Struct, frozen=True):
    """Some messages, and the cursor behind all that was looked at."""

    messages: list[Event]
    next_after: int


class Messages:
    """The log of messages, which is one for all workspaces."""

    def __init__(self, store: Store, workspaces: Workspaces) -> None:
        self._store = store
        self._workspaces = workspaces

    async def post(self, spec: MessageSpec, once: Once | None = None) -> tuple[str, int]:
        """Add a message, durably; return its id and time (µs).

        Raises BadRequest naming the field, or TooLarge.
        """
        if not spec.body:
            raise BadRequest.of("body", "must not be empty")
        if (size := len(spec.body.encode())) > MESSAGE_BYTES:
            raise TooLarge("body_too_large", f"a body has at most 64 KiB, not {size} bytes")
        if spec.project_id is not None:
            await self._workspaces.folder(spec.project_id, "project_id")
        posted = uuid7(), now()
        data = {"msg_id": posted[0]} | msgspec.structs.asdict(spec)
        for name in ("task_id", "run_id"):
            if data[name] is not None:
                data[name] = check_id(data[name], name)
        once = mapped(once, lambda _span: posted)
        await self._store.add_message(data, posted[1], spec.parents, once=once)
        return posted

    async def head(self) -> LogHead:
        """Return where the log stands."""
        return await self._store.head(MESSAGES)

    async def page(self, after: int | None, limit: int, where: MessageFilter) -> MessagePage:
        """Return the next messages that pass, oldest first; those after None are all.

        Raises Gone: `cursor_ahead` or `gap`.
        """
        head = await self.head()
        after = head.first - 1 if after is None else check_cursor(head, after, strict=True)
        found: list[Event] = []
        size = 0
        while size < SCAN_BYTES:
            batches = await self._store.read(MESSAGES, after, READ_BYTES)
            for event in [event for batch in batches for event in batch.events(after)]:
                after = event.seq
                if where(event):
                    found.append(event)
                    if len(found) == limit:
                        return MessagePage(found, after)
            size += sum(len(batch.body) for batch in batches)
            if not batches:
                break
        return MessagePage(found, after)


def check_cursor(head: LogHead, after: int, *, strict: bool) -> int:
    """Return a cursor; raise Gone `cursor_ahead`, and if `strict` `gap` for what is removed."""
    if after > head.last:
        raise Gone("cursor_ahead", f"the newest message is {head.last}", {"last": head.last})
    if strict and after < head.first - 1:
        gap = {"after": after, "first": head.first, "reason": "retention"}
        raise Gone("gap", f"messages after {after} have been removed", gap)
    return after
