"""What it costs the server to send a long log again from its beginning, beside a file's bytes."""

from collections.abc import Iterator
from pathlib import Path

from bench.audience import Feed, audience, result
from bench.gate import command
from bench.measure import Plan, median, spread
from bench.ours import run_feed
from bench.peers import nchan
from bench.processes import BenchError, cpu_seconds, forget_peak, peak_bytes, resident_bytes
from bench.report import Beside, Row
from bench.server import Server, request_for, runcast_server

MIB = 2**20


def measure(plan: Plan) -> Iterator[Row]:
    """Alternate with nginx, which sends the same bytes as a file."""
    rates: list[float] = []
    peers: list[float] = []
    growth = 0.0
    with runcast_server(plan.folder) as server:
        run_id = server.submit(command(plan.replay_events))
        server.wait(run_id)
        copy = plan.folder / "history"
        _save(server, run_id, copy)
        for _ in range(plan.replay_rounds):
            before = resident_bytes(server.pid)
            forget_peak(server.pid)
            rates.append(_rate(plan, run_feed(server, [run_id])))
            growth = max(growth, (peak_bytes(server.pid) - before) / MIB)
            peers.extend(_file_rates(plan, copy))
        copy.unlink()
    label = f"replay of {plan.replay_events:,} events"
    beside = (Beside("nginx, a file", median(peers)),) if peers else ()
    unit = "events per server CPU-s"
    yield Row("history.rate", label, median(rates), unit, note=spread(rates), beside=beside)
    yield Row("history.memory", f"{label}: server's memory, more than before", growth, "MiB")


def _rate(plan: Plan, feed: Feed) -> float:
    # Sending begins with the request, before the client counts as connected.
    before = cpu_seconds(*feed.pids)
    with audience(plan.folder, feed, 1, plan.replay_events) as process:
        seen = result(process)
    if seen.least != plan.replay_events:
        raise BenchError(f"{seen.least} of {plan.replay_events} events came again")
    return plan.replay_events / (cpu_seconds(*feed.pids) - before)


def _file_rates(plan: Plan, copy: Path) -> Iterator[float]:
    if nchan.lacks():
        return
    with nchan.nginx(plan.folder) as (pid, port, served):
        (served / "history").hardlink_to(copy)
        where = ("127.0.0.1", port)
        request = request_for("/history", where).decode()
        yield _rate(plan, Feed((pid,), where, [[(request, "\r\n\r\n")]]))


def _save(server: Server, run_id: str, copy: Path) -> None:
    with copy.open("wb") as file:
        for _, data in server.stream(run_id):
            file.write(data)
