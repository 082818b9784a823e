"""Settings: every knob with its type, its range, its default and one line that explains it."""

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from runcast import config_section
from runcast.config_agents import AgentSettings, Name, ToolSettings
from runcast.config_section import Described, Section
from runcast.config_watch import WatchSettings
from runcast.core.errors import BadRequest
from runcast.core.times import parse_duration

# Timers take any positive time up to ten days; infinity would break them.
Interval = Annotated[float, Meta(gt=0, le=864_000_000)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Count = Annotated[int, Meta(ge=1)]
Amount = Annotated[int, Meta(ge=0)]


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
    retry_ms: Annotated[
        Annotated[int, Meta(ge=1, le=600_000)],
        Meta(
            description="How long a client waits before it comes back, and up to as long again at "
            "random."
        ),
    ] = 1000


class Ws(Section):
    """How WebSockets behave."""

    ping_interval_s: Annotated[
        Interval, Meta(description="Time between pings; a socket that misses two is closed.")
    ] = 20
    throttle_ms: Annotated[
        float,
        Meta(
            ge=0,
            le=5000,
            description="Time between two reads of a socket on `/ws`, at least.",
        ),
    ] = 100


class Api(Section):
    """Settings of the HTTP API."""

    sse: Sse = msgspec.field(default_factory=Sse)
    ws: Ws = msgspec.field(default_factory=Ws)


class Jobs(Section):
    """How the surface of jobs behaves."""

    wait_s: Annotated[
        Interval, Meta(description="How long a stream of an unknown job waits for it to appear.")
    ] = 600
    heartbeat_interval_s: Annotated[
        Interval, Meta(description="Time between the comments on a stream of a job.")
    ] = 30


class Processes(Section):
    """How the surface of processes behaves."""

    heartbeat_interval_s: Annotated[
        Interval, Meta(description="Time between `heartbeat` events on a stream of a process.")
    ] = 15


class External(Section):
    """Runs that clients execute and report."""

    idle_timeout: Annotated[
        str | float,
        Meta(description="A run of which nothing was heard for so long has failed: lost."),
    ] = "24h"

    def __post_init__(self) -> None:
        _check_duration("idle_timeout", self.idle_timeout)


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
            _check_duration("max_age", self.max_age)


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
    linger_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="Seconds an agent may live on after its last word; then it is ended.",
        ),
    ] = 30
    progress_interval_ms: Annotated[
        Interval, Meta(description="Time between the `progress` events of an agent's run.")
    ] = 5000


class Approvals(Section):
    """What agents ask people."""

    expire_s: Annotated[
        Interval, Meta(description="Seconds after which a question nobody answered is denied.")
    ] = 3600


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
    echo: Annotated[
        bool, Meta(description="Serve a WebSocket at /__echo that sends back what it gets.")
    ] = False


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
    approvals: Approvals = msgspec.field(default_factory=Approvals)
    agents: Annotated[dict[Name, AgentSettings], Meta(extra={"entry": "NAME"})] = {}
    tools: Annotated[dict[Name, ToolSettings], Meta(extra={"entry": "NAME"})] = {}
    watch: Annotated[dict[Name, WatchSettings], Meta(extra={"entry": "NAME"})] = {}
    jobs: Jobs = msgspec.field(default_factory=Jobs)
    processes: Processes = msgspec.field(default_factory=Processes)
    external: External = msgspec.field(default_factory=External)
    auth: Auth = msgspec.field(default_factory=Auth)
    testing: Testing = msgspec.field(default_factory=Testing)


def _check_duration(name: str, value: str | float) -> None:
    try:
        parse_duration(value, name)
    except BadRequest as error:
        raise ValueError(error.message) from None


def describe() -> Iterator[Described]:
    """Yield every setting in the order of declaration; the same on every machine."""
    return config_section.describe(Settings)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback
