-- `number` gives workspaces the order in which they were added.
CREATE TABLE workspaces (
    number     INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    root_path  TEXT NOT NULL,
    color      TEXT,
    created_at INTEGER NOT NULL
) STRICT;

-- The messages of the bus by their own ids; `seq` is that of the event. Ids of messages that were
-- trimmed count for nothing and wait to be removed with them.
CREATE TABLE message_ids (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE) STRICT;

-- What was answered to calls that are to happen once; `doc` is the answer as MessagePack.
CREATE TABLE answers (
    key         TEXT PRIMARY KEY,
    time        INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    doc         BLOB NOT NULL
) STRICT;
CREATE INDEX answers_by_time ON answers (time);
