-- How many people are in each list at the end of each day (UTC).
-- since DateTime64(3, 'UTC') = -30d: first day
-- until DateTime64(3, 'UTC') = now: last day
WITH
    spans AS
    (
        SELECT list, toDate(valid_from) AS first, if(valid_to IS NULL, NULL, toDate(valid_to)) AS last
        FROM memberships WHERE workspace = {workspace:String}
    ),
    days AS
    (
        SELECT toDate({since:DateTime64(3, 'UTC')}) + number AS day
        FROM numbers(toUInt64(greatest(dateDiff('day', {since:DateTime64(3, 'UTC')}, {until:DateTime64(3, 'UTC')}) + 1, 0)))
    )
SELECT day, list, sum(delta) AS people
FROM
(
    SELECT day, list, sum(step) OVER (PARTITION BY list ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS delta,
        shown
    FROM
    (
        SELECT day, list, sum(change) AS step, max(asked) AS shown
        FROM
        (
            SELECT first AS day, list, toInt64(1) AS change, 0 AS asked FROM spans
            UNION ALL
            SELECT assumeNotNull(last) AS day, list, toInt64(-1) AS change, 0 AS asked FROM spans WHERE last IS NOT NULL
            UNION ALL
            SELECT day, list, toInt64(0) AS change, 1 AS asked FROM days CROSS JOIN (SELECT DISTINCT list FROM spans) AS every
        )
        GROUP BY day, list
    )
)
WHERE shown = 1
GROUP BY day, list
ORDER BY day, list
