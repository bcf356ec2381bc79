-- Schema 10: the activity log names the administrator whose command caused a line, and is read in
-- the order of time.

ALTER TABLE activity ADD COLUMN actor TEXT;   -- a user's name; NULL: the daemon

DROP INDEX activity_account;
CREATE INDEX activity_account ON activity (account, at);
CREATE INDEX activity_at ON activity (at);
