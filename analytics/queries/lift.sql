-- How many of those whom a listener moved reached a goal within a time of their first match, and how many of those whom it held out.
-- listener String: its name
-- goal String: the action that counts
-- seconds UInt32 = 604800: within how many seconds of the match
-- since DateTime64(3, 'UTC') = 1970-01-01: first matches from then on
-- until DateTime64(3, 'UTC') = now: what was known by then; whose time was not over yet is counted as open
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
    marked AS
    (
        SELECT subscriber, listener_version, matched_at, reason
        FROM standing
        WHERE reason NOT IN ('no_identity', 'shadowed', 'listener_paused') AND NOT startsWith(subscriber, 'a_')
    ),
    first AS
    (
        SELECT subscriber, min(matched_at) AS at, argMin(reason = 'held_out', matched_at) AS held,
            at + toIntervalSecond({seconds:UInt32}) AS ends
        FROM marked
        WHERE listener_version IN (SELECT listener_version FROM marked WHERE reason = 'held_out')
        GROUP BY subscriber
        HAVING at >= {since:DateTime64(3, 'UTC')} AND at <= {until:DateTime64(3, 'UTC')}
    ),
    reached AS
    (
        SELECT subscriber, groupArray(occurred_at) AS times
        FROM event_rows FINAL
        PREWHERE action = {goal:String} AND copy = 0
        WHERE workspace = {workspace:String} AND NOT provisional
            AND NOT startsWith(verdict, 'machine') AND NOT JSONExtractBool(properties, 'machine')
        GROUP BY subscriber
    ),
    people AS
    (
        SELECT f.subscriber != '' AS matched, f.held AS held, f.ends <= {until:DateTime64(3, 'UTC')} AS over,
            arrayExists(t -> t > f.at AND t <= f.ends, r.times) AS did, r.subscriber != '' AS reached
        FROM first AS f FULL OUTER JOIN reached AS r ON f.subscriber = r.subscriber
    )
SELECT countIf(matched AND over AND NOT held) AS moved, countIf(matched AND over AND NOT held AND did) AS moved_did,
    countIf(matched AND over AND held) AS held_out, countIf(matched AND over AND held AND did) AS held_out_did,
    countIf(matched AND NOT over) AS open, (SELECT count() FROM marked) AS matches, countIf(reached) AS reached_by
FROM people
