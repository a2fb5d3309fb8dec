-- Matches that stand, moves, moves that failed and the last match of each listener, day by day (UTC).
-- listener String = : its name; empty: of all
-- since DateTime64(3, 'UTC') = -30d: from then on
WITH
    gone AS
    (
        SELECT match_id FROM match_rows FINAL WHERE workspace = {workspace:String} AND kind = 'retraction'
        UNION ALL
        SELECT replaces FROM match_rows FINAL
        WHERE workspace = {workspace:String} AND kind = 'amendment' AND replaces != match_id
    ),
    amended AS
    (
        SELECT listener, match_id, matched_at
        FROM match_rows FINAL
        WHERE workspace = {workspace:String} AND ({listener:String} = '' OR listener = {listener:String})
            AND kind = 'amendment'
        ORDER BY logged_at DESC, version DESC
        LIMIT 1 BY match_id
    ),
    standing AS
    (
        SELECT listener, match_id, matched_at
        FROM match_rows FINAL
        WHERE workspace = {workspace:String} AND ({listener:String} = '' OR listener = {listener:String})
            AND kind = 'match' AND match_id NOT IN (SELECT match_id FROM amended)
        UNION ALL
        SELECT listener, match_id, matched_at FROM amended
    )
SELECT listener, day, sum(matched) AS matches, sum(moved) AS moves, sum(bad) AS failed, max(last) AS last_match
FROM
(
    SELECT listener, toDate(matched_at) AS day, count() AS matched, 0 AS moved, 0 AS bad, max(matched_at) AS last
    FROM standing
    WHERE matched_at >= {since:DateTime64(3, 'UTC')} AND match_id NOT IN gone
    GROUP BY listener, day
    UNION ALL
    SELECT listener, toDate(matched_at) AS day, 0, count(), 0, max(matched_at)
    FROM command_rows FINAL
    WHERE workspace = {workspace:String} AND ({listener:String} = '' OR listener = {listener:String})
        AND matched_at >= {since:DateTime64(3, 'UTC')}
    GROUP BY listener, day
    UNION ALL
    SELECT listener, toDate(matched_at) AS day, 0, 0, countIf(result = 'failed'), max(matched_at)
    FROM outcome_rows FINAL
    WHERE workspace = {workspace:String} AND ({listener:String} = '' OR listener = {listener:String})
        AND matched_at >= {since:DateTime64(3, 'UTC')}
    GROUP BY listener, day
)
GROUP BY listener, day
ORDER BY listener, day
