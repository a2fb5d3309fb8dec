-- A person's life: events, sessions, matches, moves, the platform's answers, imports, in order.
-- person String: subscriber id, or an address
-- since DateTime64(3, 'UTC') = 1970-01-01: from then on
-- until DateTime64(3, 'UTC') = now: up to then
WITH
    own_sessions AS
    (SELECT * FROM session_rows FINAL WHERE workspace = {workspace:String} AND subscriber = {person:String}),
    own AS (SELECT * FROM match_rows FINAL WHERE workspace = {workspace:String} AND subscriber = {person:String}),
    own_matches AS
    (
        SELECT match_id, listener, listener_version, matched_at,
            multiIf(match_id IN (SELECT match_id FROM own WHERE kind = 'retraction'), 'retracted',
                match_id IN (SELECT replaces FROM own WHERE kind = 'amendment' AND replaces != match_id), 'replaced', 'stands')
                AS state
        FROM own
        WHERE kind IN ('match', 'amendment')
        ORDER BY logged_at DESC, version DESC
        LIMIT 1 BY match_id
    )
SELECT at, what, detail, id
FROM
(
    SELECT occurred_at AS at, 'event' AS what, concat(action, if(reason = '', '', concat(' [', reason, ']'))) AS detail,
        event_id AS id, 1 AS place
    FROM events WHERE workspace = {workspace:String} AND subscriber = {person:String}
    UNION ALL
    SELECT started_at, 'session', concat(toString(events), if(events = 1, ' event in ', ' events in '),
        toString(dateDiff('second', started_at, ended_at)), ' s', if(campaign = '', '', concat(' from ', campaign))),
        session, 0
    FROM own_sessions WHERE session NOT IN (SELECT arrayJoin(joined) FROM own_sessions)
    UNION ALL
    SELECT matched_at, 'match', concat(listener, '@', toString(listener_version), if(state = 'stands', '', concat(' [', state, ']'))),
        match_id, 2
    FROM own_matches
    UNION ALL
    SELECT matched_at, 'move', concat(verb, ' ', from_list, if(from_list != '' AND to_list != '', ' → ', ''), to_list),
        command_id, 3
    FROM moves WHERE workspace = {workspace:String} AND subscriber = {person:String}
    UNION ALL
    SELECT assumeNotNull(answered_at), 'answer', concat(result, if(reason = '', '', concat(' (', reason, ')')),
        if(empty(changed), '', ': '), arrayStringConcat(changed, ' ')), command_id, 4
    FROM moves WHERE workspace = {workspace:String} AND subscriber = {person:String} AND answered_at IS NOT NULL
    UNION ALL
    SELECT at, 'import', concat(if(member, 'in ', 'not in '), list), '', 5
    FROM membership_changes
    WHERE workspace = {workspace:String} AND subscriber = {person:String} AND command_id = ''
)
WHERE at >= {since:DateTime64(3, 'UTC')} AND at <= {until:DateTime64(3, 'UTC')}
ORDER BY at, place, id
