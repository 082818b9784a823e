"""The page on dialects leaves no kind of line out, and says which events each becomes."""

import json
import re
from pathlib import Path

import pytest

from runcast.core.events import EVENT_TYPES
from runcast.parsers import PARSERS, claude, codex, new_parser
from runcast.spool.records import blocks
from tests.parsers.transcripts import TRANSCRIPTS, dialect_of, found_in, printed, spool_of

PAGE = Path(__file__).parents[2] / "docs/reference/dialects.md"
CODE = re.compile(r"`([^`\n]+)`")


def sections():
    parts = re.split(r"^### (\w+)\n", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(dialect):
    """Return which events the page names for each kind of line of a dialect."""
    found = {}
    for row in re.findall(r"^\| (`.*)$", sections()[dialect], re.MULTILINE):
        kinds, events, _ = row.split("|", 2)
        found |= {kind: set(CODE.findall(events)) for kind in CODE.findall(kinds)}
    return found


def test_the_page_has_every_dialect():
    assert set(sections()) == set(PARSERS)


@pytest.mark.parametrize("dialect", sorted(set(PARSERS) - {"lines"}))
def test_a_table_has_every_kind_of_line_and_no_other(dialect):
    assert set(rows(dialect)) == set(new_parser(dialect).readers)
    assert set().union(*rows(dialect).values()) <= set(EVENT_TYPES)


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)
def test_lines_become_events_that_the_table_names(transcript):
    dialect = dialect_of(transcript)
    named = rows(dialect)
    for line in printed(transcript):
        parser = new_parser(dialect)
        found = found_in(parser.feed(blocks(spool_of([line + b"\n"]))))
        if parser.unknown == 0 and (kind := kind_of(line)) in named:
            assert {event for event, _ in found} <= named[kind], line


def kind_of(line):
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value.get("type") if isinstance(value, dict) else None


@pytest.mark.parametrize(
    ("dialect", "parts"),
    [
        ("claude", [*claude.BLOCKS, *claude.DELTAS]),
        ("codex", [*codex.CALLS, *codex.ITEMS]),
    ],
)
def test_the_parts_of_lines_are_named_too(dialect, parts):
    assert set(parts) <= set(CODE.findall(sections()[dialect]))
