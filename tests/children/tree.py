"""Make seven processes that do not want to die; print the pid of each, then wait.

Members that ignore SIGTERM: a grandchild, one in a session of its own, one whose parent ended,
a stopped one, and one that forks for as long as it lives.
"""

import os
import signal
import time
from collections.abc import Callable

signal.signal(signal.SIGTERM, signal.SIG_IGN)


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def child(life: Callable[[], object]) -> None:
    if os.fork() == 0:
        say(str(os.getpid()))
        life()
        wait()


def wait() -> None:
    while True:
        time.sleep(1000)


def own_session() -> None:
    os.setsid()


def orphan() -> None:
    child(wait)
    os._exit(0)


def stopped() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def forking() -> None:
    while True:
        if os.fork() == 0:
            time.sleep(0.05)
            os._exit(0)
        time.sleep(0.001)
        os.waitpid(-1, os.WNOHANG)


say(str(os.getpid()))
for life in (wait, own_session, orphan, stopped, forking):
    child(life)
wait()
