-- Schema 3: an import that is retried has its milestones again, and data files that no manifest
-- claims are reported once.

ALTER TABLE import ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;   -- by hand
ALTER TABLE import ADD COLUMN retried_at INTEGER;                   -- the last of them
ALTER TABLE milestone ADD COLUMN retry INTEGER NOT NULL DEFAULT 0;  -- the import's retries then
DROP INDEX milestone_once;
CREATE UNIQUE INDEX milestone_once ON milestone (import, type, retry)
    WHERE type IN ('import.picked_up', 'import.completed', 'import.failed');

-- Data files in incoming that were reported. A row is removed when its file is.
CREATE TABLE unclaimed (
    account          TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name             TEXT NOT NULL,
    inode            INTEGER NOT NULL,           -- with changed_at: another file of that name is new
    changed_at       INTEGER NOT NULL,
    told_at          INTEGER NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;
