-- Dead letters by reason and where they came from.
-- since DateTime64(3, 'UTC') = 1970-01-01: from then on
-- until DateTime64(3, 'UTC') = now: up to then
SELECT reason, topic, count() AS letters, min(at) AS first_at, max(at) AS last_at, argMax(detail, at) AS last_detail
FROM dead_letters
WHERE (workspace = {workspace:String} OR workspace = '')
    AND at >= {since:DateTime64(3, 'UTC')} AND at <= {until:DateTime64(3, 'UTC')}
GROUP BY reason, topic
ORDER BY letters DESC, reason, topic
