-- How many runs of a listener waited at each step, again and again: every so many minutes.
-- listener String: its name
-- since DateTime64(3, 'UTC') = -1d: the first instant
-- until DateTime64(3, 'UTC') = now: none after it
-- minutes UInt16 = 60: between two instants
WITH
    told AS
    (
        SELECT listener_version, element, step, at,
            toInt64(r.runs) - toInt64(lagInFrame(r.runs, 1, toUInt64(0)) OVER one) AS runs,
            toInt64(r.subscribers) - toInt64(lagInFrame(r.subscribers, 1, toUInt64(0)) OVER one) AS subscribers
        FROM runs AS r
        WHERE workspace = {workspace:String} AND listener = {listener:String}
            AND r.at > {since:DateTime64(3, 'UTC')} - INTERVAL 2 DAY AND r.at <= {until:DateTime64(3, 'UTC')}
        WINDOW one AS
        (
            PARTITION BY listener_version, element, log_partition, key_group ORDER BY r.at
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )
    ),
    places AS
    (
        SELECT number AS place
        FROM numbers(toUInt64(greatest(intDiv(dateDiff('second', {since:DateTime64(3, 'UTC')},
            {until:DateTime64(3, 'UTC')}), {minutes:UInt16} * 60) + 1, 0)))
    )
SELECT {since:DateTime64(3, 'UTC')} + toIntervalMinute(place * {minutes:UInt16}) AS at, listener_version, element, step,
    runs, subscribers
FROM
(
    SELECT place, listener_version, element, step, shown,
        sum(more) OVER upto AS runs, sum(more_people) OVER upto AS subscribers
    FROM
    (
        SELECT place, listener_version, element, step, sum(change) AS more, sum(people) AS more_people,
            max(asked) AS shown
        FROM
        (
            SELECT toUInt64(greatest(0, ceil(dateDiff('second', {since:DateTime64(3, 'UTC')}, t.at)
                    / ({minutes:UInt16} * 60)))) AS place,
                listener_version, element, step, t.runs AS change, t.subscribers AS people, 0 AS asked
            FROM told AS t
            UNION ALL
            SELECT place, listener_version, element, step, toInt64(0), toInt64(0), 1
            FROM places CROSS JOIN (SELECT DISTINCT listener_version, element, step FROM told) AS every
        )
        GROUP BY place, listener_version, element, step
    )
    WINDOW upto AS
    (
        PARTITION BY listener_version, element ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)
WHERE shown = 1
ORDER BY at, listener_version, element
