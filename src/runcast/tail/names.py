"""What a source is called: from the templates of a watched folder to the ids of its runs. Pure."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from runcast.config_watch import PLACE, WatchEntry
from runcast.core.ids import folded
from runcast.tail.scan import Source

_ID_LENGTH = 128
_UNFIT = re.compile(r"[^A-Za-z0-9._-]|(?<=\.)\.", re.ASCII)


def run_id_of(entry: WatchEntry, path: str) -> str:
    """Return the id of the run that a source's path, relative to the root, becomes.

    It is always a valid id: what ids cannot have is replaced by `-`, and one that is too long is
    cut and ends with the hash. Different paths can thereby get the same.
    """
    return _id(entry, path, entry.run_id)


def task_id_of(entry: WatchEntry, path: str) -> str:
    """Return the id of the task that the run belongs to, valid in the same way."""
    return _id(entry, path, entry.task_id)


def hash_of(path: str) -> str:
    """Return what tells sources apart that would have the same id: 12 hex digits of the path."""
    return hashlib.sha256(path.encode()).hexdigest()[:12]


def with_suffix(run_id: str, suffix: str) -> str:
    """Append to an id, which is cut if it would become too long."""
    return f"{run_id[: _ID_LENGTH - len(suffix)].rstrip('.')}{suffix}"


def marker_path(entry: WatchEntry, source: Source) -> str | None:
    """Return the absolute path of the file that says that a source has ended, if there is one.

    It lies in the folder of a pair, and beside any other file.
    """
    if entry.marker is None:
        return None
    file = next(iter(source.files.values()))
    name = source.path.rpartition("/")[2] if entry.files else os.path.basename(file)
    places = {"name": name, "stem": PurePosixPath(name).stem}
    return os.path.join(os.path.dirname(file), _filled(entry.marker, places))


def _id(entry: WatchEntry, path: str, template: str) -> str:
    parts = path.split("/")
    places = {str(place): part for place, part in enumerate(parts, 1)}
    places["entry"] = entry.name
    places["hash"] = hash_of(path)
    places["name"] = parts[-1]
    places["path"] = ".".join(parts)
    places["stem"] = PurePosixPath(parts[-1]).stem
    fit = _UNFIT.sub("-", _filled(template, places)).lstrip("._-") or places["hash"]
    return folded(fit if len(fit) <= _ID_LENGTH else with_suffix(fit, f"-{places['hash']}"))


def _filled(template: str, places: Mapping[str, str]) -> str:
    return PLACE.sub(lambda place: places.get(place[1], ""), template)
