"""Messages: what the bus keeps of each, and which of them somebody wants."""

from typing import Any

import msgspec

from runcast.core.events import Event
from runcast.core.times import format_time

# What a message is about, in the order in which it is shown.
_SHOWN = ("type", "timestamp", "project_id", "task_id", "run_id", "parents", "links", "meta")


class MessageFilter(msgspec.Struct, frozen=True):
    """Which messages are wanted; None does not filter."""

    project_id: str | None = None
    task_id: str | None = None
    run_id: str | None = None

    def __call__(self, event: Event) -> bool:
        """Tell whether a message passes."""
        data = event.data
        return (
            self.project_id in (None, data["project_id"])
            and self.task_id in (None, data["task_id"])
            and self.run_id in (None, data["run_id"])
        )


def public_message(event: Event) -> dict[str, Any]:
    """Show a message as the API gives it; `content` and `body` are the same text."""
    data = event.data | {"timestamp": format_time(event.time)}
    head = {"msg_id": data["msg_id"], "seq": event.seq}
    head |= {"content": data["body"], "body": data["body"]}
    return head | {name: data[name] for name in _SHOWN}
