"""Streams over many logs: where a client begins, and what it is told of what is gone."""

from runcast.core.errors import Gone
from runcast.runtime.follow import PositionFollower
from runcast.runtime.runtime import Runtime
from runcast.stores import Selection
from runcast.wires import Wire

Opening = tuple[bytes, int]  # a first frame, perhaps empty, and the floor that it tells of


async def begin_where(
    runtime: Runtime, selection: Selection, cursor: int | None, wire: Wire, *, strict: bool
) -> tuple[PositionFollower, Opening]:
    """Follow a selection of logs from a position, None for now.

    Where events after it were removed, it begins at the first that is kept, and the opening says
    so; with `strict` that is Gone `gap`. A position beyond the newest is Gone `cursor_ahead`.
    """
    positions = await runtime.store.positions()
    start = positions.head if cursor is None else cursor
    if start > positions.head:
        raise Gone(
            "cursor_ahead", f"the newest event is {positions.head}", {"last": positions.head}
        )
    opening = (b"", 0)
    if start < positions.floor:
        kept = await runtime.store.read_all(start, 1, selection)
        first = max(kept[0].first_position, start + 1) if kept else positions.head + 1
        if strict:
            gap = {"after": start, "first": first, "reason": "retention"}
            raise Gone("gap", f"events after {start} have been removed", gap)
        opening = (wire.gap(start, first, "retention"), positions.floor)
        start = first - 1
    return runtime.logs.follow_where(selection, start), opening
