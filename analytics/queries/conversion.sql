-- Who did something within so many days after entering a list, against people who were active on the same days and were never in it.
-- list String: the list
-- action String: what counts as a conversion
-- days UInt16 = 7: within how many days
-- since DateTime64(3, 'UTC') = 1970-01-01: entries from then on
-- until DateTime64(3, 'UTC') = now: up to then
WITH
    entered AS
    (
        SELECT subscriber, min(valid_from) AS at
        FROM memberships
        WHERE workspace = {workspace:String} AND list = {list:String}
        GROUP BY subscriber
        HAVING at >= {since:DateTime64(3, 'UTC')} AND at <= {until:DateTime64(3, 'UTC')}
    ),
    done AS
    (
        SELECT subscriber, groupArray(occurred_at) AS times
        FROM events WHERE workspace = {workspace:String} AND action = {action:String}
        GROUP BY subscriber
    ),
    others AS
    (
        SELECT subscriber, toDate(occurred_at) AS day, max(occurred_at) AS at
        FROM events
        WHERE workspace = {workspace:String} AND NOT startsWith(subscriber, 'a_')
            AND toDate(occurred_at) IN (SELECT toDate(at) FROM entered)
            AND subscriber NOT IN
                (SELECT subscriber FROM memberships WHERE workspace = {workspace:String} AND list = {list:String})
        GROUP BY subscriber, day
    ),
    entered_daily AS
    (
        SELECT toDate(e.at) AS day, count() AS people,
            countIf(arrayExists(t -> t > e.at AND t <= e.at + INTERVAL {days:UInt16} DAY, d.times)) AS converted
        FROM entered AS e LEFT JOIN done AS d ON e.subscriber = d.subscriber
        GROUP BY day
    ),
    others_daily AS
    (
        SELECT o.day AS day, count() AS people,
            countIf(arrayExists(t -> t > o.at AND t <= o.at + INTERVAL {days:UInt16} DAY, d.times)) AS converted
        FROM others AS o LEFT JOIN done AS d ON o.subscriber = d.subscriber
        GROUP BY day
    )
SELECT sum(e.people) AS entered, sum(e.converted) AS converted, round(converted / entered, 4) AS rate,
    sum(o.people) AS compared, sum(o.converted) AS compared_converted,
    round(sumIf(e.people * o.converted / o.people, o.people > 0) / sumIf(e.people, o.people > 0), 4) AS compared_rate,
    round(rate - compared_rate, 4) AS difference
FROM entered_daily AS e
LEFT JOIN others_daily AS o ON e.day = o.day
