"""The run folder: everything that one run is on disk, shared by the server and the runner.

run.json        what to run; never changes
env.json        what the request adds to the environment; gone once the command has started
output.log      the spool
input.log       what the command shall read, appended to; `input.eof` says that no more comes
control         a FIFO: orders to the runner
lock            held (flock) by guard and worker for as long as either lives
started         made just before the command: whoever finds it must not start it again
exit.json       how it ended; its room is reserved in exit.json.tmp from the beginning
runner.log      what the runner itself complains about
blob.ID         a text that was too long for an event
"""

from __future__ import annotations

import fcntl
import os

from runcast.spool.light import decode, encode, signal
from runcast.spool.processes import send_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

FORMAT = 1
_OPEN_STDIN = ("agent", "pipe")  # more may be added to the input until somebody ends it
EXIT_BYTES = 4096  # all that exit.json may take: its room is reserved before the run starts


class RunFolder:
    """One run's folder. Nothing here waits for another process."""

    __slots__ = (
        *("control_path", "env_path", "eof_path", "exit_path", "input_path", "lock_path"),
        *("output_path", "path", "reserve_path", "run_path", "runner_log_path", "started_path"),
    )

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.run_path = os.path.join(self.path, "run.json")
        self.env_path = os.path.join(self.path, "env.json")
        self.output_path = os.path.join(self.path, "output.log")
        self.input_path = os.path.join(self.path, "input.log")
        self.eof_path = os.path.join(self.path, "input.eof")
        self.control_path = os.path.join(self.path, "control")
        self.lock_path = os.path.join(self.path, "lock")
        self.started_path = os.path.join(self.path, "started")
        self.exit_path = os.path.join(self.path, "exit.json")
        self.reserve_path = os.path.join(self.path, "exit.json.tmp")
        self.runner_log_path = os.path.join(self.path, "runner.log")

    @classmethod
    def create(
        cls,
        root: str | os.PathLike[str],
        key: str,
        spec: Mapping[str, Any],
        env: Mapping[str, str],
        text: bytes | None = None,
    ) -> RunFolder:
        """Make the folder of a run, safe from a power cut when this returns.

        `text` is the command's input, and all of it unless the spec's `stdin` keeps it open. Leaves
        nothing behind when it raises OSError.
        """
        folder = cls(os.path.join(root, key))
        os.mkdir(folder.path, 0o700)
        try:
            folder._fill({"format": FORMAT, "key": key, **spec}, dict(env), text)
            sync_folder(folder.path)
            sync_folder(os.fspath(root))
        except BaseException:
            folder.remove()
            raise
        return folder

    def _fill(self, spec: dict[str, Any], env: dict[str, str], text: bytes | None) -> None:
        write_file(self.run_path, encode(spec).encode("ascii"))
        if env:
            write_file(self.env_path, encode(env).encode("ascii"))
        write_file(self.input_path, text or b"")
        for path in (self.output_path, self.lock_path):
            write_file(path, b"")
        if text is not None and spec.get("stdin") not in _OPEN_STDIN:
            self.end_input()
        os.mkfifo(self.control_path, 0o600)
        # Blocks that a file has are its own: writing over them needs no more disk.
        write_file(self.reserve_path, bytes(EXIT_BYTES))

    def take_lock(self) -> int | None:
        """Lock the run and return the descriptor to hand to a runner; None if a runner lives."""
        return self._flock(fcntl.LOCK_EX)

    def alive(self) -> bool:
        """Tell whether a guard or worker lives. While it looks, `take_lock` may find it locked."""
        try:
            fd = self._flock(fcntl.LOCK_SH)
        except FileNotFoundError:
            return False
        if fd is not None:
            os.close(fd)
        return fd is None

    def _flock(self, kind: int) -> int | None:
        # Closing is the only way to let go: LOCK_UN would unlock it for all who share it.
        fd = os.open(self.lock_path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            if isinstance(error, BlockingIOError):
                return None
            raise
        return fd

    def spec(self) -> dict[str, Any]:
        """Read what to run; raises OSError or ValueError."""
        return dict(decode(read_file(self.run_path)))

    def env(self) -> dict[str, str]:
        """Read what the request adds to the environment; empty if nothing, or once started."""
        try:
            return dict(decode(read_file(self.env_path)))
        except FileNotFoundError:
            return {}

    def drop_env(self) -> None:
        """Remove the request's environment, which may hold secrets."""
        remove_file(self.env_path)

    def started(self) -> dict[str, Any] | None:
        """Tell who started the command and when; None if nobody did, {} if that is unreadable."""
        try:
            return dict(decode(read_file(self.started_path)))
        except FileNotFoundError:
            return None
        except ValueError:
            return {}

    def exit(self) -> dict[str, Any] | None:
        """Tell how the run ended; None if that was not recorded, or not readably."""
        try:
            return dict(decode(read_file(self.exit_path)))
        except (FileNotFoundError, ValueError):
            return None

    def order(self, text: str) -> bool:
        """Give the runner an order: `cancel GRACE`, `kill` or `input`.

        False if no worker takes orders: it has not come so far, it is gone, or it has been
        stopped for so long that the FIFO is full.
        """
        try:
            fd = os.open(self.control_path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            os.write(fd, text.encode("ascii") + b"\n")
        except (BlockingIOError, BrokenPipeError):
            return False
        finally:
            os.close(fd)
        return True

    def resume(self) -> None:
        """Let guard and worker run again if somebody stopped them."""
        for who in ("guard", "worker"):
            self._signal(who, signal.SIGCONT)

    def kill_worker(self) -> bool:
        """Kill the worker, and thereby the run: the guard ends the rest. False if it is gone."""
        return self._signal("worker", signal.SIGKILL)

    def _signal(self, who: str, number: int) -> bool:
        return send_to((self.started() or {}).get(who) or {}, number)

    def write_input(self, offset: int, data: bytes) -> None:
        """Write the command's input from `offset` on; the runner looks at it when ordered to.

        Safe from a power cut when this returns; writing the same again changes nothing. Raises
        OSError when the disk refuses; a part of `data` may then have been written.
        """
        fd = os.open(self.input_path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.lseek(fd, offset, os.SEEK_SET)
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)

    def end_input(self) -> None:
        """Say that no more input comes."""
        write_file(self.eof_path, b"")

    def blob_path(self, blob_id: str) -> str:
        """Return where a blob is kept."""
        return os.path.join(self.path, "blob." + blob_id)

    def keep_blobs(self, blobs: Mapping[str, bytes]) -> None:
        """Write blobs, by id, safe from a power cut when this returns; raises OSError.

        An id stands for its content, so that a blob which is there already is the same.
        """
        for blob_id, data in blobs.items():
            path = self.blob_path(blob_id)
            if not os.path.exists(path):
                temporary = f"{path}.{os.urandom(4).hex()}"  # another may write the same just now
                try:
                    write_file(temporary, data)
                    os.rename(temporary, path)
                except BaseException:
                    remove_file(temporary)
                    raise
        sync_folder(self.path)

    def remove(self) -> None:
        """Remove the folder and all that is in it; one that is gone already is fine."""
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return
        for name in names:
            remove_file(os.path.join(self.path, name))
        os.rmdir(self.path)


def read_file(path: str) -> bytes:
    """Read a whole file."""
    with open(path, "rb") as file:
        return file.read()


def write_file(path: str, data: bytes) -> None:
    """Write a file that only its owner may read; what is in it is safe from a power cut."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if data:
            write_all(fd, data)
            os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, in as many steps as the system wants."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def remove_file(path: str) -> None:
    """Remove a file; one that is gone already is fine."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def sync_folder(path: str) -> None:
    """Make the names in a folder safe from a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
