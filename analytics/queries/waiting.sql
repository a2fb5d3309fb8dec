-- How many runs of a listener wait at each step now, or waited there at an instant, and how many people's they are.
-- listener String = : its name; empty: of all
-- at DateTime64(3, 'UTC') = now: the instant
SELECT listener, listener_version, element, any(elements) AS elements, any(step) AS step, any(waits_for) AS waits_for,
    sum(runs) AS runs, sum(subscribers) AS subscribers, max(at) AS changed_at
FROM
(
    SELECT listener, listener_version, element, max(elements) AS elements, max(step) AS step,
        max(waits_for) AS waits_for, argMax(r.runs, r.at) AS runs, argMax(r.subscribers, r.at) AS subscribers,
        max(r.at) AS at
    FROM runs AS r
    WHERE workspace = {workspace:String} AND ({listener:String} = '' OR listener = {listener:String})
        AND r.at <= {at:DateTime64(3, 'UTC')} AND r.at > {at:DateTime64(3, 'UTC')} - INTERVAL 2 DAY
    GROUP BY listener, listener_version, element, log_partition, key_group
)
GROUP BY listener, listener_version, element
HAVING runs > 0
ORDER BY listener, listener_version, element
