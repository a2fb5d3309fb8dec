-- How many people are in each list at the end of each day (UTC).
-- since DateTime64(3, 'UTC') = -30d: first day
-- until DateTime64(3, 'UTC') = now: last day
WITH
    steps AS
    (
        SELECT list, toDate(at) AS day, toInt64(member) - lagInFrame(toInt64(member), 1, 0) OVER
            (PARTITION BY list, person ORDER BY at, place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS step
        FROM
        (
            -- A hash is sorted by in a third of the time that account and subscriber take.
            SELECT list, sipHash128(account, subscriber) AS person, at, place, member
            FROM membership_changes
            WHERE workspace = {workspace:String}
        )
    ),
    changes AS (SELECT list, day, sum(step) AS change FROM steps WHERE step != 0 GROUP BY list, day),
    days AS
    (
        SELECT toDate({since:DateTime64(3, 'UTC')}) + number AS day
        FROM numbers(toUInt64(greatest(dateDiff('day', {since:DateTime64(3, 'UTC')}, {until:DateTime64(3, 'UTC')}) + 1, 0)))
    )
SELECT d.day AS day, c.list AS list, sumIf(c.change, c.day <= d.day) AS people
FROM days AS d
CROSS JOIN changes AS c
GROUP BY day, list
ORDER BY day, list
