-- Schema 9: addresses that root listed for an account's mail, beside its domains. As before,
-- recipient_domains NULL: mail may go to any address.

ALTER TABLE account ADD COLUMN recipient_addresses TEXT NOT NULL DEFAULT '[]';  -- JSON list
