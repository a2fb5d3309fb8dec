-- How long each hop takes, by listener: event, collector, match, the platform's answer; p50, p95 and p99 in milliseconds.
-- since DateTime64(3, 'UTC') = 1970-01-01: moves from then on
-- until DateTime64(3, 'UTC') = now: up to then
WITH
    hops AS
    (
        SELECT listener,
            dateDiff('millisecond', matched_at, assumeNotNull(received_at)) AS to_collector,
            dateDiff('millisecond', assumeNotNull(received_at), logged_at) AS to_match,
            dateDiff('millisecond', logged_at, assumeNotNull(answered_at)) AS to_answer,
            dateDiff('millisecond', assumeNotNull(received_at), assumeNotNull(answered_at)) AS in_all
        FROM moves
        WHERE workspace = {workspace:String} AND received_at IS NOT NULL AND answered_at IS NOT NULL
            AND matched_at >= {since:DateTime64(3, 'UTC')} AND matched_at <= {until:DateTime64(3, 'UTC')}
    )
SELECT listener, hop, count() AS moves, quantileExact(0.5)(ms) AS p50_ms, quantileExact(0.95)(ms) AS p95_ms,
    quantileExact(0.99)(ms) AS p99_ms
FROM
(
    SELECT listener, arrayJoin([
        (1, 'event to collector', to_collector), (2, 'collector to match', to_match),
        (3, 'match to answer', to_answer), (4, 'collector to answer', in_all)]) AS one,
        one.1 AS place, one.2 AS hop, one.3 AS ms
    FROM hops
)
GROUP BY listener, hop, place
ORDER BY listener, place
