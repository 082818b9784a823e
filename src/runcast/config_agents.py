"""Settings of agents and tools: which program runs, with which words, and what is wrong with them.

What one field may hold is in its type. What several fields must be together can be said only of
the settings as a whole, since each source may give a part: `faults` says it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from runcast.config_section import Section

# Names of drivers and of parsers, which lie above and are told what the settings may name.
DriverName = Literal["claude", "claude-subscription", "codex", "gemini", "opencode"]
DialectName = Literal["lines", "claude", "codex", "gemini", "opencode", "jsonl", "envelope"]

_CLAUDE_MODES = (
    *("default", "manual", "acceptEdits", "plan", "auto", "dontAsk", "bypassPermissions"),
)
# What each driver's CLI may be told about what its agent is allowed to do.
PERMISSION_MODES: dict[str, tuple[str, ...]] = {
    "claude": _CLAUDE_MODES,
    "claude-subscription": _CLAUDE_MODES,
    "codex": ("read-only", "workspace-write", "danger-full-access"),
    "gemini": ("default", "auto_edit", "yolo", "plan"),
    "opencode": ("auto",),
}

_PLACE = re.compile(r"\{[A-Za-z0-9][A-Za-z0-9._-]*\}")
_SHELLS = frozenset({"sh", "bash", "dash", "zsh"})
_SHELL_OPTION = re.compile(r"[-+][A-Za-z-]+")

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Text = Annotated[str, Meta(pattern=r"^[^\0]*\Z")]
Variable = Annotated[str, Meta(pattern=r"^[^=\0]+\Z")]


class AgentOptions(Section):
    """How an agent's CLI is started, whichever it is."""

    model: Annotated[
        Text | None, Meta(description="The model to use; the CLI's own choice if absent.")
    ] = None
    permission_mode: Annotated[
        str | None,
        Meta(description="What the agent may do unasked, in the words of its CLI."),
    ] = None
    extra_args: Annotated[
        list[Text], Meta(description="More words for the command line, before the prompt.")
    ] = []
    env: Annotated[
        dict[Variable, Text], Meta(description="Added to the environment, under the request's.")
    ] = {}
    command: Annotated[
        list[Text],
        Meta(
            description="The words that start the CLI, such as [npx, some-cli].",
            extra={"default": "the CLI's usual name"},
        ),
    ] = []


class AgentSettings(AgentOptions):
    """An agent that runs can name."""

    driver: Annotated[
        DriverName | None,
        Meta(
            description="Which CLI the agent is, and so how it is started and understood.",
            extra={"default": "the agent's name"},
        ),
    ] = None


class ArgSettings(Section):
    """An argument that a tool takes."""

    required: Annotated[bool, Meta(description="Whether a run must give it.")] = False
    default: Annotated[Text | None, Meta(description="What it is if a run does not give it.")] = (
        None
    )
    pattern: Annotated[
        str | None, Meta(description="A regular expression that all of the value must match.")
    ] = None


class ToolSettings(Section):
    """A command template that runs can name."""

    command: Annotated[
        list[Text],
        Meta(description="The program and its words, with {ARG} where an argument goes; no shell."),
    ] = []
    args: Annotated[dict[Name, ArgSettings], Meta(extra={"entry": "ARG"})] = {}
    dialect: Annotated[DialectName, Meta(description="How the output is understood.")] = "lines"
    env: Annotated[
        dict[Variable, Text], Meta(description="Added to the environment, under the request's.")
    ] = {}
    timeout_s: Annotated[
        Annotated[float, Meta(gt=0, le=864_000_000)] | None,
        Meta(description="When to end the run if the request does not say; never if absent."),
    ] = None


def places(tool: ToolSettings) -> re.Pattern[str]:
    """Make the pattern of a tool's places: declared names in braces, and no other braces."""
    names = "|".join(map(re.escape, tool.args)) or "(?!)"
    return re.compile(rf"\{{({names})\}}")


class Fault(NamedTuple):
    """What is wrong with an entry of a section as a whole, such as one of the `agents`."""

    section: str
    name: str
    field: str
    text: str


def faults(
    agents: Mapping[str, AgentSettings], tools: Mapping[str, ToolSettings]
) -> Iterator[Fault]:
    """Yield what is wrong with agents and tools, beyond what the types of their fields say."""
    for name, agent in agents.items():
        for field, text in _faults_of_agent(name, agent):
            yield Fault("agents", name, field, text)
    for name, tool in tools.items():
        for field, text in _faults_of_tool(tool):
            yield Fault("tools", name, field, text)


def _faults_of_agent(name: str, agent: AgentSettings) -> Iterator[tuple[str, str]]:
    driver = agent.driver or name
    if driver not in PERMISSION_MODES:
        yield "driver", f"is missing; one of {', '.join(PERMISSION_MODES)}"
    elif agent.permission_mode not in (None, *PERMISSION_MODES[driver]):
        modes = ", ".join(PERMISSION_MODES[driver])
        yield "permission_mode", f"{driver} knows no {agent.permission_mode!r}; one of {modes}"
    if agent.command and not agent.command[0]:
        yield "command", "the first word must not be empty"


def _faults_of_tool(tool: ToolSettings) -> Iterator[tuple[str, str]]:
    place = places(tool)
    program = tool.command[0] if tool.command else ""
    if not program:
        yield "command", "must be a list of at least one word, the first of them not empty"
    if found := place.search(program):
        yield "command", f"{found[0]} cannot be in the first word: what runs is not for a client"
    yield from (("command", fault) for fault in _faults_of_words(tool, place))
    used = {name for word in tool.command for name in place.findall(word)}
    for name, arg in tool.args.items():
        if name not in used:
            yield f"args.{name}", f"{{{name}}} is in no word of the command"
        for field, fault in _faults_of_arg(arg):
            yield f"args.{name}.{field}", fault


def _faults_of_words(tool: ToolSettings, place: re.Pattern[str]) -> Iterator[str]:
    for word in tool.command:
        if _PLACE.fullmatch(word) and not place.fullmatch(word):
            known = ", ".join(tool.args) or "none"
            yield f"{word} is the place of an argument that args has not; it has {known}"
    if found := place.search(_script(tool.command)):
        yield (
            f"{found[0]} is in the script of a shell, which would take a value for commands; "
            f'write "$1" there, and after the script the words sh, "{found[0]}"'
        )


def _script(command: Sequence[str]) -> str:
    """Return the word that a shell runs because of -c; empty if this is none."""
    words = iter(command)
    if PurePath(next(words, "")).name not in _SHELLS:
        return ""
    wanted = False
    for word in words:
        if not _SHELL_OPTION.fullmatch(word):
            return word if wanted else ""
        wanted = wanted or (word[:2] != "--" and "c" in word)
        if word[-1] in "oO":
            next(words, "")  # the name of what it sets
    return ""


def _faults_of_arg(arg: ArgSettings) -> Iterator[tuple[str, str]]:
    if arg.required and arg.default is not None:
        yield "required", "an argument with a default is never missing; give one of the two"
    try:
        pattern = re.compile(arg.pattern or "")
    except re.error as error:
        yield "pattern", f"not a regular expression: {error}"
        return
    if arg.pattern is not None and arg.default is not None and not pattern.fullmatch(arg.default):
        yield "default", f"{arg.default!r} does not match the pattern {arg.pattern!r}"
