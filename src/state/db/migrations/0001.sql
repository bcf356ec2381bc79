-- The state database, schema 1. Times are milliseconds since 1970 UTC. The content of JSON columns
-- is defined by serde types in the code. Invariants are CHECKs and indexes where possible.

CREATE TABLE account (
    id               TEXT PRIMARY KEY,
    uid              INTEGER UNIQUE,             -- none until the first key makes the Unix user
    state            TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended', 'removing')),
    email            TEXT,                       -- the account's own contact
    recipient_domains TEXT,                      -- JSON list; NULL: mail may go to any address
    webhook          TEXT,                       -- the chosen endpoint's name
    created_at       INTEGER NOT NULL
) STRICT;

CREATE TABLE key (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    account          TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name             TEXT NOT NULL,
    algorithm        TEXT NOT NULL,              -- ssh-ed25519, …
    public_key       TEXT NOT NULL,              -- base64, as in an authorized_keys line
    fingerprint      TEXT NOT NULL,              -- SHA256:…
    from_hosts       TEXT,                       -- as in from="…"; NULL: from anywhere
    expires_at       INTEGER,
    created_at       INTEGER NOT NULL,
    revoked_at       INTEGER
) STRICT;
CREATE UNIQUE INDEX key_fingerprint ON key (account, fingerprint) WHERE revoked_at IS NULL;
CREATE UNIQUE INDEX key_name ON key (account, name) WHERE revoked_at IS NULL;

-- Imports stay when their account is removed, to answer a partner's later questions.
CREATE TABLE import (
    n                INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL UNIQUE,       -- <node>-<n>
    account          TEXT NOT NULL,
    manifest         TEXT NOT NULL,
    data_file        TEXT,
    type             TEXT CHECK (type IN ('event', 'profile')),
    state            TEXT NOT NULL CHECK (state IN ('claiming', 'queued', 'running', 'completed', 'failed')),
    claim            TEXT NOT NULL,              -- JSON: which files, by device and inode
    refusal          TEXT,                       -- JSON failure: a refused pair, answered in its turn
    client_email     TEXT,
    stem             TEXT NOT NULL,              -- what the answers in results/ are named after
    starts           INTEGER NOT NULL DEFAULT 0, -- how often it began to run
    received_at      INTEGER NOT NULL,
    started_at       INTEGER,                    -- the first start; the "time of processing"
    finished_at      INTEGER,
    report           TEXT,                       -- JSON, once finished
    CHECK ((state IN ('completed', 'failed')) = (report IS NOT NULL)),
    CHECK ((state IN ('completed', 'failed')) = (finished_at IS NOT NULL))
) STRICT;
CREATE INDEX import_waiting ON import (account, n) WHERE state IN ('claiming', 'queued', 'running');
CREATE INDEX import_account ON import (account, n);

-- Every manifest name that was ever claimed or refused. Rows are never removed.
CREATE TABLE manifest_name (
    account          TEXT NOT NULL,
    name             TEXT NOT NULL,
    import           TEXT NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoint (
    account          TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name             TEXT NOT NULL,
    url              TEXT NOT NULL,
    secret           TEXT NOT NULL,              -- whsec_…
    created_at       INTEGER NOT NULL,
    disabled_at      INTEGER,
    disabled_reason  TEXT,
    PRIMARY KEY (account, name)
) STRICT;

-- milestone → delivery → attempt
CREATE TABLE milestone (
    id               TEXT PRIMARY KEY,           -- the webhook-id, and part of the Message-ID
    import           TEXT,                       -- none for a test
    account          TEXT NOT NULL,
    type             TEXT NOT NULL,              -- import.picked_up, …
    at               INTEGER NOT NULL,
    body             TEXT NOT NULL,              -- JSON: type, timestamp, data
    UNIQUE (import, type, at)
) STRICT;
-- Only still_processing can occur several times: an import that is finished again after a crash has
-- no second milestone.
CREATE UNIQUE INDEX milestone_once ON milestone (import, type)
    WHERE type IN ('import.picked_up', 'import.completed', 'import.failed');

CREATE TABLE delivery (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    milestone        TEXT NOT NULL REFERENCES milestone (id) ON DELETE CASCADE,
    channel          TEXT NOT NULL CHECK (channel IN ('email', 'webhook')),
    destination      TEXT NOT NULL,              -- an address, or an endpoint's name
    lane             TEXT NOT NULL,              -- deliveries of one lane are made one by one, in order
    state            TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts         INTEGER NOT NULL DEFAULT 0, -- since it was enqueued or last retried by hand
    next_attempt_at  INTEGER,
    finished_at      INTEGER,
    last_error       TEXT,
    UNIQUE (milestone, channel, destination),
    CHECK ((state = 'pending') = (next_attempt_at IS NOT NULL)),
    CHECK ((state = 'pending') = (finished_at IS NULL))
) STRICT;
CREATE INDEX delivery_due ON delivery (next_attempt_at) WHERE state = 'pending';
CREATE INDEX delivery_lane ON delivery (lane, next_attempt_at) WHERE state = 'pending';

CREATE TABLE attempt (
    delivery         INTEGER NOT NULL REFERENCES delivery (id) ON DELETE CASCADE,
    n                INTEGER NOT NULL,
    at               INTEGER NOT NULL,
    took_ms          INTEGER NOT NULL,
    outcome          TEXT NOT NULL,              -- what the other side said, or why it could not be asked
    PRIMARY KEY (delivery, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE activity (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    at               INTEGER NOT NULL,
    account          TEXT,
    import           TEXT,
    action           TEXT NOT NULL,              -- account.added, key.revoked, import.picked_up, …
    detail           TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX activity_account ON activity (account, id);
