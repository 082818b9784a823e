"""Settings: every knob with its type, its range, its default and one line that explains it."""

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from runcast.core.errors import BadRequest
from runcast.core.times import parse_duration

# Timers take any positive time up to ten days; infinity would break them.
Interval = Annotated[float, Meta(gt=0, le=864_000_000)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Count = Annotated[int, Meta(ge=1)]
Amount = Annotated[int, Meta(ge=0)]


class Section(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A group of settings; an unknown name in it is an error, not a silent no-op."""


class Streaming(Section):
    """Where the server listens."""

    host: Annotated[
        str, Meta(description="Address to listen on; loopback only: 127.0.0.0/8, ::1 or localhost.")
    ] = "127.0.0.1"
    port: Annotated[
        Port, Meta(description="Port to listen on; 0 takes any free one and prints it.")
    ] = 7890

    def __post_init__(self) -> None:
        if not _is_loopback(self.host):
            raise ValueError(
                f"host {self.host!r}: only loopback addresses until authentication exists"
            )


class StoreSettings(Section):
    """Where events are kept."""

    url: Annotated[
        str | None,
        Meta(
            description="Where the log is kept, such as sqlite:/path/runcast.db.",
            extra={"default": "SQLite in the data folder"},
        ),
    ] = None
    durability: Annotated[
        Literal["safe", "fast"],
        Meta(description="safe survives a power cut; fast survives only a crash of runcast."),
    ] = "safe"


class Sse(Section):
    """How streams behave."""

    poll_interval_ms: Annotated[
        Interval,
        Meta(description="How often a run is looked at where the system gives no change hints."),
    ] = 100
    discovery_interval_ms: Annotated[
        Interval,
        Meta(description="How often a run is looked at beside the hints, which can get lost."),
    ] = 1000
    max_clients_per_run: Annotated[
        Count, Meta(description="Streams that one run may have at a time; one more gets 429.")
    ] = 1000
    heartbeat_interval_s: Annotated[
        Interval, Meta(description="Time between `heartbeat` events on a stream.")
    ] = 30
    comment_interval_s: Annotated[
        Interval, Meta(description="Time between the comments that keep proxies from hanging up.")
    ] = 15


class Api(Section):
    """Settings of the HTTP API."""

    sse: Sse = msgspec.field(default_factory=Sse)


class Queue(Section):
    """How many runs run at once."""

    max_concurrent_runs: Annotated[
        Count,
        Meta(
            description="Runs that run at a time; the others wait in order.",
            extra={"default": "twice the number of cores"},
        ),
    ] = msgspec.field(default_factory=lambda: 2 * (os.cpu_count() or 1))


class Retention(Section):
    """When ended runs are removed; None keeps them."""

    max_age: Annotated[
        str | float | None,
        Meta(description="Remove runs that ended longer ago than this, such as 12h or 7d."),
    ] = None
    max_count: Annotated[
        Amount | None, Meta(description="Keep this many ended runs, the newest.")
    ] = None
    max_bytes: Annotated[
        Amount | None, Meta(description="Keep this many bytes of ended runs, the newest.")
    ] = None

    def __post_init__(self) -> None:
        if self.max_age is not None:
            try:
                parse_duration(self.max_age, "max_age")
            except BadRequest as error:
                raise ValueError(error.message) from None


class RunSettings(Section):
    """Defaults of runs."""

    grace_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="Seconds between asking a cancelled run to end and killing it.",
        ),
    ] = 5


class Auth(Section):
    """Who is let in: names and origins beside the loopback's own."""

    allowed_hosts: Annotated[
        list[str], Meta(description="Host names the server answers to, beside the loopback's.")
    ] = []
    allowed_origins: Annotated[
        list[str],
        Meta(description="Origins that a page behind a reverse proxy of this server may have."),
    ] = []
    enabled: Annotated[
        bool, Meta(description="Reserved: requests are not authenticated yet, whatever it says.")
    ] = True


class Testing(Section):
    """Switches for runcast's own fault tests; off everywhere else."""

    append_interval_ms: Annotated[
        Interval | None,
        Meta(description="Append an event of no run's making to every running log, this often."),
    ] = None


def _default_data_dir() -> str:
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(state) / "runcast")


class Settings(Section):
    """Everything that can be set."""

    data_dir: Annotated[
        str,
        Meta(
            description="Folder of the runs and the database, readable by its owner alone.",
            extra={"default": "~/.local/state/runcast"},
        ),
    ] = msgspec.field(default_factory=_default_data_dir)
    streaming: Streaming = msgspec.field(default_factory=Streaming)
    store: StoreSettings = msgspec.field(default_factory=StoreSettings)
    api: Api = msgspec.field(default_factory=Api)
    queue: Queue = msgspec.field(default_factory=Queue)
    retention: Retention = msgspec.field(default_factory=Retention)
    runs: RunSettings = msgspec.field(default_factory=RunSettings)
    auth: Auth = msgspec.field(default_factory=Auth)
    testing: Testing = msgspec.field(default_factory=Testing)


class Described(NamedTuple):
    """One setting as the reference page shows it; `name` is dotted, the rest is for people."""

    name: str
    type: str
    default: str
    doc: str


def describe(section: type[Section] = Settings, prefix: str = "") -> Iterator[Described]:
    """Yield every setting in the order of declaration; the same on every machine."""
    hints = get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        hint = hints[field.name]
        name = prefix + field.name
        if isinstance(hint, type) and issubclass(hint, Section):
            yield from describe(hint, f"{name}.")
            continue
        notes = [note for note in hint.__metadata__ if isinstance(note, Meta)]
        doc = next(note.description for note in notes if note.description)
        shown = next((note.extra["default"] for note in notes if note.extra), None)
        yield Described(name, _type_text(hint), shown or _default_text(field), doc)


def _type_text(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type_text(arguments[0])
    if origin is list:
        return f"list of {_type_text(arguments[0])}"
    if origin is Literal:
        return " | ".join(arguments)
    if arguments:
        return " | ".join(_type_text(part) for part in arguments)
    return "null" if hint is type(None) else str(hint.__name__)


def _default_text(field: msgspec.structs.FieldInfo) -> str:
    default = [] if field.default is msgspec.NODEFAULT else field.default
    return "null" if default is None else msgspec.json.encode(default).decode()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback
