"""The data folder: one server at a time, and where things lie in it."""

import fcntl
import os
from pathlib import Path

from runcast.config import Settings
from runcast.core.errors import ConfigError


class DataDir:
    """A data folder that this process holds until `release`.

    Raises ConfigError if it cannot be written to or another server holds it.
    """

    def __init__(self, settings: Settings) -> None:
        self.path = Path(settings.data_dir).expanduser().absolute()
        self.runs = self.path / "runs"
        try:
            self.runs.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            self._lock = os.open(self.path / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(
                f"cannot use the data folder {self.path}: {error.strerror}; "
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

    def store_url(self, settings: Settings) -> str:
        """Return the store's URL: as set, else the database in this folder."""
        if settings.store.url is not None:
            return settings.store.url
        return f"sqlite:{self.path / 'runcast.db'}?durability={settings.store.durability}"

    def release(self) -> None:
        """Let another server have the folder."""
        os.close(self._lock)
