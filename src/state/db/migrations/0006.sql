-- Schema 6: how uploads ended, by the SFTP server's log, and when keys were last used.

ALTER TABLE key ADD COLUMN last_used_at INTEGER;
ALTER TABLE key ADD COLUMN last_used_from TEXT;             -- the client's address
ALTER TABLE import ADD COLUMN warnings TEXT;                -- JSON list, of the claim; NULL: none

-- The last write to a file in incoming. A row is removed when its file is.
CREATE TABLE upload (
    account          TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name             TEXT NOT NULL,              -- as the SFTP server's log spells it
    cut              INTEGER NOT NULL CHECK (cut IN (0, 1)),    -- 1: the beginning of a name
    ended            TEXT NOT NULL CHECK (ended IN ('closed', 'unknown', 'open', 'forced')),
    bytes            INTEGER,                    -- written
    at               INTEGER NOT NULL,
    address          TEXT,                       -- the client's
    known_at         INTEGER NOT NULL,           -- up to then nothing else was done to the file
    PRIMARY KEY (account, name, cut)
) STRICT, WITHOUT ROWID;
