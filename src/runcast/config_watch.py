"""Settings of watched folders: where log files lie that others write, and what becomes of them."""

import re
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from runcast.config_agents import DialectName, Text
from runcast.config_section import Section
from runcast.core.times import parse_duration

RecipeName = Literal["kubernetes", "conductor"]
FramingName = Literal["plain", "cri", "docker-json"]
FormatName = Literal[FramingName, DialectName]
EndName = Literal["never", "idle", "marker", "rename"]

# Where a template has what: a number is a part of the path below the root, from 1.
PLACE = re.compile(r"\{([^{}]*)\}")
ID_PLACES = frozenset({"entry", "hash", "name", "path", "stem"})
MARKER_PLACES = frozenset({"name", "stem"})


FileName = Annotated[str, Meta(pattern=r"^(?!\.{1,2}\Z)[^/\0]+\Z")]


class WatchFiles(Section):
    """The pair of files that makes a folder a source."""

    stdout: Annotated[
        FileName | None,
        Meta(description="Name of the file with stdout; with it, the glob matches folders."),
    ] = None
    stderr: Annotated[
        FileName | None,
        Meta(description="Name of the file with stderr; with it, the glob matches folders."),
    ] = None

    def by_stream(self) -> dict[str, str]:
        """Return the names that are given."""
        return {stream: name for stream, name in msgspec.structs.asdict(self).items() if name}


class WatchSettings(Section):
    """A folder of log files that become runs."""

    recipe: Annotated[
        RecipeName | None, Meta(description="Take what is not said here from this recipe.")
    ] = None
    root: Annotated[
        Text | None,
        Meta(
            description="The folder to look in; `~` is the home folder, and a relative path starts "
            "from the folder that the server was started in.",
            extra={"default": "the recipe's"},
        ),
    ] = None
    glob: Annotated[
        Text | None,
        Meta(
            description="Which files below the root, or with files which folders: * ? [...] in a "
            "name, ** for any folders.",
            extra={"default": "*.log, or * with files"},
        ),
    ] = None
    files: WatchFiles = msgspec.field(default_factory=WatchFiles)
    format: Annotated[
        FormatName | None,
        Meta(
            description="How the files are written; a dialect means plain lines of it.",
            extra={"default": "plain"},
        ),
    ] = None
    dialect: Annotated[
        DialectName | None,
        Meta(
            description="How the lines within the format are understood.",
            extra={"default": "lines"},
        ),
    ] = None
    workspace: Annotated[str, Meta(description="Id of the workspace of the runs.")] = "default"
    run_id: Annotated[
        Text | None,
        Meta(
            description="The id of a run, made of {1}, {2}, … {name} {stem} {path} {hash} {entry}.",
            extra={"default": "{path}"},
        ),
    ] = None
    task_id: Annotated[
        Text | None,
        Meta(
            description="The id of its task, made of the same.", extra={"default": "the run's id"}
        ),
    ] = None
    start: Annotated[
        Literal["beginning", "end"],
        Meta(
            description="Where to begin in the files that are there when the first of the entry "
            "become runs; later ones are read from their beginning."
        ),
    ] = "beginning"
    ingest: Annotated[
        Literal["watched", "always"],
        Meta(description="Read a file while somebody follows its run, or always."),
    ] = "watched"
    end: Annotated[
        EndName | None, Meta(description="What ends a run.", extra={"default": "never"})
    ] = None
    idle_s: Annotated[
        Annotated[float, Meta(gt=0, le=864_000_000)],
        Meta(description="With end: idle, seconds without a change after which a run has ended."),
    ] = 3600
    marker: Annotated[
        FileName | None,
        Meta(
            description="With end: marker, name of the file that ends a run, in a pair's folder or "
            "beside a file: {name} and {stem} are the file's."
        ),
    ] = None
    follow_links: Annotated[
        bool | None,
        Meta(
            description="Read also what symbolic links lead to outside of the root.",
            extra={"default": "false"},
        ),
    ] = None
    max_age: Annotated[
        str | float | None,
        Meta(description="Leave out files that were older than this when first seen, such as 7d."),
    ] = None


class WatchEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A watched folder with everything filled in that its settings leave open.

    `root` is absolute. `files` are names by stream, empty if each file is a source of its own.
    """

    name: str
    root: str
    glob: str
    files: dict[str, str]
    framing: str
    dialect: str
    workspace: str
    run_id: str
    task_id: str
    from_end: bool
    always: bool
    end: EndName
    idle_s: float
    marker: str | None
    follow_links: bool
    max_age_s: float | None


RECIPES: dict[RecipeName, WatchSettings] = {
    # The files in /var/log/pods may be links to where the container runtime writes.
    "kubernetes": WatchSettings(
        root="/var/log/pods",
        glob="*/*/*.log",
        format="cri",
        run_id="{path}",
        task_id="{1}",
        follow_links=True,
    ),
    "conductor": WatchSettings(
        glob="*/*/runs/*",
        files=WatchFiles(stdout="agent-stdout.txt", stderr="agent-stderr.txt"),
        run_id="{4}",
        task_id="{2}",
        end="marker",
        marker="run-info.yaml",
    ),
}


def resolve(name: str, settings: WatchSettings) -> WatchEntry:
    """Fill in the recipe and the defaults; nothing may be wrong with the settings."""
    filled = filled_in(settings)
    framing: str = filled.format or "plain"
    dialect: str = filled.dialect or "lines"
    if framing not in get_args(FramingName):
        framing, dialect = "plain", framing
    end = filled.end or "never"
    run_id = filled.run_id or "{path}"
    return WatchEntry(
        name=name,
        root=str(Path(filled.root or "").expanduser().absolute()),
        glob=filled.glob or "",
        files=filled.files.by_stream(),
        framing=framing,
        dialect=dialect,
        workspace=filled.workspace,
        run_id=run_id,
        task_id=filled.task_id or run_id,
        from_end=filled.start == "end",
        always=filled.ingest == "always",
        end=end,
        idle_s=filled.idle_s,
        marker=filled.marker if end == "marker" else None,
        follow_links=filled.follow_links or False,
        max_age_s=None if filled.max_age is None else parse_duration(filled.max_age),
    )


def filled_in(given: WatchSettings) -> WatchSettings:
    """Return what is given, and where nothing is, what the recipe says; the glob at any rate."""
    recipe = WatchSettings() if given.recipe is None else RECIPES[given.recipe]
    fields = msgspec.structs.asdict(given).items()
    said = {name: value for name, value in fields if value not in (None, WatchFiles())}
    filled = msgspec.structs.replace(recipe, **said)
    if filled.glob is None:
        filled.glob = "*" if filled.files.by_stream() else "*.log"
    return filled
