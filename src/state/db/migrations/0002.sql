-- Schema 2: an endpoint's secret can be rotated, and an endpoint that fails for days is disabled.

ALTER TABLE endpoint ADD COLUMN old_secret TEXT;            -- signs beside the new one …
ALTER TABLE endpoint ADD COLUMN old_secret_until INTEGER;   -- … until then
ALTER TABLE endpoint ADD COLUMN failing_since INTEGER;      -- the first failure after the last success
