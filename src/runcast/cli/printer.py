"""Printing a run's events as they come: raw output unchanged, every other type by its table row."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from runcast.cli.lines import LineWriter, Sink
from runcast.cli.options import next_command
from runcast.cli.render import renderers
from runcast.cli.tables import terminal_width

if TYPE_CHECKING:
    from runcast.client.follow import StreamEvent


class Printer:
    """Prints events in order, to the file that `outputs` has for their stream, if any.

    What was added is written by `flush` at the latest. Where `exact`, a command's own output is
    left as it is even on a terminal. `answerable` says whether the run can be told an answer to
    what it asks. `last_error` is what the last `error` event said.
    """

    def __init__(
        self,
        outputs: Mapping[str, TextIO],
        *,
        exact: bool,
        coloured: bool,
        verbose: bool,
        answerable: bool,
    ) -> None:
        self.last_error: str | None = None
        width = terminal_width()
        self._writer = LineWriter(
            {
                name: Sink(file.buffer, exact=exact, coloured=coloured, width=width)
                for name, file in outputs.items()
            }
        )
        self._renderers = renderers(next_command if answerable else None, verbose=verbose)

    def add(self, event: "StreamEvent") -> None:
        """Take an event; frames that nothing is to be shown of are left out."""
        if event.event == "error":
            self.last_error = event.data.get("message")
        if event.event == "log":
            self._writer.add(event.data)
        elif render := self._renderers.get(event.event):
            for shown in render(event.data):
                self._writer.show(shown)

    def flush(self) -> None:
        """Write what was added; raises BrokenPipeError once nobody reads."""
        self._writer.flush()


def is_answerable(run: Mapping[str, Any]) -> bool:
    """Tell whether answers to what a run asks can reach it."""
    return run.get("stdin") in ("pipe", "agent")
