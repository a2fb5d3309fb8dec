-- A device's id is all that a stranger needs to act for who uses that browser: the history holds a hash of it, the id under
-- which its events go while nobody knows whose it is. Rows from before are changed; what is changed already stays.

ALTER TABLE event_rows UPDATE
    device = concat('a_', substring(lower(hex(SHA256(concat(workspace, '/', device)))), 1, 32))
WHERE device != '' AND NOT match(device, '^a_[0-9a-f]{32}$')
SETTINGS mutations_sync = 2;

ALTER TABLE dead_letter_rows UPDATE
    key = if(topic = 'beacons' AND NOT match(key, '^[^/]*/[as]_'),
        concat(splitByChar('/', key)[1], '/a_', substring(lower(hex(SHA256(key))), 1, 32)), key),
    sample = if(topic IN ('beacons', 'http'),
        replaceRegexpAll(sample, '((?i:device)(?:_?id)?(?:\\\\*["'']?\\s*[:=]\\s*\\\\*["'']?|\\\\xd9.|\\\\x[ab].))[a-zA-Z0-9_.:-]+', '\\1***'),
        sample)
WHERE topic IN ('beacons', 'http')
SETTINGS mutations_sync = 2;

ALTER TABLE event_rows COMMENT COLUMN device 'Hash of the browser''s id: who it was before it was known';
ALTER TABLE events COMMENT COLUMN device 'Hash of the browser''s id: who it was before it was known';
ALTER TABLE dead_letter_rows COMMENT COLUMN key 'Key of the record, as text; a device''s id as a hash';
ALTER TABLE dead_letters COMMENT COLUMN key 'Key of the record, as text; a device''s id as a hash';
