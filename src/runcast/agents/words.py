"""The words of an agent's command line, and what no command line can carry."""

import codecs
from collections.abc import Mapping

from runcast.core.errors import BadRequest

ARGUMENT_BYTES = 131_071  # Linux, MAX_ARG_STRLEN: 128 KiB with the NUL that ends it


def flags(values: Mapping[str, str | None]) -> list[str]:
    """Return the flags that have a value, each followed by it."""
    return [word for flag, value in values.items() if value is not None for word in (flag, value)]


def check_prompt(prompt: str) -> None:
    """Raise BadRequest if this is nothing to ask an agent."""
    if not prompt.strip():
        raise BadRequest.of("prompt", "must not be empty")
    if not is_carried(prompt):
        raise BadRequest.of("prompt", "has a character that no agent can be given")


def prompt_word(prompt: str, flag: str = "") -> str:
    """Return the prompt as one word of a command line; raise BadRequest if it is none."""
    check_prompt(prompt)
    word = flag + prompt
    if len(word.encode()) > ARGUMENT_BYTES:
        raise BadRequest.of(
            "prompt",
            f"this agent takes its prompt from its command line, where the system lets one word "
            f"have {ARGUMENT_BYTES - len(flag)} bytes; this one has {len(prompt.encode())}",
        )
    return word


def check_not_interactive(interactive: bool) -> None:
    """Raise BadRequest: for agents that read nothing but their command line."""
    if interactive:
        raise BadRequest.of(
            "stdin", "this agent takes its prompt from its command line and reads no other"
        )


def is_carried(text: str) -> bool:
    """Tell whether a command line, a path or an environment can carry this text."""
    return "\0" not in text and is_encodable(text)


def is_encodable(text: str) -> bool:
    """Tell whether this text has a UTF-8 form: halves of surrogate pairs have none."""
    try:
        codecs.encode(text, "utf-8")
    except UnicodeEncodeError:
        return False
    return True
