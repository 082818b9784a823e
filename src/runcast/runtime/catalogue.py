"""What can be run by name: the tools and agents of the settings, as clients are shown them."""

from typing import Any

from runcast.agents import driver, known_agents
from runcast.config import Settings


def list_tools(settings: Settings) -> list[dict[str, Any]]:
    """List the tools; what they run and their environment stay with the server."""
    return [
        {
            "name": name,
            "dialect": tool.dialect,
            "arguments": {
                argument: {"required": arg.required, "default": arg.default, "pattern": arg.pattern}
                for argument, arg in tool.args.items()
            },
        }
        for name, tool in sorted(settings.tools.items())
    ]


def list_agents(settings: Settings) -> list[dict[str, Any]]:
    """List the agents: those of the settings, and every driver under its own name."""
    known = {name: agent.driver or name for name, agent in known_agents(settings.agents).items()}
    return [
        {
            "name": name,
            "driver": driven_by,
            "dialect": driver(driven_by).dialect,
            "arguments": {"prompt": {"required": True, "default": None, "pattern": None}},
        }
        for name, driven_by in sorted(known.items())
    ]
