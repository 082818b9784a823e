"""Parsers: the records of one dialect become drafts. Pure, incremental, never raising on junk."""

from collections.abc import Iterable
from importlib import import_module
from typing import Protocol

from runcast.core.events import Entry
from runcast.spool.records import Block, Broken

# Name of a dialect -> "module:class" of its parser.
PARSERS: dict[str, str] = {
    "lines": "runcast.parsers.lines:LinesParser",
}


class Parser(Protocol):
    """Turns the records of one run into drafts, in order.

    The drafts are a function of the records alone: any cut of the spool into calls of `feed`
    gives the same events, and times come from the records. Junk becomes `output` or `gap`;
    nothing is dropped and nothing raises.
    """

    def feed(self, blocks: Iterable[Block | Broken]) -> list[Entry]:
        """Take the next records and return the entries they complete."""


def new_parser(dialect: str) -> Parser:
    """Make the parser of a dialect; KeyError if there is none."""
    module, _, name = PARSERS[dialect].partition(":")
    parser: Parser = getattr(import_module(module), name)()
    return parser
