-- Sessions by the campaign that brought them.
-- since DateTime64(3, 'UTC') = 1970-01-01: sessions from then on
-- until DateTime64(3, 'UTC') = now: up to then
SELECT campaign, count() AS sessions, uniqExact(subscriber) AS people, sum(events) AS events_in_all,
    round(avg(events), 2) AS events_each, quantileExact(0.5)(dateDiff('second', started_at, ended_at)) AS p50_s
FROM sessions
WHERE workspace = {workspace:String}
    AND started_at >= {since:DateTime64(3, 'UTC')} AND started_at <= {until:DateTime64(3, 'UTC')}
GROUP BY campaign
ORDER BY sessions DESC, campaign
