-- How each account does: commands that wait, since when the oldest does, and what became of those of a day.
-- since DateTime64(3, 'UTC') = -1d: commands from then on
WITH
    sent AS
    (
        SELECT subscriber, command_id, account, logged_at
        FROM command_rows FINAL
        WHERE workspace = {workspace:String} AND logged_at >= {since:DateTime64(3, 'UTC')}
    ),
    answered AS
    (
        SELECT subscriber, command_id, result, at
        FROM outcome_rows FINAL
        WHERE workspace = {workspace:String} AND (subscriber, command_id) IN (SELECT subscriber, command_id FROM sent)
    )
SELECT s.account AS account, countIf(a.result = '') AS waiting, minOrNullIf(s.logged_at, a.result = '') AS oldest,
    countIf(a.result IN ('applied', 'already')) AS done, countIf(a.result = 'skipped') AS skipped,
    countIf(a.result = 'failed') AS failed, maxOrNullIf(a.at, a.result != '') AS last_answer
FROM sent AS s
LEFT JOIN answered AS a ON s.subscriber = a.subscriber AND s.command_id = a.command_id
GROUP BY account
ORDER BY account
