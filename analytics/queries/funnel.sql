-- A listener's steps: who did such a thing at all, who got there in a match that stands, seconds since the step before, and how many runs are on their way to it still.
-- listener String: its name
-- since DateTime64(3, 'UTC') = 1970-01-01: matches from then on
-- until DateTime64(3, 'UTC') = now: up to then
WITH
    own AS (SELECT * FROM match_rows FINAL WHERE workspace = {workspace:String} AND listener = {listener:String}),
    standing AS
    (
        SELECT *
        FROM own
        WHERE kind IN ('match', 'amendment') AND match_id NOT IN (SELECT match_id FROM own WHERE kind = 'retraction')
            AND match_id NOT IN (SELECT replaces FROM own WHERE kind = 'amendment' AND replaces != match_id)
        ORDER BY logged_at DESC, version DESC
        LIMIT 1 BY match_id
    ),
    reached AS
    (
        SELECT match_id, subscriber, step, any(action) AS action, min(at) AS at
        FROM standing
        ARRAY JOIN evidence_step AS step, evidence_action AS action, evidence_at AS at
        WHERE matched_at >= {since:DateTime64(3, 'UTC')} AND matched_at <= {until:DateTime64(3, 'UTC')}
        GROUP BY match_id, subscriber, step
    ),
    timed AS
    (
        SELECT match_id, subscriber, step, action,
            row_number() OVER steps AS place,
            dateDiff('millisecond', lagInFrame(at, 1, at) OVER steps, at) / 1000 AS waited_s
        FROM reached
        WINDOW steps AS
            (PARTITION BY match_id ORDER BY at, step ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    ),
    did AS
    (
        SELECT action, uniqExact(subscriber) AS people
        FROM event_rows
        WHERE workspace = {workspace:String} AND copy = 0 AND action IN (SELECT action FROM reached)
            AND occurred_at >= {since:DateTime64(3, 'UTC')} AND occurred_at <= {until:DateTime64(3, 'UTC')}
        GROUP BY action
    ),
    gone AS
    (
        SELECT t.step AS step, any(t.action) AS action, any(d.people) AS did_it, uniqExact(t.subscriber) AS people,
            count() AS matches, quantileExact(0.5)(t.waited_s) AS p50_s, quantileExact(0.95)(t.waited_s) AS p95_s,
            avg(t.place) AS place
        FROM timed AS t
        LEFT JOIN did AS d ON t.action = d.action
        GROUP BY step
    ),
    waiting AS
    (
        SELECT step, sum(runs) AS waiting, min(element) AS place
        FROM
        (
            SELECT step, element, argMax(r.runs, r.at) AS runs
            FROM runs AS r
            WHERE workspace = {workspace:String} AND listener = {listener:String}
                AND r.at <= {until:DateTime64(3, 'UTC')} AND r.at > {until:DateTime64(3, 'UTC')} - INTERVAL 2 DAY
            GROUP BY listener_version, element, step, log_partition, key_group
        )
        GROUP BY step
        HAVING waiting > 0
    )
SELECT if(g.step = '', w.step, g.step) AS step, g.action AS action, g.did_it AS did_it, g.people AS people,
    g.matches AS matches, g.p50_s AS p50_s, g.p95_s AS p95_s, w.waiting AS waiting
FROM gone AS g
FULL OUTER JOIN waiting AS w ON g.step = w.step
ORDER BY if(g.step = '', toFloat64(w.place), g.place), step
