"""Plain lines: every record is one `output`; nothing is held open between records."""

from collections.abc import Iterable

from runcast.core.events import Draft, Entry
from runcast.parsers import Account, Saved
from runcast.parsers.outputs import outputs
from runcast.spool.records import Block, Broken


class LinesParser:
    """The dialect of commands that print text."""

    version = 1
    ends_with_word = False
    unknown = 0

    def __init__(self) -> None:
        self._time = 0

    def feed(self, blocks: Iterable[Block | Broken]) -> list[Entry]:
        """Turn records into `output` entries, and what is no record into a `gap`."""
        entries: list[Entry] = []
        for block in blocks:
            if isinstance(block, Broken):
                gap = {"reason": "truncated", "bytes": block.size}
                entries.append(Draft(self._time, "gap", gap))
                continue
            self._time = block.time
            entries.extend(outputs(block))
        return entries

    def finish(self) -> list[Entry]:
        """Return nothing: no line is held open."""
        return []

    def account(self) -> Account | None:
        """Return None: plain lines do not speak of an agent."""
        return None

    def save(self) -> Saved:
        """Return the time of the last record, which a gap behind it will have."""
        return Saved({}, str(self._time).encode())

    def restore(self, saved: Saved, blocks: Iterable[Block | Broken]) -> None:
        """Go on from that time; no line was open."""
        del blocks
        self._time = int(saved.state) if saved.state.isdigit() else 0
