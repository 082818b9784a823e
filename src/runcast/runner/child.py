"""Starting the command: its environment, its descriptors, and the way to exec or the reason."""

from __future__ import annotations

import os
import resource

from runcast.runner import linux, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

_REPORT_BYTES = 4096
_RUNCAST = b"RUNCAST_"


class SpawnError(Exception):
    """The command could not be started; the message names it and says why."""


class Child:
    """A command that runs, and our ends of its pipes; `stdin` is None if it reads nothing."""

    __slots__ = ("pid", "stderr", "stdin", "stdout")

    def __init__(self, pid: int, stdin: int | None, stdout: int, stderr: int) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr


def environment(
    ours: Mapping[bytes, bytes], spec: Mapping[str, Any], request: Mapping[str, str]
) -> dict[bytes, bytes]:
    """Make the command's environment: ours without runcast's own, the run's, the request's.

    What the run is to have `unset` is gone from all of them.
    """
    env = {name: value for name, value in ours.items() if not name.startswith(_RUNCAST)}
    env[b"PWD"] = _bytes(spec["cwd"])
    env[b"RUNCAST_RUN_ID"] = _bytes(spec["run_id"])
    env[b"RUNCAST_TASK_ID"] = _bytes(spec["task_id"])
    env |= {_bytes(name): _bytes(value) for name, value in request.items()}
    for name in spec.get("unset", ()):
        env.pop(_bytes(name), None)
    # Last: whoever could change the key could hide from the sweep, or be swept for another run.
    env[b"RUNCAST_RUN_KEY"] = _bytes(spec["key"])
    return env


def start(spec: Mapping[str, Any], env: Mapping[bytes, bytes]) -> Child:
    """Start the command in its own process group and return when its exec has succeeded.

    Raises SpawnError if it has not.
    """
    stdin, feed = _input(bool(spec.get("stdin")))
    stdout, into_stdout = os.pipe()
    stderr, into_stderr = os.pipe()
    report, into_report = os.pipe()
    worker = os.getpid()
    signals.block()  # a signal that reached the copy before its exec would be told to us as ours
    pid = os.fork()
    if pid == 0:
        _become(spec, env, (stdin, into_stdout, into_stderr), into_report, worker)
    signals.unblock()
    for fd in (stdin, into_stdout, into_stderr, into_report):
        os.close(fd)
    reason = _read_all(report)
    os.close(report)
    if reason:
        os.waitpid(pid, 0)
        raise SpawnError(reason.decode("utf-8", "replace"))
    for ours in (feed, stdout, stderr):
        if ours is not None:
            os.set_blocking(ours, False)
    return Child(pid, feed, stdout, stderr)


def _input(piped: bool) -> tuple[int, int | None]:
    return os.pipe() if piped else (os.open(os.devnull, os.O_RDONLY), None)


def _become(
    spec: Mapping[str, Any],
    env: Mapping[bytes, bytes],
    streams: tuple[int, int, int],
    report: int,
    worker: int,
) -> NoReturn:
    """Turn this copy of the worker into the command, or report why not and end."""
    reason = "it was not started"
    try:
        os.setpgid(0, 0)
        linux.die_with_parent()
        if os.getppid() != worker:  # it died before the line above could take effect
            os._exit(1)
        signals.reset()
        _limit_open_files(spec.get("open_files"))
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        reason = _enter(spec["cwd"]) or _execute([_bytes(word) for word in spec["argv"]], env)
    except Exception as error:  # noqa: BLE001 - this copy must never run on as a second worker
        reason = f"cannot run {spec['argv'][0]!r}: {error}"
    finally:
        os.write(report, reason.encode("utf-8", "replace")[:_REPORT_BYTES])
        os._exit(1)


def _limit_open_files(soft: int | None) -> None:
    """Give the command its usual limit: programs that use select() break above 1,024."""
    if soft is not None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        most = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _enter(cwd: str) -> str:
    try:
        os.chdir(_bytes(cwd))
    except OSError as error:
        return f"cannot enter the working directory {cwd!r}: {error.strerror}"
    return ""


def _execute(argv: list[bytes], env: Mapping[bytes, bytes]) -> str:
    """Replace this process by the program; on failure return the most telling reason."""
    name = argv[0].decode("utf-8", "replace")
    reason = f"cannot run {name!r}: there is no such program in PATH"
    for path in _candidates(argv[0], env):
        try:
            os.execve(path, argv, env)
        except (FileNotFoundError, NotADirectoryError) as error:
            if os.path.exists(path):
                reason = f"cannot run {name!r}: the interpreter in its first line does not exist"
            elif b"/" in argv[0]:
                reason = f"cannot run {name!r}: {error.strerror}"
        except PermissionError as error:  # there may be one further on that we may run
            reason = f"cannot run {name!r}: {error.strerror}"
        except OSError as error:
            return f"cannot run {name!r}: {error.strerror}"
    return reason


def _candidates(program: bytes, env: Mapping[bytes, bytes]) -> list[bytes]:
    if b"/" in program:
        return [program]
    folders = env.get(b"PATH", os.fsencode(os.defpath)).split(b":")
    return [os.path.join(folder, program) for folder in folders]


def _read_all(fd: int) -> bytes:
    text = b""
    while chunk := os.read(fd, _REPORT_BYTES):
        text += chunk
    return text


def _bytes(text: str) -> bytes:
    """Undo what made a str of bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape")
