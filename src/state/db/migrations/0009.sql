-- Schema 9: addresses that root allowed for an account's mail, in addition to its domains. As
-- before, mail may go to any address if recipient_domains is NULL.

ALTER TABLE account ADD COLUMN recipient_addresses TEXT NOT NULL DEFAULT '[]';  -- JSON list
