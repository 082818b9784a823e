"""What a marker file says about how a run ended, if it says that it has ended. Pure."""

import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import yaml

from runcast.core.errors import BadRequest
from runcast.core.runs import Status
from runcast.core.times import parse_time

MARKER_BYTES = 64 * 1024  # looked at; what says how a run ended comes before

_GOING = frozenset(
    {"active", "created", "in_progress", "pending", "queued", "running", "started", "starting"}
)
_ENDED: dict[str, Status] = {
    **dict.fromkeys(("completed", "complete", "done", "ok", "success", "succeeded"), "completed"),
    **dict.fromkeys(("failed", "failure", "error", "crashed", "timeout"), "failed"),
    **dict.fromkeys(("cancelled", "canceled", "aborted", "stopped"), "cancelled"),
}
_INTEGER = re.compile(r"[+-]?\d{1,9}", re.ASCII)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_UNKNOWN_CODE = -1  # what a record holds before there is a code, and Go for a killed program
_DEEPEST = 64  # levels: the time that libyaml takes grows with the square of the open brackets


class Ending(NamedTuple):
    """How a run ended; `signal` is a name such as SIGKILL, `ended_at` is in µs since the epoch."""

    status: Status
    exit_code: int | None = None
    signal: str | None = None
    ended_at: int | None = None


def read_marker(content: bytes) -> Ending | None:
    """Return how a run ended, or None if the marker says that it has not ended yet.

    A whole number is an exit code, and a single word may be a status. A mapping, in YAML or JSON,
    is asked for `status`, `exit_code`, `signal` and `ended_at` or `end_time`. It is no end while
    the status is that of something going on, or, without a status that is known, while the exit
    code is null or -1 and there is no time of an end. Everything else is a completed run, nothing
    at all included. A completed run with another exit code than 0 has failed. Never raises.
    """
    said = _said(content[:MARKER_BYTES].decode("utf-8-sig", "replace"))
    word = said.get("status", "").lower().replace("-", "_")
    if word in _GOING:
        return None
    code, (ended, ended_at) = _code(said), _end(said)
    unsaid = code in (None, _UNKNOWN_CODE) and not ended
    if unsaid and word not in _ENDED and said.keys() & {"status", "exit_code"}:
        return None
    name = _signal(said.get("signal") or (str(-code) if code and code < _UNKNOWN_CODE else ""))
    status = _ENDED.get(word, "completed")
    if status == "completed" and (code or name):
        status = "failed"
    return Ending(status, None if code and code < 0 else code, name, ended_at)


def _said(text: str) -> dict[str, str]:
    """Return what a marker says at its top level in single words, null as an empty one."""
    # JSON may be indented with tabs, which YAML refuses.
    words = list(_words(text.replace("\t", " ")))
    if len(words) == 1:
        return _alone(words[0])
    return dict(zip(words[::2], words[1::2], strict=False))


def _words(text: str) -> Iterator[str]:
    """Yield the keys and values of a mapping in turn, or the only word, until text makes no sense.

    Events and not nodes, since those are built by a recursion that text can make too deep.
    """
    depth = 0
    with suppress(yaml.YAMLError):
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            opens = isinstance(event, yaml.CollectionStartEvent)
            if isinstance(event, yaml.NodeEvent) and (depth == 1 or (depth == 0 and not opens)):
                value = event.value if isinstance(event, yaml.ScalarEvent) else ""
                yield "" if value in _NULLS else value
            if isinstance(event, yaml.SequenceStartEvent) and depth == 0:
                return
            depth += opens - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST or isinstance(event, yaml.DocumentEndEvent):
                return


def _alone(word: str) -> dict[str, str]:
    if _INTEGER.fullmatch(word):
        return {"exit_code": word}
    return {"status": word} if word.lower() in _GOING | _ENDED.keys() else {}


def _code(said: dict[str, str]) -> int | None:
    text = said.get("exit_code", "")
    return int(text) if _INTEGER.fullmatch(text) else None


def _signal(text: str) -> str | None:
    """Return the name of a signal that is given by name or number."""
    name = text.upper().removeprefix("SIG")
    return next((s.name for s in signal.Signals if name in (str(s.value), s.name[3:])), None)


def _end(said: dict[str, str]) -> tuple[bool, int | None]:
    """Tell whether a time of the end is given, and which; 0 and the year 1 say that none is."""
    text = said.get("ended_at") or said.get("end_time") or ""
    try:
        micros = parse_time(text, "it")
    except BadRequest:
        return text.strip("0") != "", None
    return micros > 0, micros if micros > 0 else None
