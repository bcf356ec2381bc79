-- Schema 12: the keys that sshd refused, so that a command can explain why. At most 100 rows an
-- account.

CREATE TABLE refused (
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,
    address TEXT NOT NULL,     -- the client's
    algorithm TEXT NOT NULL,   -- in sshd's spelling
    times INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (account, fingerprint, address)
) STRICT, WITHOUT ROWID;
