-- What users of the console did, the newest first.
-- since DateTime64(3, 'UTC') = -30d: from then on
SELECT at, user, act, subscriber, target
FROM audit
WHERE workspace = {workspace:String} AND at >= {since:DateTime64(3, 'UTC')}
ORDER BY at DESC, audit_id
