-- Schema 4: limits on what waits in incoming.

-- Accounts that were notified that too much waits in their incoming, until less waits.
CREATE TABLE incoming_full (
    account          TEXT PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    since            INTEGER NOT NULL
) STRICT;
