-- Schema 8: claimed manifests keep no name in incoming any more, and no text in their import's row.
-- The imports of before, whose manifest may still have either.

CREATE TABLE lingering (
    import           TEXT NOT NULL PRIMARY KEY,
    account          TEXT NOT NULL
) STRICT;

INSERT INTO lingering (import, account)
SELECT id, account FROM import WHERE json_extract(claim, '$.claim.copied') IS NOT NULL;
