"""The SQL of the SQLite engine, by name, and the search condition of a list of runs."""

from collections.abc import Sequence

from runcast.core.events import run_log
from runcast.stores import RunFilter, Selection

# The connection

SCHEMA_VERSION = "SELECT value FROM meta WHERE key = 'schema_version'"
SET_META = "UPDATE meta SET value = ?2 WHERE key = ?1"
POSITIONS = """
    SELECT (SELECT value FROM meta WHERE key = 'head'), (SELECT value FROM meta WHERE key = 'floor')
"""
IS_EMPTY = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)"

# Logs and batches

LOG = """
    SELECT l.id, l.first_seq, l.last_seq, l.bytes, l.sealed, coalesce(c.offset, 0),
        r.task_id, r.workspace_id, r.kind, r.source
    FROM logs AS l LEFT JOIN checkpoints AS c ON c.log = l.id LEFT JOIN runs AS r ON r.log = l.id
    WHERE l.name = ?
"""
HEAD = "SELECT first_seq, last_seq, sealed, bytes FROM logs WHERE name = ?"
ADD_LOG = "INSERT INTO logs (name) VALUES (?) RETURNING id"
SAVE_LOG = "UPDATE logs SET first_seq = ?2, last_seq = ?3, bytes = ?4, sealed = ?5 WHERE id = ?1"
ADD_BATCH = "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)"
LAST_POSITION = """
    SELECT position + count - 1 FROM batches WHERE log = ? ORDER BY first_seq DESC LIMIT 1
"""
# Scalar subqueries, and the + that hides an index: whatever SQLite believes of the tables' sizes,
# it can only walk the batches in order. A plan that sorts would read the rest of the log per page.
READ = """
    SELECT ?1, first_seq, position, count, body
    FROM batches
    WHERE log = (SELECT id FROM logs WHERE name = ?1)
      AND first_seq >= max(
          coalesce((SELECT first_seq FROM logs WHERE name = ?1), 0),
          coalesce((
              SELECT first_seq FROM batches
              WHERE log = (SELECT id FROM logs WHERE name = ?1) AND first_seq <= ?2 + 1
              ORDER BY first_seq DESC LIMIT 1), 0))
      AND first_seq + count - 1 > ?2
    ORDER BY first_seq
"""
READ_ALL = """
    SELECT l.name, b.first_seq, b.position, b.count, b.body
    FROM batches AS b CROSS JOIN logs AS l ON l.id = b.log
    WHERE b.position >= coalesce((
          SELECT position FROM batches
          WHERE position <= ?1 + 1 ORDER BY position DESC LIMIT 1), 0)
      AND b.position + b.count - 1 > ?1
      AND +b.log > 2
    ORDER BY b.position
"""

# Reading the logs of some runs by position

SCAN = """
    SELECT l.name, b.first_seq, b.position, b.count, b.body
    FROM batches AS b CROSS JOIN logs AS l ON l.id = b.log CROSS JOIN runs AS r ON r.log = b.log
    WHERE b.position >= coalesce((
          SELECT position FROM batches
          WHERE position <= ?1 + 1 ORDER BY position DESC LIMIT 1), 0)
      AND b.position + b.count - 1 > ?1
"""
SCAN_ORDER = " ORDER BY b.position"
REF = """
    SELECT r.task_id, r.workspace_id, r.kind, r.source
    FROM logs AS l JOIN runs AS r ON r.log = l.id WHERE l.name = ?
"""
# How many there are, but not beyond a limit.
COUNT_SOME = "SELECT count(*) FROM (SELECT 1 FROM runs AS r{} LIMIT ?)"
# The gaps are what the positions of the first and of the last batch are ahead of their seqs: both
# stand in the index, so no batch is touched.
_STANDING = """
    SELECT l.name, l.id, l.first_seq, l.last_seq,
        (SELECT position - first_seq FROM batches
         WHERE log = l.id AND first_seq >= l.first_seq ORDER BY first_seq LIMIT 1),
        (SELECT position - first_seq FROM batches
         WHERE log = l.id ORDER BY first_seq DESC LIMIT 1)
"""
STANDING_OF_RUNS = _STANDING + "FROM runs AS r CROSS JOIN logs AS l ON l.id = r.log"
STANDING_OF_LOG = _STANDING + "FROM logs AS l WHERE l.name = ?"
BATCH_AT = """
    SELECT first_seq, position FROM batches
    WHERE log = ? AND first_seq <= ? ORDER BY first_seq DESC LIMIT 1
"""
READ_FROM = """
    SELECT ?1, first_seq, position, count, body FROM batches
    WHERE log = ?2 AND first_seq >= ?3 ORDER BY first_seq LIMIT ?4
"""

# Reading backwards

# Only what begins between two positions is walked, and no body is touched that is too old.
_BACK = """
    SELECT l.name, b.first_seq, b.position, b.count, b.body
    FROM batches AS b CROSS JOIN logs AS l ON l.id = b.log CROSS JOIN runs AS r ON r.log = b.log
"""
READ_BACK = f"{_BACK} WHERE b.position > ? AND b.position < ? AND b.newest >= ?"
BACK_ORDER = " ORDER BY b.position DESC"
READ_BACK_OF_LOG = f"""{_BACK}
    WHERE b.log = ? AND b.first_seq > ? AND b.first_seq <= ? AND b.newest >= ?
    ORDER BY b.first_seq DESC
"""

# Checkpoints

CHECKPOINT = """
    SELECT c.doc FROM logs AS l JOIN checkpoints AS c ON c.log = l.id WHERE l.name = ?
"""
SAVE_CHECKPOINT = "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?)"

# Runs

RUN = """
    SELECT r.log, r.doc, l.last_seq, l.bytes
    FROM logs AS l JOIN runs AS r ON r.log = l.id WHERE l.name = ?
"""
# CROSS JOIN: else SQLite may begin with all logs, which have a row for every run.
RUNS = (
    "SELECT r.log, r.doc, l.last_seq, l.bytes FROM runs AS r CROSS JOIN logs AS l ON l.id = r.log"
)
PAGE = " ORDER BY r.log DESC LIMIT ? OFFSET ?"
COUNT = "SELECT count(*) FROM runs AS r"
TOTALS = "SELECT status, count(*) FROM runs GROUP BY status"
WORKSPACE_TOTALS = "SELECT workspace_id, count(*) FROM runs GROUP BY workspace_id"
KEYS = "SELECT key FROM runs"
SAVE_RUN = "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
RUN_DOC = "SELECT doc FROM runs WHERE log = ?"
TO_CLAIM = """
    SELECT l.name FROM runs AS r JOIN logs AS l ON l.id = r.log
    WHERE r.status = 'queued' AND r.source = 'run' AND r.cancel_requested = 0
    ORDER BY r.log LIMIT ?
"""

# Approvals and stdin

APPROVAL = "SELECT doc FROM approvals WHERE log = ? AND id = ?"
APPROVALS = """
    SELECT a.doc FROM logs AS l JOIN approvals AS a ON a.log = l.id
    WHERE l.name = ? ORDER BY a.asked
"""
# Never as OR REPLACE: the row would be asked anew, behind the others.
SAVE_APPROVAL = """
    INSERT INTO approvals (log, id, state, doc) VALUES (?, ?, ?, ?)
    ON CONFLICT (log, id) DO UPDATE SET state = excluded.state, doc = excluded.doc
"""
COUNT_PENDING = "SELECT count(*) FROM approvals WHERE log = ? AND state = 'pending'"
STDIN = """
    SELECT s.offset, s.data, s.last FROM logs AS l JOIN stdin AS s ON s.log = l.id
    WHERE l.name = ? ORDER BY s.offset
"""
ADD_STDIN = "INSERT INTO stdin VALUES (?, ?, ?, ?)"
DELIVERED = """
    DELETE FROM stdin
    WHERE log = (SELECT id FROM logs WHERE name = ?) AND offset + length(data) + last <= ?
"""

# Workspaces, messages and answers

WORKSPACES = "SELECT id, name, root_path, color, created_at FROM workspaces ORDER BY number"
WORKSPACE = "SELECT id, name, root_path, color, created_at FROM workspaces WHERE id = ?"
# Never as OR REPLACE: the row would be added anew, behind the others.
SAVE_WORKSPACE = """
    INSERT INTO workspaces (id, name, root_path, color, created_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, color = excluded.color
"""
HAS_MESSAGE = "SELECT EXISTS (SELECT 1 FROM message_ids WHERE id = ? AND seq >= ?)"
SAVE_MESSAGE_ID = "INSERT OR REPLACE INTO message_ids VALUES (?, ?)"
ANSWERED = "SELECT fingerprint, doc FROM answers WHERE key = ?"
ADD_ANSWER = "INSERT INTO answers VALUES (?, ?, ?, ?)"
FORGET_ANSWERS = "DELETE FROM answers WHERE time < ? RETURNING 1"

# Deleting and trimming

IS_DELETED = "SELECT EXISTS (SELECT 1 FROM deleted WHERE id = ?)"
DELETE_RUN = "DELETE FROM runs WHERE log = ?"
DELETE_APPROVALS = "DELETE FROM approvals WHERE log = ?"
DELETE_STDIN = "DELETE FROM stdin WHERE log = ?"
DELETE_CHECKPOINT = "DELETE FROM checkpoints WHERE log = ?"
DELETE_LOG = "DELETE FROM logs WHERE id = ?"
ADD_DELETED = "INSERT INTO deleted VALUES (?)"
FIRST_KEPT = """
    SELECT first_seq FROM batches
    WHERE log = ?1 AND first_seq >= ?2 AND (newest >= ?3 OR first_seq + count - 1 = ?4)
    ORDER BY first_seq LIMIT 1
"""
TRIMMED = """
    SELECT sum(length(body)), max(position + count - 1) FROM batches
    WHERE log = ? AND first_seq >= ? AND first_seq < ?
"""
ADD_REMOVAL = "INSERT OR REPLACE INTO removals VALUES (?, ?)"
NEXT_REMOVAL = "SELECT log, before FROM removals LIMIT 1"
REMOVE_BATCHES = """
    DELETE FROM batches WHERE position IN (
        SELECT position FROM batches WHERE log = ?1 AND first_seq < ?2
        ORDER BY first_seq LIMIT ?3)
    RETURNING 1
"""
# As many as the batches that were just removed; 2 is the log of messages.
REMOVE_MESSAGE_IDS = """
    DELETE FROM message_ids
    WHERE seq < (SELECT first_seq FROM batches WHERE log = 2 ORDER BY first_seq LIMIT 1)
"""
END_REMOVAL = "DELETE FROM removals WHERE log = ?"


def where_clause(where: RunFilter, before: int | None = None) -> tuple[str, list[str | int]]:
    """Write a filter as a WHERE clause over `runs AS r`, with the values it binds."""
    # A task has few runs, and without statistics SQLite may take any index: a plus hides a column.
    other = "r" if where.task_id is None else "+r"
    terms: Sequence[tuple[str, str | int | None]] = (
        (f"{other}.workspace_id = ?", where.workspace_id),
        ("r.task_id = ?", where.task_id),
        (f"{other}.source = ?", where.source),
        (f"{other}.kind = ?", where.kind),
        (f"{other}.created_at >= ?", where.since),
        ("r.log < ?", before),
    )
    given = [(term, value) for term, value in terms if value is not None]
    conditions = [term for term, _ in given]
    if where.statuses:
        conditions.append(f"{other}.status IN ({', '.join('?' * len(where.statuses))})")
    clause = " WHERE " + " AND ".join(conditions) if conditions else ""
    return clause, [value for _, value in given] + list(where.statuses)


def selection_terms(where: Selection) -> tuple[list[str], list[str]]:
    """Write a selection of runs as conditions over `runs AS r`, with the values they bind."""
    terms: Sequence[tuple[str, str | None]] = (
        ("r.task_id = ?", where.task_id),
        ("r.workspace_id = ?", where.workspace_id),
        (
            "r.log = (SELECT id FROM logs WHERE name = ?)",
            None if where.run_id is None else run_log(where.run_id),
        ),
    )
    given = [(term, value) for term, value in terms if value is not None]
    return [term for term, _ in given], [value for _, value in given]
