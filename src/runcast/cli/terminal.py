"""Making text that programs printed safe to show on a terminal. Pure."""

import re

# Tried in this order at every escape or control character. A colour or style (SGR) is kept.
# What is unfinished is dropped too: the terminal would finish it with what comes next.
_CONTROL = re.compile(
    r"(?P<keep>\x1b\[[0-9;:]*m)"
    r"|[\x1b\x9b](?:(?<=\x9b)|\[)[0-?]*[ -/]*[@-~]?"  # cursor, screen, reports
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # titles, links
    r"|\x1b[ -/]*[0-~]?"  # character sets, reset
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"  # all of C0 and C1 but tab, line feed, return
    r"|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # reordering of what is read
)


def clean(text: str) -> str:
    """Remove everything that would act on a terminal, except colours and styles."""
    return _CONTROL.sub(lambda found: found["keep"] or "", text)


def plain(text: str) -> str:
    """Remove everything that would act on a terminal, colours and styles too."""
    return _CONTROL.sub("", text)


def one_line(text: str) -> str:
    """Make one line of plain text, every run of blanks and line ends a single blank."""
    return " ".join(plain(text).split())
