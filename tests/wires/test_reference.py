"""The page on wires says what each of them makes of each event, and leaves none out."""

import re
from pathlib import Path

import pytest

from runcast.core.events import EVENT_TYPES, Draft, Entry, Lines
from runcast.wires import WIRES, Keep, new_wire
from tests.wires.said import TIME, Frame, draft, sse_frames, status, written

PAGE = Path(__file__).parents[2] / "docs/reference/wires.md"

# Each row of the page, by its first cell.
EVENTS: dict[str, Entry] = {
    "`output` of stdout": Lines(TIME, "stdout", ["hi"]),
    "`output` of stderr": Lines(TIME, "stderr", ["oh"]),
    "`message`": draft("message", role="assistant", text="done"),
    "`thought`": draft("thought", text="hm"),
    "`delta`": draft("delta", kind="message", message_id="m1", text="do"),
    "`tool_call`": draft("tool_call", tool_call_id="t1", tool="Bash", input={"command": "ls"}),
    "`tool_result`": draft("tool_result", tool_call_id="t1", tool="Bash", ok=True, content="a"),
    "`file_changed`": draft("file_changed", path="/a", action="created"),
    "`progress`": draft("progress", phase="thinking", tool_calls=1, elapsed_s=2),
    "`error`": draft("error", message="overloaded", source="agent"),
    "`approval`": draft("approval", id="a1", tool="Bash", input={}, state="pending"),
    "`input`": draft("input", text="yes"),
    "`usage`": draft("usage", input_tokens=1, output_tokens=2),
    "`custom`": draft("custom", name="x", value=1),
    "`status`: queued": status("queued"),
    "`status`: running": status("running"),
    "`status`: ended": status("completed", "exit", exit_code=0),
    "`status`: ended, never ran": status("failed", "spawn", error="no such file"),
    "`gap`": draft("gap", reason="truncated"),
}
NO_EVENTS = {
    "removed by retention": lambda wire: wire.gap(3, 9, "retention"),
    "the log is complete": lambda wire: wire.closing("r", 9, deleted=False),
    "the run was deleted": lambda wire: wire.closing("r", 9, deleted=True),
    "heartbeat": lambda wire: wire.heartbeat(),
}


def table(title):
    """Return the cells of the table that begins with this title: by row, by wire."""
    head, _, *rows = re.search(
        rf"^\| {title} ?\|.*`envelopes`(?:.*\n)(?:\|.*\n)+", PAGE.read_text(), re.MULTILINE
    )[0].splitlines()
    wires = [name.strip(" `") for name in head.split("|")[2:-1]]
    cells = ([cell.strip() for cell in row.split("|")[1:-1]] for row in rows)
    return {first: dict(zip(wires, rest, strict=True)) for first, *rest in cells}


def cell(frames: list[Frame]) -> str:
    """Write what a wire says as the page does."""
    if not frames:
        return "\N{EN DASH}"
    [frame] = frames
    data = frame.data
    if frame.event:
        return f"`{frame.event}`"
    said = data.get("payload", data)
    details = ("source", "kind", *(["status"] if data["type"] == "action" else []))
    return f"`{data['type']}`" + "".join(
        f", {name} `{said[name]}`" for name in details if name in said
    )


@pytest.mark.parametrize("row", EVENTS)
def test_every_wire_says_of_an_event_what_the_page_says(row):
    told = table("event")[row]
    assert {name: cell(written(name, EVENTS[row])) for name in told} == told


@pytest.mark.parametrize("row", NO_EVENTS)
def test_what_is_no_event_is_told_as_the_page_says(row):
    told = table("")[row]
    for name, expected in told.items():
        frames = NO_EVENTS[row](new_wire(name, Keep(), "seq"))
        assert ("comment" if frames == b": hb\n" else cell(sse_frames(frames))) == expected, name


def test_the_page_has_every_type_and_wire_and_no_row_too_many():
    found = table("event")
    assert set(found) == set(EVENTS)
    assert set(table("")) == set(NO_EVENTS)
    types = {entry.type if isinstance(entry, Draft) else "output" for entry in EVENTS.values()}
    assert types == set(EVENT_TYPES)
    assert all({*told, "ndjson"} == set(WIRES) for told in found.values())
