"""Printing a run's events as they come: raw output unchanged, every other type by its table row."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runcast.cli.lines import LineWriter, Output, Sink
from runcast.cli.options import next_command
from runcast.cli.render import renderers
from runcast.cli.tables import terminal_width

if TYPE_CHECKING:
    from runcast.client.types import StreamEvent
    from runcast.core.events import Draft, Lines


class Printer:
    """Prints events in order, to the file that `outputs` has for their stream, if any.

    What was added is written by `flush` at the latest. Where `exact`, a command's own output is
    left as it is even on a terminal. `answerable` says whether the run can be told an answer to
    what it asks, `indent` how many columns are taken before each line. `last_error` is what
    the last `error` event said.
    """

    def __init__(
        self,
        outputs: Mapping[str, Output],
        *,
        exact: bool,
        coloured: bool,
        verbose: bool,
        answerable: bool,
        indent: int = 0,
    ) -> None:
        self.last_error: str | None = None
        width = terminal_width()
        if width is not None:
            width = max(width - indent, 1)
        self._writer = LineWriter(
            {
                name: Sink(file, exact=exact, coloured=coloured, width=width)
                for name, file in outputs.items()
            }
        )
        self._renderers = renderers(next_command if answerable else None, verbose=verbose)

    @property
    def inside_line(self) -> bool:
        """Whether what was written last has not ended its line."""
        return self._writer.inside_line

    def add(self, event: "StreamEvent") -> None:
        """Take an event; frames that nothing is to be shown of are left out."""
        self._add(event.event, event.data)

    def add_draft(self, draft: "Draft") -> None:
        """Take an event of a log that no server keeps."""
        if draft.type == "output":
            self._add("log", {**draft.data, "line": draft.data["text"]})
        else:
            self._add(draft.type, draft.data)

    def add_lines(self, lines: "Lines") -> None:
        """Take lines of a log that no server keeps."""
        self._writer.add_lines(lines.stream, lines.texts)

    def flush(self) -> None:
        """Write what was added; raises BrokenPipeError once nobody reads."""
        self._writer.flush()

    def _add(self, name: str, data: Mapping[str, Any]) -> None:
        if name == "error":
            self.last_error = data.get("message")
        if name == "log":
            self._writer.add(data)
        elif render := self._renderers.get(name):
            for shown in render(data):
                self._writer.show(shown)


def is_answerable(stdin: str | None) -> bool:
    """Tell whether answers to what a run asks can reach it, by what it reads."""
    return stdin in ("pipe", "agent")
