-- How many of those whom a listener moved reached a goal within a time of their first match, and how many of those whom it held out.
-- listener String: its name
-- goal String: the action that counts
-- seconds UInt32 = 604800: within how many seconds of the match
-- since DateTime64(3, 'UTC') = 1970-01-01: first matches from then on
-- until DateTime64(3, 'UTC') = now: what was known by then; whose time was not over yet is counted as open
WITH
    marked AS
    (
        SELECT subscriber, listener_version, matched_at, reason
        FROM matches
        WHERE workspace = {workspace:String} AND listener = {listener:String} AND state = 'stands'
            AND reason NOT IN ('no_identity', 'shadowed') AND NOT startsWith(subscriber, 'a_')
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
        FROM events
        WHERE workspace = {workspace:String} AND action = {goal:String} AND NOT provisional
            AND NOT startsWith(verdict, 'machine') AND NOT JSONExtractBool(properties, 'machine')
        GROUP BY subscriber
    ),
    people AS
    (
        SELECT f.held AS held, f.ends <= {until:DateTime64(3, 'UTC')} AS over,
            arrayExists(t -> t > f.at AND t <= f.ends, r.times) AS did
        FROM first AS f LEFT JOIN reached AS r ON f.subscriber = r.subscriber
    )
SELECT countIf(over AND NOT held) AS moved, countIf(over AND NOT held AND did) AS moved_did,
    countIf(over AND held) AS held_out, countIf(over AND held AND did) AS held_out_did, countIf(NOT over) AS open,
    (SELECT count() FROM marked) AS matches, (SELECT count() FROM reached) AS reached_by
FROM people
