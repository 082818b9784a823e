"""How cost grows with size: an exponent of 1 is in proportion, more is worse."""

from collections.abc import Iterator, Sequence

from bench import ingest, ours, stored
from bench.fanout import Load, one, strict
from bench.gate import command
from bench.host import undisturbed
from bench.measure import Plan, exponent, median
from bench.report import Row
from bench.server import runcast_server

TIMES = (1, 4, 16)
CLIENTS, RATE = 50, 200
SECONDS = 3
LIST_REQUESTS = 200

Points = Sequence[tuple[float, float]]


def measure(plan: Plan) -> Iterator[Row]:
    """Measure each at 1, 4 and 16 times its size."""
    clients = [(times, _fanout(plan, CLIENTS * times, RATE, 1.0)) for times in TIMES]
    yield _row("fanout", f"fan-out at {RATE} events/s, {CLIENTS} clients", clients, "CPU")
    rates = [(times, _fanout(plan, 200, RATE * times, times)) for times in TIMES]
    yield _row("rate", f"fan-out to 200, {RATE} events/s", rates, "CPU of one delivery")
    lines = [(times, _ingest(plan, plan.ingest_lines * times // 16)) for times in TIMES]
    yield _row("ingest", f"ingest of {plan.ingest_lines // 16:,} lines", lines, "CPU")
    runs = [(times, _list(plan, plan.stored_runs * times // 16)) for times in TIMES]
    yield _row("list", f"list among {plan.stored_runs // 16:,} runs", runs, "time, median")


def _row(name: str, label: str, points: Points, cost: str) -> Row:
    relative = ", ".join(f"{value / points[0][1]:.2f} at {size}x" for size, value in points)
    label = f"growth of {label}, 1x, 4x, 16x"
    return Row(f"growth.{name}", label, exponent(points), "exponent", note=f"{cost}: {relative}")


def _fanout(plan: Plan, clients: int, rate: float, deliveries: float) -> float:
    """Return the server's CPU time, divided by so many deliveries."""
    lines = int(rate * SECONDS)
    load = Load("growth", rate, clients)
    seen = undisturbed(strict(lambda: one(plan, ours.sse_feed, load, lines)))
    return seen.cpu_s / deliveries


def _ingest(plan: Plan, lines: int) -> float:
    def cost() -> float:
        child = command(lines, bytes=ingest.LINE_BYTES)
        with runcast_server(plan.folder) as server:
            return ingest.runcast(plan, server, [child]).server_s

    return median(undisturbed(cost) for _ in range(plan.ingest_rounds))


def _list(plan: Plan, runs: int) -> float:
    ids: list[str] = []
    with runcast_server(
        plan.folder, prepare=lambda data_dir: ids.extend(stored.fill(data_dir, runs))
    ) as server:
        return median(stored.times_ms(server, "/api/v1/runs", ids, LIST_REQUESTS))
