-- `asked` grows with every question, so it gives those of a run their order. `doc` is the approval
-- as MessagePack.
CREATE TABLE approvals (
    asked INTEGER PRIMARY KEY,
    log   INTEGER NOT NULL,
    id    TEXT NOT NULL,
    state TEXT NOT NULL,
    doc   BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX approvals_by_id ON approvals (log, id);
CREATE INDEX approvals_pending ON approvals (log) WHERE state = 'pending';

-- Input that waits to be delivered to the command. No two pieces begin at the same offset: only
-- the last can be empty.
CREATE TABLE stdin (
    log    INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    data   BLOB NOT NULL,
    last   INTEGER NOT NULL,
    PRIMARY KEY (log, offset)
) STRICT;
