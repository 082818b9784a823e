"""The data folder: one server at a time, and where things lie in it."""

import errno
import fcntl
import os
from pathlib import Path

from runcast.config import Settings
from runcast.core.errors import ConfigError
from runcast.stores import Store, open_store

DURABILITY = "?durability="
OWN_STORE = "sqlite:runcast.db"  # relative, so that the folder can be moved


class DataDir:
    """A data folder that this process holds until `release`.

    Raises ConfigError if it cannot be written to or another server holds it.
    """

    def __init__(self, settings: Settings) -> None:
        self.path = data_folder(settings)
        self.runs = self.path / "runs"
        try:
            self.runs.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            self._lock = os.open(self.path / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(
                f"cannot use the data folder {self.path}: {why_unusable(self.path, error)}; "
                "choose another with --data-dir"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise ConfigError(
                f"another runcast server uses the data folder {self.path}; "
                "stop it or choose another with --data-dir"
            ) from None

    @staticmethod
    def store_url(settings: Settings) -> str:
        """Return the store's URL: as set, else the database in the data folder."""
        url = settings.store.url or f"sqlite:{data_folder(settings) / 'runcast.db'}"
        if url.startswith("sqlite:") and DURABILITY not in url:
            url += DURABILITY + settings.store.durability
        return url

    async def open_store(self, settings: Settings) -> Store:
        """Open the store that this folder's runs are in; raise ConfigError if it is another one.

        A store that does not know a run would have its folder removed as a leftover.
        """
        note = self.path / "store"
        name = (settings.store.url or OWN_STORE).partition(DURABILITY)[0]
        bound = note.read_text() if note.exists() else ""
        if bound not in ("", name):
            raise ConfigError(
                f"the runs of the data folder {self.path} are in the store {bound}, "
                f"not in {name}; choose another folder with --data-dir"
            )
        # Noted only once it could be opened: a mistyped address must not bind the folder.
        store = await open_store(self.store_url(settings))
        if not bound:
            note.write_text(name)
        return store

    def release(self) -> None:
        """Let another server have the folder."""
        os.close(self._lock)


def data_folder(settings: Settings) -> Path:
    """Return where the data folder is, whether or not it exists; raise ConfigError."""
    try:
        return absolute(Path(settings.data_dir).expanduser())
    except RuntimeError as error:  # ~NAME of nobody
        raise ConfigError(f"data_dir {settings.data_dir!r}: {error}") from None


def absolute(path: Path) -> Path:
    """Make a path absolute; raise ConfigError if it cannot be named in UTF-8 or is gone."""
    try:
        found = path.absolute()
        str(found).encode()
    except FileNotFoundError:
        raise ConfigError("the current folder has been deleted; change to another one") from None
    except UnicodeEncodeError:
        raise ConfigError(f"the folder {path.absolute()!r} has a name that is not UTF-8") from None
    return found


def nearest(path: Path) -> Path:
    """Return the path itself, or the first folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def why_unusable(path: Path, error: OSError) -> str:
    """Say why nothing can be made at the path."""
    # /proc and its kind refuse new entries with ENOENT, although the folder above exists.
    if error.errno == errno.ENOENT:
        return f"{nearest(path)} takes no new files"
    return str(error.strerror)
