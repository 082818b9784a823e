"""The lines that Claude Code reads with `--input-format stream-json`."""

import json
from collections.abc import Mapping
from typing import Any, Literal

INTERRUPT_ID = "runcast-interrupt"
DENIED = "This was not allowed."


class ClaudeControl:
    """Prompts, answers to its permission requests, and its interrupt."""

    def prompt(self, text: str) -> bytes:
        """Write a message of the user."""
        message = {"role": "user", "content": text}
        return _line(
            {"type": "user", "message": message, "parent_tool_use_id": None, "session_id": ""}
        )

    def answer(
        self,
        approval: Mapping[str, Any],
        decision: Literal["allow", "deny"],
        message: str | None,
        input: dict[str, Any] | None,  # noqa: A002 - as in Control
    ) -> bytes:
        """Write the answer to a request for permission, by the id it came with."""
        answers: dict[str, dict[str, Any]] = {
            "allow": {"updatedInput": approval["input"] if input is None else input},
            "deny": {"message": DENIED if message is None else message},
        }
        response = {
            "subtype": "success",
            "request_id": approval["id"],
            "response": {"behavior": decision, **answers[decision]},
        }
        return _line({"type": "control_response", "response": response})

    def interrupt(self) -> bytes:
        """Write the request to end the turn; its id is fixed, so saying it twice is harmless."""
        request = {"subtype": "interrupt"}
        return _line({"type": "control_request", "request_id": INTERRUPT_ID, "request": request})


def _line(message: Mapping[str, Any]) -> bytes:
    # ASCII: no character in it can be cut, and none of Unicode's line ends can end it.
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"
