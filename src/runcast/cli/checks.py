"""What `runcast doctor` looks at, one function per row of its table."""

import ctypes
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from runcast.config import Settings
from runcast.runtime.data_dir import DataDir, data_folder, nearest, why_unusable

State = Literal["ok", "note", "wrong"]

_PYTHON = (3, 11)
_PR_GET_CHILD_SUBREAPER = 37  # Linux, <sys/prctl.h>
_LOW_SPACE = 100_000_000  # bytes; below, the next long build stalls on a full disk


class Finding(NamedTuple):
    """What one check found; a note is worth knowing and nothing to repair."""

    what: str
    state: State
    detail: str


class Place(NamedTuple):
    """What is being examined; `named` tells whether the server was chosen or assumed."""

    settings: Settings
    server: str
    named: bool


def examine(place: Place) -> Iterator[Finding]:
    """Run every check, in the order of the table."""
    for what, check in CHECKS.items():
        state, detail = check(place)
        yield Finding(what, state, detail)


def _python(_place: Place) -> tuple[State, str]:
    return ("ok" if sys.version_info >= _PYTHON else "wrong"), platform.python_version()


def _platform(_place: Place) -> tuple[State, str]:
    return ("ok" if sys.platform == "linux" else "note"), platform.platform()


def _subreaper(_place: Place) -> tuple[State, str]:
    if sys.platform != "linux":
        return "wrong", "only Linux has it; what a run leaves behind cannot be found"
    answer = ctypes.c_int()
    if ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0):
        return "wrong", "prctl refuses; what a run leaves behind cannot be found"
    return "ok", "orphans of a run come back to its runner"


def _folder(place: Place) -> tuple[State, str]:
    path = data_folder(place.settings)
    try:
        with tempfile.TemporaryFile(dir=nearest(path)):
            return "ok", f"{path}{'' if path.exists() else ', not made yet'}"
    except OSError as error:
        return "wrong", f"cannot use {path}: {why_unusable(path, error)}"


def _space(place: Place) -> tuple[State, str]:
    free = shutil.disk_usage(nearest(data_folder(place.settings))).free
    return ("ok" if free >= _LOW_SPACE else "wrong"), f"{free / 1e9:.1f} GB free"


def _database(place: Place) -> tuple[State, str]:
    path = database_path(place.settings)
    if path is None:
        return "note", f"not looked at: {urlsplit(place.settings.store.url or '').scheme}"
    if not path.exists():
        return "note", f"{path}, not made yet"
    import apsw

    from runcast.stores.sqlite.database import migrations, open_for_reading
    from runcast.stores.sqlite.queries import SCHEMA_VERSION

    try:
        connection = open_for_reading(path)
        try:
            version = connection.execute(SCHEMA_VERSION).get
            verdict = str(connection.pragma("quick_check"))
        finally:
            connection.close()
    except apsw.Error as error:
        return "wrong", f"{path}: {error}"
    if verdict != "ok":
        return "wrong", f"{path}: {verdict.splitlines()[0]}"
    if version > len(migrations()):
        return "wrong", f"{path}: schema version {version} is newer than this runcast"
    return "ok", f"{path}, schema version {version}, SQLite {apsw.sqlite_lib_version()}"


def database_path(settings: Settings) -> Path | None:
    """Return where the SQLite file is, whether or not it exists; None for another engine."""
    scheme, _, location = DataDir.store_url(settings).partition(":")
    return Path(location.rpartition("?")[0]) if scheme == "sqlite" else None


def _server(place: Place) -> tuple[State, str]:
    from runcast.client import Client, ClientError, NoServer

    try:
        with Client(place.server) as client:
            status = client.status()
    except NoServer as error:
        return ("wrong" if place.named else "note"), error.message
    except ClientError as error:
        return "wrong", error.message
    return "ok", f"{place.server}, version {status.version}"


CHECKS: dict[str, Callable[[Place], tuple[State, str]]] = {
    "Python": _python,
    "platform": _platform,
    "subreaper": _subreaper,
    "data folder": _folder,
    "disk space": _space,
    "database": _database,
    "server": _server,
}
