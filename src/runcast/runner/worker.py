"""The worker: starts the command, copies its output, takes orders, records the end."""

from __future__ import annotations

import os
import select
import sys
import time

from runcast.runner import linux
from runcast.runner.child import SpawnError, environment, start
from runcast.runner.ending import Ending
from runcast.runner.feeder import Feeder
from runcast.runner.orders import Orders
from runcast.runner.outcome import mark_started, outcome, process_list, record_exit
from runcast.runner.output import Output
from runcast.runner.signals import Arrivals
from runcast.spool.light import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from runcast.runner.child import Child
    from runcast.spool.folder import RunFolder

ALREADY_STARTED = 3  # the exit status of a runner that found the run started

_NEVER = float("inf")
_GIVE_UP_SECONDS = 2.0  # how long a cancelled run waits for room on a full disk
_LONGEST_WAIT_MS = 60_000


def work(folder: RunFolder, guard: Mapping[str, int]) -> int:
    """Run the command of `folder`, once and never again, and record how it ended."""
    linux.become_subreaper()
    started_at = None
    try:
        spec = folder.spec()
        worker = Worker(folder, spec)
        env = environment(os.environb, spec, folder.env())
        started_at = mark_started(folder, guard)
        child = start(spec, env)
    except FileExistsError:
        return ALREADY_STARTED
    except (SpawnError, OSError, ValueError, KeyError) as error:
        failed = outcome("spawn", started_at, None)
        failed["error"] = str(error) or repr(error)
        record_exit(folder, failed)
        return 0
    finally:
        folder.drop_env()
    worker.hold(child)
    record_exit(folder, worker.outcome(started_at))
    return 0


class Worker:
    """One loop over everything that can happen to a running command.

    The command's end is learnt from waitpid, never from its pipes closing: others may hold them
    for as long as they live. The run is over when its whole tree is gone, or left in peace as
    asked for, and its output is in the spool.
    """

    def __init__(self, folder: RunFolder, spec: Mapping[str, Any]) -> None:
        self._folder = folder
        self._grace = float(spec.get("grace_s") or 0)
        self._timeout = float(spec.get("timeout_s") or _NEVER)
        self._keep_background = bool(spec.get("keep_background"))
        self._arrivals = Arrivals()
        self._orders = Orders(folder.control_path)
        self._output = Output(folder.output_path)
        self._ending = Ending()
        self._feeder: Feeder | None = None
        self._feeding = False  # the pipe is full and there is more
        self._pid = 0
        self._status: int | None = None
        self._reason: str | None = None
        self._leftovers: dict[int, str] = {}
        self._lost: int | None = None
        self._timeout_at = self._give_up_at = _NEVER
        self._handlers: dict[bytes, Callable[[list[bytes]], None]] = {
            b"cancel": lambda words: self._cancel(float(words[0])),
            b"kill": lambda _: self._cancel(0),
            b"input": lambda _: self._feed(),
        }

    def hold(self, child: Child) -> None:
        """Stay with the command until the run is over."""
        self._pid = child.pid
        self._output.attach(child.stdout, child.stderr)
        if child.stdin is not None:
            self._feeder = Feeder(self._folder, child.stdin)
            self._feed()
        now = time.monotonic()
        self._timeout_at = now + self._timeout
        while not self._over(now):
            self._wait(now)
            now = time.monotonic()
            self._tick(now)

    def outcome(self, started_at: int) -> dict[str, Any]:
        """Describe how the run ended."""
        size, error = self._output.sync()
        signalled = self._status is not None and os.WIFSIGNALED(self._status)
        reason = self._reason or ("signal" if signalled else "exit")
        tree = self._ending.tree
        return outcome(reason, started_at, self._status) | {
            "error": error,
            "killed": process_list(tree.killed),
            "leftovers": process_list(self._leftovers | tree.refused),
            "spool_bytes": size,
            "lost_bytes": self._lost,
        }

    def _wait(self, now: float) -> None:
        """Wait until something happens or is due, and handle what happened."""
        handlers = self._output.readers() | {
            self._arrivals.fd: self._arrived,
            self._orders.fd: self._ordered,
        }
        # A poll object of its own each time: a hang-up cannot be masked, only not asked about.
        poll = select.poll()
        for fd in handlers:
            poll.register(fd, select.POLLIN)
        if self._feeding and self._feeder is not None and self._feeder.fd is not None:
            handlers[self._feeder.fd] = self._feed
            poll.register(self._feeder.fd, select.POLLOUT)
        wait = min(max(0, self._due() - now) * 1000 + 1, _LONGEST_WAIT_MS)
        for fd, _ in poll.poll(int(wait)):
            handlers[fd]()

    def _due(self) -> float:
        times = [self._timeout_at, self._ending.due, self._output.due()]
        if not self._output.stalled and (self._at_rest() or self._left_over()):
            times.append(self._output.quiet_at())
        return min(times)

    def _tick(self, now: float) -> None:
        self._output.tick(now)
        if now >= self._timeout_at:
            self._end("timeout", self._grace)
        self._ending.tick(now)
        if self._left_over() and not self._output.stalled and now >= self._output.quiet_at():
            self._leftovers = self._ending.tree.living()
            self._ending.begin(self._grace, now)

    def _left_over(self) -> bool:
        """Tell whether processes have outlived the command and nobody has ended them yet."""
        return self._status is not None and not self._ending.begun and not self._at_rest()

    def _at_rest(self) -> bool:
        """Tell whether no process is left that is to be ended."""
        kept = self._keep_background and self._status is not None and not self._ending.begun
        return self._ending.gone or self._ending.refused or kept

    def _over(self, now: float) -> bool:
        if not self._at_rest():
            return False
        if self._output.stalled and now >= self._give_up_at:
            self._lost = self._output.abandon()
            self._reason = self._reason or "cancelled"
        elif not self._output.stalled and (self._output.closed or now >= self._output.quiet_at()):
            self._output.finish()
        return self._output.closed and not self._output.stalled

    def _arrived(self) -> None:
        arrived = self._arrivals.take()
        if signal.SIGCHLD in arrived:
            self._reap()
        if signal.SIGTERM in arrived:
            self._cancel(self._grace)

    def _reap(self) -> None:
        ended = self._ending.reap()
        if self._pid in ended:
            self._status = ended[self._pid]
            self._timeout_at = _NEVER
            if self._feeder is not None:
                self._feeder.close()
        if self._pid in ended or self._ending.gone:
            self._output.drain(time.monotonic())

    def _ordered(self) -> None:
        for name, *words in self._orders.take():
            try:
                self._handlers[name](words)
            except (LookupError, ValueError):
                sys.stderr.write(f"this is no order: {name!r} {words}\n")

    def _cancel(self, grace: float) -> None:
        self._give_up_at = min(self._give_up_at, time.monotonic() + _GIVE_UP_SECONDS)
        self._end("cancelled", grace)

    def _end(self, reason: str, grace: float) -> None:
        # What ended the command first is the reason: a cancel that came later only hastens.
        if self._status is None and self._reason is None:
            self._reason = reason
        self._timeout_at = _NEVER
        self._ending.begin(grace, time.monotonic())

    def _feed(self) -> None:
        self._feeding = self._feeder is not None and self._feeder.feed()
