-- How each account does: commands that wait, since when the oldest does, and what became of those of a day.
-- since DateTime64(3, 'UTC') = -1d: commands from then on
SELECT account, countIf(result = 'waiting') AS waiting, minOrNullIf(logged_at, result = 'waiting') AS oldest,
    countIf(result IN ('applied', 'already')) AS done, countIf(result = 'skipped') AS skipped,
    countIf(result = 'failed') AS failed, max(answered_at) AS last_answer
FROM moves
WHERE workspace = {workspace:String} AND logged_at >= {since:DateTime64(3, 'UTC')}
GROUP BY account
ORDER BY account
