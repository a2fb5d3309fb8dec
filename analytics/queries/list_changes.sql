-- Who came into lists and who left them, the newest first, and which listener asked for it.
-- list String = : the list; empty: all
-- since DateTime64(3, 'UTC') = -30d: from then on
-- most UInt32 = 100000000: of moves and of imports the newest so many
WITH
    newest AS
    (
        SELECT subscriber, command_id
        FROM outcome_rows
        WHERE workspace = {workspace:String} AND result = 'applied' AND at >= {since:DateTime64(3, 'UTC')}
            AND ({list:String} = '' OR arrayExists(mark -> substring(mark, 2) = {list:String}, changed))
        ORDER BY at DESC
        LIMIT {most:UInt32}
    ),
    changes AS
    (
        SELECT at, list, account, subscriber, member, '' AS command_id
        FROM membership_rows FINAL
        WHERE workspace = {workspace:String} AND ({list:String} = '' OR list = {list:String})
            AND at >= {since:DateTime64(3, 'UTC')}
        ORDER BY at DESC, list, subscriber
        LIMIT {most:UInt32}
        UNION ALL
        SELECT at, substring(mark, 2) AS list, account, subscriber, startsWith(mark, '+') AS member, command_id
        FROM outcome_rows FINAL
        ARRAY JOIN changed AS mark
        WHERE workspace = {workspace:String} AND result = 'applied' AND (subscriber, command_id) IN newest
            AND ({list:String} = '' OR list = {list:String})
    )
SELECT c.at AS at, c.list AS list, c.account AS account, c.subscriber AS subscriber, c.member AS came, v.listener AS listener,
    v.listener_version AS listener_version
FROM changes AS c
LEFT JOIN
(
    SELECT command_id, listener, listener_version
    FROM command_rows FINAL
    WHERE workspace = {workspace:String} AND (subscriber, command_id) IN newest
) AS v ON c.command_id = v.command_id
WHERE at >= {since:DateTime64(3, 'UTC')}
ORDER BY at DESC, list, subscriber
