-- The registry, schema 1. Times are milliseconds since 1970 UTC.

CREATE TABLE account (
    id          TEXT PRIMARY KEY,
    uid         INTEGER UNIQUE,              -- none until the first key makes the Unix user
    state       TEXT NOT NULL CHECK (state IN ('active', 'suspended', 'removing')),
    changed_at  INTEGER NOT NULL,
    changed_by  TEXT NOT NULL                -- the user whose command it was
) STRICT;

-- A revoked key stays as a row, so that no backup or state database can bring it into use again.
CREATE TABLE approved (
    id          INTEGER PRIMARY KEY,
    account     TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    algorithm   TEXT NOT NULL,               -- ssh-ed25519, …
    public_key  TEXT NOT NULL,               -- base64, as in an authorized_keys line
    fingerprint TEXT NOT NULL,               -- SHA256:…
    from_hosts  TEXT,                        -- as in from="…"; NULL: from anywhere
    expires_at  INTEGER,
    approved_at INTEGER NOT NULL,
    approved_by TEXT NOT NULL,
    revoked_at  INTEGER,
    revoked_by  TEXT
) STRICT;
CREATE UNIQUE INDEX approved_key ON approved (account, fingerprint) WHERE revoked_at IS NULL;
CREATE UNIQUE INDEX approved_name ON approved (account, name) WHERE revoked_at IS NULL;
CREATE INDEX approved_account ON approved (account);
