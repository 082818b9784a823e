"""How events are shown to people: what is written of each type, and to which stream. Pure."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from shlex import quote
from typing import Any, Literal, NamedTuple

import msgspec

from runcast.cli.tables import fit
from runcast.cli.terminal import clean, one_line, plain
from runcast.core.times import format_duration

Data = Mapping[str, Any]
Stream = Literal["stdout", "stderr"]
Style = Literal["plain", "dim", "red", "green", "yellow", "cyan"]

_PREVIEW_LINES = 4  # of what a tool answered
_SGR: dict[Style, str] = {
    "plain": "",
    "dim": "\x1b[2m",
    "red": "\x1b[31m",
    "green": "\x1b[32m",
    "yellow": "\x1b[33m",
    "cyan": "\x1b[36m",
}
_RESET = "\x1b[0m"
_TOLD = "\u203a "  # before what was said to a run or an agent
_ENDS: dict[bool, tuple[str, Style]] = {True: ("✓", "dim"), False: ("✗", "red")}
_CHANGES = {"created": "+", "modified": "~", "deleted": "-"}


class Shown(NamedTuple):
    """What is written of an event: whole lines, without the last one's end.

    Standard output gets what a command or agent says and does; standard error what went wrong,
    what a person is asked, and what was said to the run, so that neither is lost in a pipe nor
    taken for output. Lines that are `short` are cut to the width there is.
    """

    text: str
    style: Style = "plain"
    stream: Stream = "stdout"
    short: bool = False


class Look(NamedTuple):
    """What the place can show that something is written to."""

    cleaned: bool  # control sequences that a program printed would act there
    coloured: bool
    width: int  # columns


Render = Callable[[Data], Iterator[Shown]]


def dress(shown: Shown, look: Look) -> str:
    """Return the text as it is written, with a line's end."""
    text = clean(shown.text) if look.cleaned else shown.text
    if shown.short:
        text = "\n".join(fit(line, look.width) for line in text.split("\n"))
    if look.coloured:
        text = _SGR[shown.style] + text
    # A colour that a text sets and does not end would colour everything after it.
    reset = _RESET if "\x1b" in text and (look.cleaned or look.coloured) else ""
    return f"{text}{reset}\n"


def renderers(next_command: Callable[[str], str] | None, *, verbose: bool) -> dict[str, Render]:
    """Return what shows each event type; types that are not in it are not shown.

    `next_command` makes the command line that answers an approval of its words; None where
    nobody can answer.
    """
    asking: dict[str, Render] = {"approval": partial(_approval, next_command)}
    return RENDERERS | asking | (VERBOSE if verbose else {})


def _message(data: Data) -> Iterator[Shown]:
    text = _text(data, "text").removesuffix("\n")
    if data.get("role") == "user":
        text = _marked(_TOLD, text)
    if text:
        yield Shown(text)
    yield from _rest(data, "text")


def _thought(data: Data) -> Iterator[Shown]:
    # The mark tells it from a message where no colour does.
    if text := _text(data, "text").strip("\n"):
        yield Shown("\n".join(f"· {line}".rstrip() for line in text.split("\n")), "dim")
    yield from _rest(data, "text")


def _tool_call(data: Data) -> Iterator[Shown]:
    given = data.get("input")
    words = one_line(_text(data, "input")) if given else ""
    yield Shown(f"▶ {one_line(_text(data, 'tool'))} {words}".rstrip(), "cyan", short=True)
    yield from _rest(data, "input")


def _tool_result(data: Data) -> Iterator[Shown]:
    mark, style = _ENDS[bool(data.get("ok"))]
    took = _number(data, "duration_ms")
    head = mark if took is None else f"{mark} {format_duration(took / 1000)}"
    lines = [line for line in _text(data, "content").splitlines() if line.strip()]
    first, *others = [one_line(line) for line in lines[:_PREVIEW_LINES]] or [""]
    shown = [f"  {head}  {first}".rstrip(), *(f"    {line}" for line in others)]
    more = len(lines) - _PREVIEW_LINES
    if more > 0 and "content_blob" not in data:
        shown.append(f"    … {more} more {'line' if more == 1 else 'lines'}")
    yield Shown("\n".join(shown), style, short=True)
    yield from _rest(data, "content", indent=4)


def _file_changed(data: Data) -> Iterator[Shown]:
    action = one_line(_text(data, "action"))
    size = _number(data, "size")
    shown = f"{_CHANGES.get(action, '~')} {action} {one_line(_text(data, 'path'))}"
    yield Shown(shown if size is None else f"{shown} ({_size(size)})", "green")


def _usage(data: Data) -> Iterator[Shown]:
    names = ("input_tokens", "output_tokens", "cost_usd")
    formats = ("{:,} in", "{:,} out", "${:.4f}")
    numbers = zip((_number(data, name) for name in names), formats, strict=True)
    parts = [form.format(number) for number, form in numbers if number is not None]
    if parts:
        yield Shown(f"tokens: {', '.join(parts)}", "dim")


def _error(data: Data) -> Iterator[Shown]:
    yield Shown(f"error: {_text(data, 'message').strip()}", "red", "stderr")
    yield from _rest(data, "message", stream="stderr")


def _input(data: Data) -> Iterator[Shown]:
    if text := _text(data, "text").removesuffix("\n"):
        yield Shown(_marked(_TOLD, text), "yellow", "stderr")
    yield from _rest(data, "text", stream="stderr")


def _gap(data: Data) -> Iterator[Shown]:
    reason = one_line(_text(data, "reason"))
    yield Shown(f"runcast: output is missing: {reason}", "yellow", "stderr")


def _approval(next_command: Callable[[str], str] | None, data: Data) -> Iterator[Shown]:
    tool, state = one_line(_text(data, "tool")), one_line(_text(data, "state"))
    if state != "pending":
        why = one_line(_text(data, "message"))
        parts = filter(None, (tool or "the question", state, why))
        yield Shown(f"? {': '.join(parts)}", "dim", "stderr")
        return
    yield Shown(f"? May it use {tool}?", "yellow", "stderr")
    yield from question(data)
    if next_command is None:
        yield Shown("  nobody can answer: the run takes no input", "yellow", "stderr")
        return
    words = f"approve {quote(_text(data, 'run_id'))} {quote(one_line(_text(data, 'id')))}"
    yield Shown(f"  yes: {next_command(words)}", "yellow", "stderr")
    yield Shown(f"  no:  {next_command(f'{words} --deny')}", "yellow", "stderr")


def question(data: Data) -> Iterator[Shown]:
    """Show what is to be approved: all of it, as JSON, where no text can hide another."""
    given = data.get("input")
    if given:
        text = given if isinstance(given, str) else _json(given, indent=2)
        yield Shown(_marked("  ", plain(text).replace("\r", "␍")), stream="stderr")
    yield from _rest(data, "input", stream="stderr")


def _progress(data: Data) -> Iterator[Shown]:
    percentage, calls, elapsed = (
        _number(data, name) for name in ("percentage", "tool_calls", "elapsed_s")
    )
    parts = [
        "" if percentage is None else f"{percentage:g}%",
        one_line(_text(data, "phase")),
        "" if not calls else f"{calls:g} tool {'call' if calls == 1 else 'calls'}",
        "" if elapsed is None else format_duration(elapsed),
    ]
    yield Shown(f"… {', '.join(filter(None, parts))}", "dim", "stderr")


def _custom(data: Data) -> Iterator[Shown]:
    name, value = one_line(_text(data, "name")), one_line(_text(data, "value"))
    yield Shown(f"{name} {value}".rstrip(), "dim", short=True)
    yield from _rest(data, "value")


RENDERERS: dict[str, Render] = {
    "message": _message,
    "thought": _thought,
    "tool_call": _tool_call,
    "tool_result": _tool_result,
    "file_changed": _file_changed,
    "usage": _usage,
    "error": _error,
    "input": _input,
    "gap": _gap,
}
VERBOSE: dict[str, Render] = {"progress": _progress, "custom": _custom}


def _text(data: Data, field: str) -> str:
    value = data.get(field)
    if value is None:
        return ""
    return value if isinstance(value, str) else _json(value)


def _number(data: Data, field: str) -> float | None:
    value = data.get(field)
    return value if isinstance(value, int | float) else None


def _json(value: Any, indent: int = -1) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=indent).decode()


def _marked(mark: str, text: str) -> str:
    """Put the mark before the first line, and as much room before the others."""
    return (mark + text.replace("\n", "\n" + " " * len(mark))).rstrip()


def _rest(data: Data, field: str, *, stream: Stream = "stdout", indent: int = 0) -> Iterator[Shown]:
    """Say how much of a text is kept outside the event, or of the texts within an object."""
    blob, value = data.get(f"{field}_blob"), data.get(field)
    size = _number(blob, "size") if isinstance(blob, dict) else None
    if size is not None:
        more = _size(size - len(_text(data, field).encode()))
        yield Shown(f"{' ' * indent}… {more} more", "dim", stream)
    elif isinstance(value, dict):
        for name in value:
            for shown in _rest(value, name, stream=stream, indent=indent):
                yield shown._replace(text=f"{' ' * indent}{name}: {shown.text.lstrip()}")


def _size(count: float) -> str:
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"
