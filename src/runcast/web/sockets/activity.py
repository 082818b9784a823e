"""The WebSocket on `/ws`: the activity of work orders and runs, and changes of runs."""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import asdict, replace

from runcast.core.errors import BadRequest
from runcast.core.events import EVENT_TYPES, LIFECYCLE
from runcast.core.ids import check_id, folded
from runcast.core.times import format_time
from runcast.runtime.clock import now
from runcast.stores import Selection
from runcast.web.sockets.connection import Connection
from runcast.web.sockets.envelopes import read_after
from runcast.web.sockets.page import Packing, Separate, Together
from runcast.web.sockets.subscriptions import Target
from runcast.web.sockets.voices import ACTIVITY, FORMATS, LifecycleVoice, Voice, new_voice
from runcast.wires import Keep
from runcast.wires.activity import Include

MAX_THROTTLE_MS = 5_000

_PACKINGS: dict[bool, type[Packing]] = {False: Separate, True: Together}
_LIFECYCLE = Target("lifecycle", True, Selection(log=LIFECYCLE))


class Preferences(msgspec.Struct, frozen=True):
    """What one subscription wants, and how."""

    include: Include = Include()
    types: frozenset[str] = frozenset()
    format: str = ACTIVITY

    def voice(self) -> Voice:
        """Make the voice that writes it."""
        return new_voice(self.format, self.include, Keep(self.types))


class ActivitySurface:
    """Tells what agents do and how runs change; hears `subscribe`, `unsubscribe` and `ping`.

    Every client is told of changes of runs, of one workspace or all, unless it says otherwise. It
    counts as a follower of these runs: log files that others write are read while it is there.
    """

    def __init__(self, connection: Connection, query: Mapping[str, str]) -> None:
        self._connection = connection
        self._wants_lifecycle = query.get("lifecycle") != "false"
        workspace_id = query.get("workspace") or None
        self._lifecycle = LifecycleVoice(workspace_id)
        self.watches = Selection(workspace_id=workspace_id) if self._wants_lifecycle else None
        self._preferences: dict[Target, Preferences] = {}
        connection.throttle.interval_s = connection.runtime.settings.api.ws.throttle_ms / 1000

    async def open(self) -> None:
        """Begin to tell of changes of runs."""
        if self._wants_lifecycle:
            await self._connection.subscribe(_LIFECYCLE, self._lifecycle, None, None)

    async def hear(self, message: dict[str, Any]) -> None:
        """Do what the message's type says."""
        # Null is as good as nothing, as for everybody who writes an object without looking.
        message = {name: value for name, value in message.items() if value is not None}
        match message.get("type"):
            case "subscribe":
                await self._subscribe(message)
            case "unsubscribe":
                await self._unsubscribe(message)
            case "ping":
                await self._connection.say({"type": "pong"})
            case _:
                raise BadRequest("bad_request", _problem(message))

    async def _subscribe(self, message: dict[str, Any]) -> None:
        target = _target(message)
        after = read_after(message.get("after"))
        wish = _read_wish(message)
        preferences = wish.over(self._preferences.get(target, Preferences()))
        voice = self._lifecycle if target is _LIFECYCLE else preferences.voice()
        confirmation = _confirmation("subscription_confirmed", target)
        await self._connection.subscribe(target, voice, after, confirmation)
        self._preferences[target] = preferences
        if wish.batch is not None:
            self._connection.packing = _PACKINGS[wish.batch]()
        if wish.throttle_ms is not None:
            self._connection.throttle.interval_s = wish.throttle_ms / 1000

    async def _unsubscribe(self, message: dict[str, Any]) -> None:
        target = _target(message)
        self._connection.unsubscribe(target)
        self._preferences.pop(target, None)
        await self._connection.say(_confirmation("unsubscription_confirmed", target))


class _Wish(msgspec.Struct, frozen=True, rename="camel"):
    """The preferences a message names; the others stay as they are."""

    types: list[str] | None = None
    format: str | None = None
    batch: bool | None = None
    throttle_ms: Annotated[float, Meta(ge=0, le=MAX_THROTTLE_MS)] | None = None
    include_tool_calls: bool | None = None
    include_tool_results: bool | None = None
    include_output: bool | None = None
    include_file_changes: bool | None = None
    include_progress: bool | None = None
    include_deltas: bool | None = None

    def over(self, preferences: Preferences) -> Preferences:
        """Return the preferences with these over them; raise BadRequest."""
        named = {name: getattr(self, f"include_{name}") for name in asdict(preferences.include)}
        include = {name: wanted for name, wanted in named.items() if wanted is not None}
        fields: dict[str, Any] = {"include": replace(preferences.include, **include)}
        if self.types is not None:
            fields["types"] = frozenset(_known("types", one, EVENT_TYPES) for one in self.types)
        if self.format is not None:
            fields["format"] = _known("format", self.format, FORMATS)
        return replace(preferences, **fields)


def _target(message: dict[str, Any]) -> Target:
    named = [name for name in _TARGETS if name in message]
    if named == ["workOrderId", "runId"]:
        run, order = (_TARGETS[name](message[name]) for name in ("runId", "workOrderId"))
        return run._replace(within=str(order.value))  # a run has one work order: no more to say
    if len(named) != 1:
        raise BadRequest("bad_request", f"name one of {', '.join(_TARGETS)}")
    return _TARGETS[named[0]](message[named[0]])


def _of_id(name: str, value: object, field: str, known: Callable[[str], str] = str) -> Target:
    if not isinstance(value, str):
        raise BadRequest.of(name, "must be a text")
    wanted = known(check_id(value, name))
    return Target(name, value, Selection(**{field: wanted}), wanted)


def _of_lifecycle(value: object) -> Target:
    if value is not True:
        raise BadRequest.of("lifecycle", "must be true")
    return _LIFECYCLE


# By the field that names it: what can be subscribed to. A message has one of them, or a run with
# its work order.
_TARGETS: dict[str, Callable[[Any], Target]] = {
    "workOrderId": lambda value: _of_id("workOrderId", value, "task_id", folded),
    "runId": lambda value: _of_id("runId", value, "run_id"),
    "lifecycle": _of_lifecycle,
}


def _read_wish(message: dict[str, Any]) -> _Wish:
    try:
        return msgspec.convert(message, _Wish)
    except msgspec.ValidationError as error:
        raise BadRequest("bad_request", f"{error}") from None


def _known(field: str, name: str, known: Collection[str]) -> str:
    if name not in known:
        raise BadRequest.of(field, f"{name!r} is none of {', '.join(known)}")
    return name


def _confirmation(kind: str, target: Target) -> dict[str, Any]:
    return {"type": kind, **target.shown, "timestamp": format_time(now())}


def _problem(message: dict[str, Any]) -> str:
    if "subscribe" in message or "unsubscribe" in message:
        return 'here a message has a type, such as "subscribe"; {"subscribe": taskId} is for /'
    return "type: must be subscribe, unsubscribe or ping"
