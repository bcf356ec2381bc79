-- Schema 7: a lingering manifest is in the row until its copy is in the spool.

ALTER TABLE import ADD COLUMN manifest_text TEXT;           -- NULL: it is in the spool
