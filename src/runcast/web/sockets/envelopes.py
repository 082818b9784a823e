"""The WebSocket on `/`: envelopes of the tasks that its client names."""

from collections.abc import Mapping
from typing import Any

from runcast.core.cursor import parse_cursor
from runcast.core.errors import BadRequest
from runcast.core.ids import check_id, folded
from runcast.stores import ALL_RUNS, Selection
from runcast.web.sockets.connection import Connection
from runcast.web.sockets.subscriptions import Target
from runcast.web.sockets.voices import EnvelopeVoice

EVERY_TASK = "*"  # for debugging dashboards only: such a client gets what all agents say

_VOICE = EnvelopeVoice()


class EnvelopesSurface:
    """Tells envelopes; hears `{"subscribe": taskId}`, `{"unsubscribe": taskId}`; answers errors."""

    watches: Selection | None = None

    def __init__(self, connection: Connection, _query: Mapping[str, str]) -> None:
        self._connection = connection

    async def open(self) -> None:
        """Nothing is sent that was not asked for."""

    async def hear(self, message: dict[str, Any]) -> None:
        """Subscribe, perhaps `after` a position, or unsubscribe."""
        match message:
            case {"subscribe": str(task_id)}:
                after = read_after(message.get("after"))
                await self._connection.subscribe(_target(task_id), _VOICE, after, None)
            case {"unsubscribe": str(task_id)}:
                self._connection.unsubscribe(_target(task_id))
            case _:
                problem = 'say {"subscribe": taskId} or {"unsubscribe": taskId}'
                raise BadRequest("bad_request", f"{problem}; the activity of agents is at /ws")


def read_after(value: object) -> int | None:
    """Read where to begin: a position, as a number or its text; None for `now`."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        value = repr(value)  # which is no cursor
    return parse_cursor(str(value))


def _target(task_id: str) -> Target:
    if task_id == EVERY_TASK:
        return Target("taskId", EVERY_TASK, ALL_RUNS)
    known = folded(check_id(task_id, "taskId"))
    return Target("taskId", task_id, Selection(task_id=known), known)
