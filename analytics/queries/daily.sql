-- Entries into each list and exits from it, day by day (UTC).
-- since DateTime64(3, 'UTC') = 1970-01-01: from then on
-- until DateTime64(3, 'UTC') = now: up to then
SELECT day, list, sum(entered) AS entries, sum(gone) AS exits
FROM
(
    SELECT toDate(valid_from) AS day, list, 1 AS entered, 0 AS gone
    FROM memberships
    WHERE workspace = {workspace:String}
        AND valid_from >= {since:DateTime64(3, 'UTC')} AND valid_from <= {until:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT toDate(assumeNotNull(valid_to)) AS day, list, 0 AS entered, 1 AS gone
    FROM memberships
    WHERE workspace = {workspace:String} AND valid_to IS NOT NULL
        AND valid_to >= {since:DateTime64(3, 'UTC')} AND valid_to <= {until:DateTime64(3, 'UTC')}
)
GROUP BY day, list
ORDER BY day, list
