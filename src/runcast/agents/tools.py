"""Tools: a template of the settings and a client's arguments become a command."""

import re
from collections.abc import Mapping

from runcast.agents import Launch
from runcast.agents.words import is_carried
from runcast.config_agents import ArgSettings, ToolSettings, places
from runcast.core.errors import BadRequest


def fill(name: str, tool: ToolSettings, args: Mapping[str, str]) -> Launch:
    """Put the arguments in their places; no shell, so a value never becomes more than one word.

    A word that is nothing but the place of an absent argument is left out. Raises BadRequest
    naming the argument that is not declared, missing, or not as its pattern wants it.
    """
    for arg in args:
        if arg not in tool.args:
            known = ", ".join(tool.args) or "none"
            raise BadRequest.of(f"args.{arg}", f"{name} has no such argument; it has {known}")
    values = {arg: _value(arg, settings, args.get(arg)) for arg, settings in tool.args.items()}
    place = places(tool)
    words = (_filled(word, place, values) for word in tool.command)
    return Launch(
        [word for word in words if word is not None],
        tool.dialect,
        env=tool.env,
        timeout_s=tool.timeout_s,
    )


def _value(name: str, arg: ArgSettings, given: str | None) -> str | None:
    if given is None:
        if arg.required:
            raise BadRequest.of(f"args.{name}", "is missing")
        return arg.default
    if not is_carried(given):
        raise BadRequest.of(f"args.{name}", "has a character that no command line can carry")
    if arg.pattern is not None and re.fullmatch(arg.pattern, given) is None:
        raise BadRequest.of(f"args.{name}", f"must match {arg.pattern}")
    return given


def _filled(word: str, place: re.Pattern[str], values: Mapping[str, str | None]) -> str | None:
    if alone := place.fullmatch(word):
        return values[alone[1]]
    return place.sub(lambda found: values[found[1]] or "", word)
