"""What all dialects of one JSON object per line have in common."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import msgspec

from runcast.core.events import Data, Draft, Entry
from runcast.core.limits import INLINE_BYTES
from runcast.parsers import Account, Saved, Word
from runcast.parsers.open_line import OpenLine
from runcast.parsers.outputs import output, outputs
from runcast.parsers.values import Json, as_text, byte_size, decode, within
from runcast.spool.records import Block, Broken

Reader = Callable[[Any, Json], Iterable[Draft]]

# What is remembered of a run goes into every commit, so it is bounded.
_OPEN_CALLS = 200
_DRAFTS_OF_A_LINE = 1_000  # more are one `custom`: they would all be one commit
_OPEN_MESSAGES = 20
_NAME_CHARS = 200
_NOTE_CHARS = 500  # longer, it is forgotten: a part of an id or a path is a wrong one
_COMPLAINT_CHARS = 500

# What an agent is at, by the event that was seen last.
_PHASES = {
    "thought": "thinking",
    "message": "responding",
    "delta": "responding",
    "tool_result": "thinking",
    "approval": "waiting for approval",
}
NO_ANSWER = "the run ended before this tool gave an answer"


class Call(msgspec.Struct, array_like=True):
    """A tool call without an answer so far: its time, and what the dialect wants to remember."""

    tool: str
    time: int
    note: str = ""


class Making(msgspec.Struct, array_like=True):
    """A message that comes in pieces: its id, and what its next piece has to know."""

    message_id: str
    held: str = ""


class State(msgspec.Struct, array_like=True):
    """What a parser remembers between records; small, and saved with every commit."""

    time: int = 0  # of the record that was read last
    word: Word | None = None
    phase: str = "starting"
    tool_calls: int = 0
    calls: dict[str, Call] = {}
    complaint: str = ""
    given_up: bool = False  # the line that is passing is longer than any may be
    making: dict[str, Making] = {}  # the message in the making of each who speaks
    spoken: str = ""  # the agent's last message
    made: int = 0  # ids made here, for dialects that give none
    unanswered: list[str] = []  # the tools of calls that were open when the output ended
    busy: bool = False  # it works on in the background, so its word is not its last


class JsonLines:
    """The parser of a dialect, given the readers of its kinds of line.

    A reader takes the parser and the decoded line and yields drafts. It reads every field it
    needs before it changes what the parser remembers, and raises Unreadable if one is not what it
    should be. Lines that are not JSON objects become `output`; those of a kind nobody reads, or
    that a reader cannot read, `custom`; both count as not understood. What goes to stderr is
    `output`, record by record.
    """

    version: ClassVar[int] = 1
    ends_with_word: ClassVar[bool] = False
    name: ClassVar[str]  # of the dialect, as the source of its errors
    readers: ClassVar[Mapping[str, Reader]]

    def __init__(self) -> None:
        self.unknown = 0
        self.state = State()
        self._line = OpenLine()

    # What the frame does for whoever feeds it.

    def feed(self, blocks: Iterable[Block | Broken]) -> list[Entry]:
        """Take the next records and return the entries they complete."""
        entries: list[Entry] = []
        for block in blocks:
            if isinstance(block, Broken):
                gap = {"reason": "truncated", "bytes": block.size}
                entries.append(Draft(self.state.time, "gap", gap))
                continue
            self.state.time = block.time
            if block.stream == "stdout":
                self._stdout(block, entries)
            else:
                self._stderr(block, entries)
        return entries

    def finish(self) -> list[Entry]:
        """Read a line without a newline, then close the tool calls that got no answer."""
        entries: list[Entry] = []
        if self._line.size:
            self._read(self._line.end(b""), entries)
        entries.extend(self.interrupted())
        self.state.unanswered += [call.tool for call in self.state.calls.values()]
        open_calls = list(self.state.calls)
        entries.extend(self.answer(call_id, ok=False, content=NO_ANSWER) for call_id in open_calls)
        return entries

    def account(self) -> Account:
        """Tell what is known of the agent."""
        state = self.state
        return Account(
            word=state.word,
            phase=state.phase,
            tool_calls=state.tool_calls,
            open_calls=(*state.unanswered, *(call.tool for call in state.calls.values())),
            complaint=state.complaint,
        )

    def save(self) -> Saved:
        """Return what a new parser needs to go on from here."""
        self.state.given_up = self._line.given_up
        return Saved(self._line.saved(), msgspec.msgpack.encode(self.state))

    def restore(self, saved: Saved, blocks: Iterable[Block | Broken]) -> None:
        """Go on from what was saved."""
        try:
            self.state = msgspec.msgpack.decode(saved.state, type=State)
        except msgspec.DecodeError:
            self.state = State()
        self._line.given_up = self.state.given_up
        if saved.open:
            self._line.restore(blocks)

    # What a dialect may add.

    def interrupted(self) -> Iterable[Draft]:
        """Yield what was held back, because something else or the end has come."""
        return ()

    def strange(self, name: str, value: Json) -> Iterable[Draft]:
        """Keep a line, or a part of one, that is not understood."""
        self.unknown += 1
        return [self.custom(name, value)]

    def plain(self, line: bytes) -> Iterable[Entry]:
        """Keep a line that is no JSON object."""
        self.unknown += 1
        return output(self.state.time, "stdout", line, partial=False)

    # What readers use.

    def event(self, kind: str, data: Data) -> Draft:
        """Make a draft with the time of the line that is being read."""
        state = self.state
        if kind in _PHASES:
            state.phase = _PHASES[kind]
        return Draft(state.time, kind, data)

    def custom(self, name: str, value: Any) -> Draft:
        """Keep what has no event type of its own."""
        return Draft(self.state.time, "custom", {"name": name, "value": value})

    def error(self, message: str) -> Draft:
        """Make an `error` event in the agent's name."""
        return Draft(self.state.time, "error", {"message": message, "source": self.name})

    def call(self, call_id: str, tool: str, given: Any, note: str = "", **more: Any) -> Draft:
        """Open a tool call; `note` is what its answer will need to know."""
        state = self.state
        state.tool_calls += 1
        if len(call_id) <= _NAME_CHARS and len(state.calls) < _OPEN_CALLS:
            state.calls[call_id] = Call(tool[:_NAME_CHARS], state.time, _short(note))
        state.phase = f"running {tool[:_NAME_CHARS]}"
        data = {"tool_call_id": call_id, "tool": tool, "input": given, **more}
        return Draft(state.time, "tool_call", data)

    def answer(
        self, call_id: str, *, ok: bool, content: Any, took_ms: int | None = None, **more: Any
    ) -> Draft:
        """Close a tool call; its duration is measured between the lines unless it is told."""
        call = self.state.calls.pop(call_id, None)
        if took_ms is None and call is not None:
            took_ms = max(0, self.state.time - call.time) // 1000
        text = as_text(content)
        data = {
            "tool_call_id": call_id,
            **({} if call is None else {"tool": call.tool}),
            "ok": ok,
            "content": text,
            "size": byte_size(text),
            "duration_ms": took_ms,
            **more,
        }
        return self.event("tool_result", data)

    def usage(
        self, input_tokens: int | None, output_tokens: int | None, cost_usd: float | None = None
    ) -> list[Draft]:
        """Make a `usage` event, in which tokens that were not told are 0; none if nothing was."""
        if input_tokens is None and output_tokens is None and cost_usd is None:
            return []
        data: Data = {"input_tokens": input_tokens or 0, "output_tokens": output_tokens or 0}
        if cost_usd is not None:
            data["cost_usd"] = cost_usd
        return [Draft(self.state.time, "usage", data)]

    def said(self, text: str, *, ok: bool) -> None:
        """Note the agent's last word on how it ended."""
        self.state.word = Word(ok, within(text, INLINE_BYTES))
        self.state.phase = "finished"

    def speaks(self, speaker: str, message_id: str, held: str = "") -> None:
        """Note what message is in the making; of too many who speak, the first is forgotten."""
        making = self.state.making
        making[_short(speaker)] = Making(_short(message_id), _short(held))
        if len(making) > _OPEN_MESSAGES:
            del making[next(iter(making))]

    def new_id(self, prefix: str) -> str:
        """Make an id that no other event of this run has been given here."""
        self.state.made += 1
        return f"{prefix}-{self.state.made}"

    # The way of a record.

    def _stderr(self, block: Block, entries: list[Entry]) -> None:
        for text in reversed(block.texts()):
            if complaint := text.decode(errors="replace").strip():
                self.state.complaint = complaint[:_COMPLAINT_CHARS]
                break
        entries.extend(outputs(block))

    def _stdout(self, block: Block, entries: list[Entry]) -> None:
        line = self._line
        for text in block.texts():
            if not block.full:
                for part in line.hold(text, block.offset):
                    entries.extend(output(block.time, "stdout", part, partial=True))
            elif line.given_up:
                entries.extend(self.plain(line.end(text)))
            else:
                self._read(line.end(text) if line.size else text, entries)

    def _read(self, line: bytes, entries: list[Entry]) -> None:
        try:
            value = decode(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            entries.extend(self.plain(line))
            return
        reader = self.readers.get(kind_of(value))
        try:
            if reader is not None:
                drafts = list(reader(self, value))
                if len(drafts) <= _DRAFTS_OF_A_LINE:
                    entries.extend(drafts)
                    return
        except Exception:  # noqa: BLE001, S110 - formats drift; no line may end the run's log
            pass
        entries.extend(self.strange(kind_of(value), value))


def _short(text: str) -> str:
    return text if len(text) <= _NOTE_CHARS else ""


def kind_of(value: Json) -> str:
    """Return the `type` of a line or of a part of one; `object` if it has none."""
    kind = value.get("type")
    return kind if isinstance(kind, str) else "object"


def keep(parser: JsonLines, value: Json) -> Iterable[Draft]:
    """Read a line by keeping it whole as `custom`, under the name of its kind."""
    return [parser.custom(kind_of(value), value)]


def skip(_parser: JsonLines, _value: Json) -> Iterable[Draft]:
    """Read a line that says nothing which another line does not say."""
    return ()
