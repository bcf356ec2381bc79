-- Schema 5: finished rows are kept for a time, and found by their age.

ALTER TABLE import ADD COLUMN answer_removed_at INTEGER;    -- its files in results/
CREATE INDEX import_finished ON import (account, finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX import_answered ON import (account, finished_at)
    WHERE finished_at IS NOT NULL AND answer_removed_at IS NULL;
CREATE INDEX milestone_age ON milestone (account, at);
CREATE INDEX activity_age ON activity (account, at);
