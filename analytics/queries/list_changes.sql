-- Who came into lists and who left them, the newest first, and which listener asked for it.
-- list String = : the list; empty: all
-- since DateTime64(3, 'UTC') = -30d: from then on
SELECT c.at AS at, c.list AS list, c.account AS account, c.subscriber AS subscriber, c.member AS came, v.listener AS listener,
    v.listener_version AS listener_version
FROM
(
    SELECT * FROM membership_changes
    WHERE workspace = {workspace:String} AND ({list:String} = '' OR list = {list:String})
        AND at >= {since:DateTime64(3, 'UTC')}
) AS c
LEFT JOIN
(
    SELECT command_id, listener, listener_version FROM command_rows FINAL WHERE workspace = {workspace:String}
) AS v ON c.command_id = v.command_id
ORDER BY at DESC, list, subscriber
