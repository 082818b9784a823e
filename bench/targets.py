"""What is wanted of the numbers: of a number itself, or of its ratio to a peer's (`name/peer`)."""

from typing import NamedTuple


class Target(NamedTuple):
    """The value that must be reached, from above or from below."""

    value: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        """Tell whether the value is good enough."""
        return value <= self.value if self.at_most else value >= self.value


def _at_most(value: float) -> Target:
    return Target(value, at_most=True)


TARGETS: dict[str, Target] = {
    "fanout.200.200/nchan": Target(1.2),
    "fanout.200.200/better-sse": Target(3),
    "fanout.200.200/sse-starlette": Target(4),
    "fanout.2000.200/nchan": Target(3.5),
    "fanout.2000.200/better-sse": Target(10),
    "fanout.2000.200/sse-starlette": Target(25),
    "fanout.2000.200.p99": _at_most(20),
    "fanout.burst.200/nchan": Target(8),
    "sockets.batch/ws": Target(4),
    "sockets.batch100/ws-per-read": Target(4),
    "own.500/better-sse": Target(1),
    "ingest.rate": Target(150_000),
    "ingest.child/cat": _at_most(1.15),
    "ingest.growth": _at_most(20),
    "latency.100.p50": _at_most(3),
    "latency.100.p99": _at_most(12),
    "latency.200x50.p50": _at_most(3),
    "latency.200x50.p99": _at_most(12),
    "history.rate": Target(500_000),
    "history.memory": _at_most(30),
    "idle.connection": _at_most(12),
    "stored.list.p99": _at_most(5),
    "stored.get.p99": _at_most(5),
    "stored.open": _at_most(1.5),
    "stored.ready": _at_most(3),
    "submit.p99": _at_most(15),
    "growth.fanout": _at_most(1.05),
    "growth.ingest": _at_most(1.05),
    "growth.list": _at_most(1.05),
    "growth.rate": _at_most(0),
    "spawn.p50": _at_most(150),
    "spawn.memory": _at_most(8),
    "tailing.idle": _at_most(5),
    "tailing.new.p99": _at_most(50),
}
