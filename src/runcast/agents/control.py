"""What can be said to an agent while it runs, as bytes for its standard input; pure."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal, Protocol

# Name of a dialect -> "module:class" of its control; the agents of the others listen to nothing.
CONTROLS: dict[str, str] = {
    "claude": "runcast.agents.claude_control:ClaudeControl",
}


class Control(Protocol):
    """Writes what one kind of agent reads; every answer is whole lines."""

    def prompt(self, text: str) -> bytes:
        """Give the agent something to do, at once or after what it is doing."""
        ...

    def answer(
        self,
        approval: Mapping[str, Any],
        decision: Literal["allow", "deny"],
        message: str | None,
        input: dict[str, Any] | None,  # noqa: A002 - the word of the API
    ) -> bytes:
        """Answer a question; `approval` is the data of its event, whole.

        What is allowed is the input that was asked about, or `input` in its place. `message`
        tells the agent why it is denied.
        """
        ...

    def interrupt(self) -> bytes:
        """Ask the agent to stop what it is doing and say its last word."""
        ...


def control(dialect: str) -> Control | None:
    """Make the control of a dialect; None if its agents listen to nothing."""
    if dialect not in CONTROLS:
        return None
    module, _, class_name = CONTROLS[dialect].partition(":")
    made: Control = getattr(import_module(module), class_name)()
    return made
