"""Drivers: how the command-line programs of coding agents are started, and what they are told.

To add one: a file, a row in `DRIVERS`, and its name and permission modes among the settings.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Literal, Protocol

import msgspec

from runcast.config_agents import AgentOptions, AgentSettings

# Name of a driver -> "module:class".
DRIVERS: dict[str, str] = {
    "claude": "runcast.agents.claude:ClaudeDriver",
    "claude-subscription": "runcast.agents.claude:ClaudeSubscriptionDriver",
    "codex": "runcast.agents.codex:CodexDriver",
    "gemini": "runcast.agents.gemini:GeminiDriver",
    "opencode": "runcast.agents.opencode:OpencodeDriver",
}


class Launch(msgspec.Struct, frozen=True):
    """A command ready to be queued, and how it is to be surrounded and understood.

    `stdin_text` is the beginning of its input: with stdin `text` all of it, with `agent` or
    `pipe` more may follow. `unset` names variables that it must not see, wherever they come from.
    """

    command: list[str]
    dialect: str
    stdin: Literal["agent", "pipe", "text"] | None = None
    stdin_text: str = ""
    env: dict[str, str] = {}
    unset: tuple[str, ...] = ()
    timeout_s: float | None = None


class Driver(Protocol):
    """Knows one agent's CLI; `dialect` is the one it prints."""

    dialect: str

    def launch(self, prompt: str, options: AgentOptions, *, interactive: bool) -> Launch:
        """Return the command that has the agent work on `prompt`.

        An interactive one takes more prompts until its input is ended. Raises BadRequest naming
        `prompt` if this CLI cannot be given it, or `stdin` if it cannot be interactive.
        """
        ...


def driver(name: str) -> Driver:
    """Make the driver of this name; KeyError if there is none."""
    module, _, class_name = DRIVERS[name].partition(":")
    made: Driver = getattr(import_module(module), class_name)()
    return made


def known_agents(configured: Mapping[str, AgentSettings]) -> dict[str, AgentSettings]:
    """Return all agents that a run can name: one per driver, and those of the settings."""
    return {name: AgentSettings() for name in DRIVERS} | dict(configured)
