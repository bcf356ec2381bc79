-- A state database of schema 1 as its program left it: a row and more in every table. Frozen: a
-- program that can't read this can't be upgraded to.
INSERT INTO account (id, uid, state, email, recipient_domains, webhook, created_at) VALUES
    ('ACME-1', 70000, 'active', 'ops@acme.example', '["acme.example"]', 'crm', 1767225600000),
    ('new', NULL, 'suspended', NULL, NULL, NULL, 1767225600001);
INSERT INTO key (account, name, algorithm, public_key, fingerprint, from_hosts, expires_at, created_at, revoked_at) VALUES
    ('ACME-1', 'laptop', 'ssh-ed25519', 'AAAAC3NzaC1lZDI1NTE5AAAAIBXoLIVxOYLdUGNKlBAZJp2wtXSTGVk4XRyuCiyZuOUO', 'SHA256:one', '192.0.2.0/24', 4102444800000, 1767225600000, NULL),
    ('ACME-1', 'old', 'ssh-ed25519', 'AAAAC3NzaC1lZDI1NTE5AAAAIBXoLIVxOYLdUGNKlBAZJp2wtXSTGVk4XRyuCiyZuOUP', 'SHA256:two', NULL, NULL, 1767225600000, 1767225700000);
INSERT INTO import (n, id, account, manifest, data_file, type, state, claim, refusal, client_email, stem, starts, received_at, started_at, finished_at, report) VALUES
    (41, 'sftp1-41', 'ACME-1', 'e.manifest', 'e.csv', 'event', 'completed',
     '{"claim":{"data":{"name":"e.csv","dev":1,"ino":2,"ctime":"2026-01-01T00:00:00Z","plain":true},"manifest":{"name":"e.manifest","dev":1,"ino":3,"ctime":"2026-01-01T00:00:00Z","plain":true}}}',
     NULL, 'data@acme.example', 'e', 1, 1767225600000, 1767225601000, 1767225602000,
     '{"import":"sftp1-41","account":"ACME-1","type":"event","manifest":"e.manifest","dataFile":"e.csv","state":"completed","records":{"read":4,"accepted":3,"rejected":1},"bytes":512,"sha256":"00","receivedAt":"2026-01-01T00:00:00Z","startedAt":"2026-01-01T00:00:01Z","finishedAt":"2026-01-01T00:00:02Z","failure":null,"rejections":[{"message":"Event name is mandatory","count":1,"firstLine":3}],"warnings":[],"errorFile":"e.errors.csv"}'),
    (42, 'sftp1-42', 'ACME-1', 'f.manifest', NULL, NULL, 'queued',
     '{"claim":{"data":null,"manifest":{"name":"f.manifest","dev":1,"ino":4,"ctime":"2026-01-01T00:00:00Z","plain":true}}}',
     '{"message":"No data file found","detail":"f.csv"}', NULL, 'f', 0, 1767225603000, NULL, NULL, NULL),
    (43, 'sftp1-43', 'gone', 'g.manifest', 'g.csv', 'profile', 'running', '"ingest"',
     NULL, 'x@gone.example', 'g', 1, 1767225604000, 1767225604000, NULL, NULL);
INSERT INTO manifest_name (account, name, import) VALUES
    ('ACME-1', 'e.manifest', 'sftp1-41'), ('ACME-1', 'f.manifest', 'sftp1-42'), ('gone', 'g.manifest', 'sftp1-43');
INSERT INTO endpoint (account, name, url, secret, created_at, disabled_at, disabled_reason) VALUES
    ('ACME-1', 'crm', 'https://crm.acme.example/in', 'whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtMTIzNDU2', 1767225600000, NULL, NULL),
    ('ACME-1', 'old', 'https://old.acme.example/in', 'whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtMTIzNDU3', 1767225600000, 1767225700000, 'gone');
INSERT INTO milestone (id, import, account, type, at, body) VALUES
    ('msg_1', 'sftp1-41', 'ACME-1', 'import.completed', 1767225602000, '{"type":"import.completed"}');
INSERT INTO delivery (id, milestone, channel, destination, lane, state, attempts, next_attempt_at, finished_at, last_error) VALUES
    (1, 'msg_1', 'email', 'data@acme.example', 'email data@acme.example', 'delivered', 1, NULL, 1767225603000, NULL),
    (2, 'msg_1', 'webhook', 'crm', 'webhook ACME-1 crm', 'pending', 1, 1767225900000, NULL, 'HTTP 500');
INSERT INTO attempt (delivery, n, at, took_ms, outcome) VALUES
    (1, 1, 1767225602500, 20, '250 OK'), (2, 1, 1767225602600, 30, 'HTTP 500');
INSERT INTO activity (id, at, account, import, action, detail) VALUES
    (1, 1767225600000, 'ACME-1', NULL, 'account.added', ''),
    (2, 1767225602000, 'ACME-1', 'sftp1-41', 'import.completed', 'e.manifest: 4 read, 3 accepted, 1 rejected');
