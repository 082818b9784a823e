"""What is wrong with watched folders, beyond what the types of their settings say.

That can be said only of the settings as a whole, since each source may give a part.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import get_args

from runcast.config_agents import DialectName, Fault
from runcast.config_watch import ID_PLACES, MARKER_PLACES, PLACE, WatchSettings, filled_in
from runcast.core.errors import BadRequest
from runcast.core.ids import check_id
from runcast.core.times import parse_duration

_DEEPEST = 999  # parts; a path of the system has at most 4,096 bytes


def faults(watch: Mapping[str, WatchSettings]) -> Iterator[Fault]:
    """Yield what is wrong with watched folders."""
    for name, given in watch.items():
        for field, text in _faults_of(given):
            yield Fault("watch", name, field, text)


def _faults_of(given: WatchSettings) -> Iterator[tuple[str, str]]:
    filled = filled_in(given)
    yield from _faults_of_root(filled.root)
    yield from _faults_of_names(filled)
    yield from _faults_of_ids(filled)
    yield from _faults_of_end(given, filled)
    if filled.format in get_args(DialectName) and filled.dialect not in (None, filled.format):
        yield "dialect", f"the format says already that it is {filled.format}; leave out one"
    try:
        parse_duration(filled.max_age or 0, "it")
    except BadRequest as error:
        yield "max_age", error.message


def _faults_of_root(root: str | None) -> Iterator[tuple[str, str]]:
    if not root:
        yield "root", "is missing: the folder to look in"
        return
    try:
        Path(root).expanduser()
    except RuntimeError:
        yield "root", f"nobody knows the home folder that {root.partition('/')[0]} stands for"


def _faults_of_names(filled: WatchSettings) -> Iterator[tuple[str, str]]:
    if {"", ".", ".."} & set(_parts(filled)):
        yield "glob", "must be names with '/' between them, none of them empty, '.' or '..'"
    files = filled.files.by_stream()
    if len(set(files.values())) < len(files):
        yield "files.stderr", "must be another file than that of stdout"


def _parts(filled: WatchSettings) -> list[str]:
    return (filled.glob or "").split("/")


def _faults_of_ids(filled: WatchSettings) -> Iterator[tuple[str, str]]:
    parts = _parts(filled)
    # How deep a `**` leads is not known before something is found.
    depth = _DEEPEST if "**" in parts else len(parts)
    places = {*ID_PLACES, *map(str, range(1, depth + 1))}
    for field in ("run_id", "task_id"):
        for fault in _faults_of_template(getattr(filled, field), places):
            yield field, fault
    try:
        check_id(filled.workspace, "it")
    except BadRequest as error:
        yield "workspace", error.message


def _faults_of_end(given: WatchSettings, filled: WatchSettings) -> Iterator[tuple[str, str]]:
    if given.marker is not None and filled.end != "marker":
        yield "end", "must be marker, or the marker is never looked for"
    if filled.end != "marker":
        return
    if filled.marker is None:
        yield "marker", "is missing: the name of the file that ends a run"
    elif filled.marker in {"{name}", *filled.files.by_stream().values()}:
        yield "marker", "must be another file than what it ends"
    for fault in _faults_of_template(filled.marker, MARKER_PLACES):
        yield "marker", fault


def _faults_of_template(template: str | None, places: Collection[str]) -> Iterator[str]:
    if template == "":
        yield "must not be empty"
    for place in PLACE.findall(template or ""):
        if place not in places:
            yield f"{{{place}}} stands for nothing here; there are {_listed(places)}"
    if set("{}") & set(PLACE.sub("", template or "")):
        yield "has a brace without its other half"


def _listed(places: Collection[str]) -> str:
    numbers = sorted(place for place in places if place.isdecimal())
    words = sorted(place for place in places if not place.isdecimal())
    return ", ".join(f"{{{place}}}" for place in [*numbers[:3], *words])
