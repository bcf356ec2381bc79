-- Schema 11: the types with which an account's imports stored its properties, so that a report can
-- warn of a change; and an index to find the import whose answer has a stem.

CREATE TABLE property_type (
    account TEXT NOT NULL,
    data_type TEXT NOT NULL,   -- event or profile
    name TEXT NOT NULL,        -- as stored
    type TEXT NOT NULL,        -- as in a manifest; a property can have several
    PRIMARY KEY (account, data_type, name, type)
) STRICT, WITHOUT ROWID;

CREATE INDEX import_stem ON import (account, stem, n);
