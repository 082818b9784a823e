CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('schema_version', 0), ('head', 0), ('floor', 0);

-- AUTOINCREMENT: an id is never used again, or batches still waiting to be removed would come
-- back to life in a new log. The id of a run's log is also the run's order.
CREATE TABLE logs (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name      TEXT NOT NULL UNIQUE,
    first_seq INTEGER NOT NULL DEFAULT 1,
    last_seq  INTEGER NOT NULL DEFAULT 0,
    bytes     INTEGER NOT NULL DEFAULT 0,
    sealed    INTEGER NOT NULL DEFAULT 0
) STRICT;
-- The ids 1 and 2 are known to the queries: every higher id is the log of a run.
INSERT INTO logs (id, name) VALUES (1, 'lifecycle'), (2, 'messages');

-- `position` is that of the first event, `newest` the newest time of any. The body comes last, so
-- that a query which does not need it never walks its overflow pages.
CREATE TABLE batches (
    position  INTEGER PRIMARY KEY,
    log       INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    newest    INTEGER NOT NULL,
    body      BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX batches_by_seq ON batches (log, first_seq);

-- The columns are what lists and claims select by; `doc` is the whole run as MessagePack.
CREATE TABLE runs (
    log              INTEGER PRIMARY KEY,
    key              TEXT NOT NULL,
    status           TEXT NOT NULL,
    workspace_id     TEXT NOT NULL,
    task_id          TEXT NOT NULL,
    source           TEXT NOT NULL,
    kind             TEXT NOT NULL,
    created_at       INTEGER NOT NULL,
    cancel_requested INTEGER NOT NULL,
    doc              BLOB NOT NULL
) STRICT;
CREATE INDEX runs_by_status ON runs (status);
CREATE INDEX runs_by_workspace ON runs (workspace_id);
CREATE INDEX runs_by_task ON runs (task_id);
CREATE INDEX runs_by_kind ON runs (kind);
CREATE INDEX runs_by_creation ON runs (created_at);
CREATE INDEX runs_to_claim ON runs (log)
    WHERE status = 'queued' AND source = 'run' AND cancel_requested = 0;

CREATE TABLE checkpoints (
    log    INTEGER PRIMARY KEY,
    offset INTEGER NOT NULL,
    doc    BLOB NOT NULL
) STRICT;

CREATE TABLE deleted (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- Batches of `log` whose first seq is below `before` are gone for readers and wait to be removed.
CREATE TABLE removals (log INTEGER PRIMARY KEY, before INTEGER NOT NULL) STRICT;
