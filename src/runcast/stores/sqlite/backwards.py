"""Pages of batches from the newest on: of all runs, or of those that are selected."""

from collections.abc import Sequence
from typing import NamedTuple

import apsw

from runcast.core.events import Batch
from runcast.stores import Selection
from runcast.stores.sqlite import queries
from runcast.stores.sqlite.pages import Refs, Standing, seek, snapshot, standing, take_rows

_ANY_TIME = -(2**63)


class Stretch(NamedTuple):
    """Which batches are looked at: they begin between two positions, and are not all too old."""

    after: int
    before: int
    since: int | None

    @property
    def oldest(self) -> int:
        """The time that the newest event of a batch must have at least."""
        return _ANY_TIME if self.since is None else self.since


def read_back(
    connection: apsw.Connection, refs: Refs, where: Selection, stretch: Stretch, limit: int
) -> list[Batch]:
    """Return the selected batches of a stretch, newest first.

    One run's are found by its log, however long the stretch is; of more runs they are looked for
    among all that are there.
    """
    with snapshot(connection):
        if where.run_id is not None:
            return _of_run(connection, refs, where, stretch, limit)
        terms, selected = queries.selection_terms(where)
        sql = " AND ".join([queries.READ_BACK, *terms]) + queries.BACK_ORDER
        values: Sequence[str | int] = (stretch.after, stretch.before, stretch.oldest, *selected)
        return take_rows(connection, refs, sql, values, limit)


def _of_run(
    connection: apsw.Connection, refs: Refs, where: Selection, stretch: Stretch, limit: int
) -> list[Batch]:
    terms, selected = queries.selection_terms(where)
    sql = f"{queries.STANDING_OF_RUNS} WHERE {' AND '.join(terms)}"
    found = standing(connection, sql, selected)
    if not found:
        return []
    (log,) = found
    behind = _last_up_to(connection, log, stretch.after)
    last = _last_up_to(connection, log, stretch.before - 1)
    values = (log.id, behind, last, stretch.oldest)
    return take_rows(connection, refs, queries.READ_BACK_OF_LOG, values, limit)


def _last_up_to(connection: apsw.Connection, log: Standing, position: int) -> int:
    """Return the first seq of the newest batch that begins at a position or before it."""
    if position < log.first + log.first_gap:
        return log.first - 1
    return seek(connection, log, min(position, log.last + log.last_gap) - 1)
