-- Who is in a list now, or was at an instant.
-- list String: the list
-- account String = : only this account; empty: all
-- at DateTime64(3, 'UTC') = now: the instant
SELECT subscriber, account, valid_from AS since, valid_to AS until
FROM memberships
WHERE workspace = {workspace:String} AND list = {list:String}
    AND ({account:String} = '' OR account = {account:String})
    AND valid_from <= {at:DateTime64(3, 'UTC')} AND (valid_to IS NULL OR valid_to > {at:DateTime64(3, 'UTC')})
ORDER BY since, subscriber, account
