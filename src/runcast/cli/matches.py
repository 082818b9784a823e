"""How what a search has found is shown: lines of text, the hits in colour. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from runcast.cli.terminal import plain

_HIT, _DIM, _RESET = "\x1b[1;31m", "\x1b[2m", "\x1b[0m"


class MatchLook(NamedTuple):
    """What the place can show that matches are written to."""

    cleaned: bool  # control sequences that a program printed would act there
    coloured: bool


def show_match(match: Mapping[str, Any], text: str, look: MatchLook) -> str:
    """Return the lines of a match in which the text stands, and one for each neighbour."""
    head = f"{match['run_id']} {match['seq']} {match['time']}  "
    hits = [line for line in match["text"].split("\n") if text in line]
    lines = [
        *_around(match["before"], look),
        *(head + _mark(_safe(line, look), text, look) for line in hits),
        *_around(match["after"], look),
    ]
    return "".join(f"{line}\n" for line in lines)


def notes(page: Mapping[str, Any]) -> Iterable[str]:
    """Say what the last answer of a search leaves to be wished."""
    if not page["complete"]:
        yield "there may be more; --limit shows more"
    if count := page["not_ingested"]:
        files = "1 file is" if count == 1 else f"{count} files are"
        yield f"{files} not ingested: what is new there was not searched"


def _around(texts: Iterable[str], look: MatchLook) -> Iterable[str]:
    for text in texts:
        shown = _safe(text.replace("\n", " "), look)
        yield f"  {_DIM}{shown}{_RESET}" if look.coloured else f"  {shown}"


def _safe(line: str, look: MatchLook) -> str:
    # A carriage return would write over the beginning of the line.
    return plain(line).replace("\r", "␍") if look.cleaned else line


def _mark(line: str, text: str, look: MatchLook) -> str:
    return line.replace(text, f"{_HIT}{text}{_RESET}") if look.coloured else line
