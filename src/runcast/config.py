"""Settings: every knob with its default, read from a file, the environment and flags."""

import os
from pathlib import Path
from typing import Literal

import msgspec


class Section(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A group of settings; an unknown name in it is an error, not a silent no-op."""


class Streaming(Section):
    """Where the server listens."""

    host: str = "127.0.0.1"
    port: int = 7890  # 0: any free port, printed at start


class StoreSettings(Section):
    """Where events are kept."""

    url: str | None = None  # None: SQLite in the data folder
    durability: Literal["safe", "fast"] = "safe"  # fast gives up the power cut, never the crash


class Sse(Section):
    """How streams behave."""

    poll_interval_ms: float = 100
    discovery_interval_ms: float = 1000
    max_clients_per_run: int = 1000
    heartbeat_interval_s: float = 30
    comment_interval_s: float = 15


class Api(Section):
    """Settings of the HTTP API."""

    sse: Sse = msgspec.field(default_factory=Sse)


class Queue(Section):
    """How many runs run at once."""

    max_concurrent_runs: int = msgspec.field(default_factory=lambda: 2 * (os.cpu_count() or 1))


class Retention(Section):
    """When ended runs are removed; None keeps them."""

    max_age: str | None = None
    max_count: int | None = None
    max_bytes: int | None = None


class RunSettings(Section):
    """Defaults of runs."""

    grace_s: float = 5


class Auth(Section):
    """Who is let in: names and origins beside the loopback's own."""

    allowed_hosts: list[str] = []
    allowed_origins: list[str] = []
    enabled: bool = True


class Testing(Section):
    """Switches for runcast's own fault tests; off everywhere else."""

    append_interval_ms: float | None = None  # a foreign event into every running log, this often


def _default_data_dir() -> str:
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(state) / "runcast")


class Settings(Section):
    """Everything that can be set."""

    data_dir: str = msgspec.field(default_factory=_default_data_dir)
    streaming: Streaming = msgspec.field(default_factory=Streaming)
    store: StoreSettings = msgspec.field(default_factory=StoreSettings)
    api: Api = msgspec.field(default_factory=Api)
    queue: Queue = msgspec.field(default_factory=Queue)
    retention: Retention = msgspec.field(default_factory=Retention)
    runs: RunSettings = msgspec.field(default_factory=RunSettings)
    auth: Auth = msgspec.field(default_factory=Auth)
    testing: Testing = msgspec.field(default_factory=Testing)
