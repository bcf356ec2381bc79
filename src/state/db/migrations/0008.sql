-- Schema 8: a claimed manifest no longer has a name in incoming or a text in its import's row. This
-- table holds the earlier imports whose manifest may still have either.

CREATE TABLE lingering (
    import           TEXT NOT NULL PRIMARY KEY,
    account          TEXT NOT NULL
) STRICT;

INSERT INTO lingering (import, account)
SELECT id, account FROM import WHERE json_extract(claim, '$.claim.copied') IS NOT NULL;
