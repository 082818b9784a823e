"""What is wrong with a value, in the words of those who gave it instead of msgspec's."""

import re
from typing import Any, Literal, get_args, get_origin

_LOCATED = re.compile(r"(?P<text>.*) - at (?P<path>.*)", re.DOTALL)
_QUOTED = re.compile(r"`([^`]*)`")
_BAD_CHOICE = "Invalid enum value"
_WORDS = {
    "array": "list",
    "bool": "true or false",
    "float": "number",
    "int": "whole number",
    "object": "mapping",
    "str": "text",
}


def located(problem: str) -> tuple[str, str]:
    """Split msgspec's message into what is wrong and where, a path from `$`."""
    found = _LOCATED.fullmatch(problem)
    text, path = (found["text"], found["path"]) if found else (problem, "$")
    return text, path.replace("`", "")


def worded(text: str, hint: Any) -> str:
    """Say what is wrong with a value that should have been a `hint`."""
    if text.startswith(_BAD_CHOICE):
        text = f"{text}; one of {', '.join(_choices(hint))}"
    text = _QUOTED.sub(lambda quoted: _kind(quoted[1]), text)
    return text[:1].lower() + text[1:]


def _kind(types: str) -> str:
    return " or ".join(_WORDS.get(word, word) for word in types.split(" | "))


def _choices(hint: Any) -> list[str]:
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [choice for part in get_args(hint) for choice in _choices(part)]
