-- Matches that stand, moves, moves that failed and the last match of each listener, day by day (UTC).
-- listener String = : its name; empty: of all
-- since DateTime64(3, 'UTC') = -30d: from then on
SELECT listener, day, sum(matched) AS matches, sum(moved) AS moves, sum(bad) AS failed, max(last) AS last_match
FROM
(
    SELECT listener, toDate(matched_at) AS day, count() AS matched, 0 AS moved, 0 AS bad, max(matched_at) AS last
    FROM matches
    WHERE workspace = {workspace:String} AND ({listener:String} = '' OR listener = {listener:String})
        AND state = 'stands' AND matched_at >= {since:DateTime64(3, 'UTC')}
    GROUP BY listener, day
    UNION ALL
    SELECT listener, toDate(matched_at) AS day, 0, count(), countIf(result = 'failed'), max(matched_at)
    FROM moves
    WHERE workspace = {workspace:String} AND ({listener:String} = '' OR listener = {listener:String})
        AND matched_at >= {since:DateTime64(3, 'UTC')}
    GROUP BY listener, day
)
GROUP BY listener, day
ORDER BY listener, day
