-- Schema 2 of the registry has this table in addition to schema 1.

-- The changes of the last hour that the admin helper limits.
CREATE TABLE limited_change (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    change  TEXT NOT NULL,                   -- key.save, account.suspend, …
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX limited_change_at ON limited_change (change, at);
CREATE INDEX limited_change_account ON limited_change (account);
