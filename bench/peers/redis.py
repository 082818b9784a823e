"""Redis, publish and subscribe: no HTTP and nothing kept; the floor of what fan-out costs."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.audience import Feed
from bench.peers.programs import find
from bench.peers.publish import CHANNEL
from bench.processes import free_port, module, started, wait_listening


def lacks() -> str:
    """Say what must be installed."""
    return "" if find("redis-server") else "redis-server"


@contextlib.contextmanager
def feed(folder: Path, command: Sequence[str]) -> Iterator[Feed]:
    """Publish what the command prints; the publisher's own cost is not counted."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="redis-", dir=folder) as place:
        options = {
            "port": str(port),
            "bind": "127.0.0.1",
            "dir": place,
            "save": "",
            "logfile": f"{place}/log",
            # A burst is faster than the clients: by default Redis would cut them.
            "client-output-buffer-limit": "pubsub 0 0 0",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        with started([str(find("redis-server")), *words]) as process:
            wait_listening(port)
            with started(module("peers.publish", "redis", str(port), *command)):
                subscribe = f"SUBSCRIBE {CHANNEL}\r\n"
                yield Feed((process.pid,), ("127.0.0.1", port), [[(subscribe, ":1\r\n")]])
