"""Parsers: the records of one dialect become drafts. Pure, incremental, never raising on junk."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Protocol

import msgspec

from runcast.core.events import Entry
from runcast.spool.records import Block, Broken

# Name of a dialect -> "module:class" of its parser.
PARSERS: dict[str, str] = {
    "lines": "runcast.parsers.lines:LinesParser",
    "jsonl": "runcast.parsers.jsonl:JsonlParser",
    "claude": "runcast.parsers.claude:ClaudeParser",
    "codex": "runcast.parsers.codex:CodexParser",
    "gemini": "runcast.parsers.gemini:GeminiParser",
    "opencode": "runcast.parsers.opencode:OpencodeParser",
    "envelope": "runcast.parsers.envelope:EnvelopeParser",
}


class Word(msgspec.Struct, frozen=True):
    """The last word of an agent on its own end: `text` is its result, or why it failed."""

    ok: bool
    text: str


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent's output says of the agent so far.

    `phase` says in a few words what it is at, `open_calls` names the tools that have not
    answered, `complaint` is the last line it wrote to stderr.
    """

    word: Word | None = None
    phase: str = "starting"
    tool_calls: int = 0
    open_calls: tuple[str, ...] = ()
    complaint: str = ""


class Saved(msgspec.Struct, frozen=True):
    """What a parser needs to go on after a restart.

    `open` names unfinished lines by reference, stream -> (offset in the spool of the first
    record, bytes so far); `state` is the parser's own.
    """

    open: Mapping[str, tuple[int, int]]
    state: bytes


class Parser(Protocol):
    """Turns the records of one run into drafts, in order.

    The drafts are a function of the records alone: any cut of the spool into calls of `feed`
    gives the same events, and times come from the records. Junk becomes `output` or `gap`;
    nothing is dropped and nothing raises. Texts come whole: what is too long for an event is
    the caller's to take out.
    """

    version: int  # of the saved state
    ends_with_word: bool  # the dialect has a terminal line: an agent without one did not finish
    unknown: int  # lines that were not understood since somebody set this to 0

    def feed(self, blocks: Iterable[Block | Broken]) -> list[Entry]:
        """Take the next records and return the entries they complete."""

    def finish(self) -> list[Entry]:
        """Return what the end of the output completes.

        A line without a newline is read like any other, and tool calls that never got an answer
        are given one that says so. A second call returns nothing, after a restart too.
        """

    def account(self) -> Account | None:
        """Tell what is known of the agent; None for a dialect that knows none."""

    def save(self) -> Saved:
        """Return what a new parser needs to go on from here."""

    def restore(self, saved: Saved, blocks: Iterable[Block | Broken]) -> None:
        """Go on from what was saved; `blocks` are the records from the first open line on.

        A state that cannot be read is ignored: the events go on, though what was known of
        earlier ones is lost.
        """


def new_parser(dialect: str) -> Parser:
    """Make the parser of a dialect; KeyError if there is none."""
    module, _, name = PARSERS[dialect].partition(":")
    parser: Parser = getattr(import_module(module), name)()
    return parser
