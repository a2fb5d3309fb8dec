-- What is read: each key once, in the words of the manual.

CREATE OR REPLACE VIEW events AS
SELECT * EXCEPT (copy, version) FROM event_rows FINAL WHERE copy = 0
COMMENT 'Every event once, as it is known now';

CREATE OR REPLACE VIEW sessions AS
SELECT * EXCEPT (joined, version)
FROM session_rows FINAL
WHERE (workspace, subscriber, session) NOT IN
    (SELECT workspace, subscriber, arrayJoin(joined) FROM session_rows FINAL)
COMMENT 'Sessions as they are known now; what was joined to another is not shown';

CREATE OR REPLACE VIEW matches AS
WITH
    gone AS (SELECT workspace, match_id FROM match_rows FINAL WHERE kind = 'retraction'),
    replaced AS (SELECT workspace, replaces FROM match_rows FINAL WHERE kind = 'amendment' AND replaces != match_id)
SELECT workspace, subscriber, listener, match_id, listener_version, matched_at, reason,
    evidence_step, evidence_event_id, evidence_action, evidence_at, logged_at,
    multiIf((workspace, match_id) IN gone, 'retracted', (workspace, match_id) IN replaced, 'replaced', 'stands') AS state
FROM match_rows FINAL
WHERE kind IN ('match', 'amendment')
ORDER BY logged_at DESC, version DESC
LIMIT 1 BY workspace, match_id
COMMENT 'Every match once, with its newest evidence, and whether it still stands';

CREATE OR REPLACE VIEW moves AS
SELECT c.workspace AS workspace, c.subscriber AS subscriber, c.command_id AS command_id, c.account AS account,
    c.verb AS verb, c.to_list AS to_list, c.from_list AS from_list, c.tag AS tag, c.undoes AS undoes,
    c.listener AS listener, c.listener_version AS listener_version, c.match_id AS match_id, c.position AS position,
    c.matched_at AS matched_at, c.received_at AS received_at, c.logged_at AS logged_at,
    c.evidence_step AS evidence_step, c.evidence_event_id AS evidence_event_id,
    c.evidence_action AS evidence_action, c.evidence_at AS evidence_at,
    if(o.result = '', 'waiting', o.result) AS result, o.reason AS reason, o.answer AS answer, o.changed AS changed,
    o.calls AS calls, if(o.result = '', NULL, o.at) AS answered_at
FROM (SELECT * FROM command_rows FINAL) AS c
LEFT JOIN (SELECT * FROM outcome_rows FINAL) AS o
    ON c.workspace = o.workspace AND c.subscriber = o.subscriber AND c.command_id = o.command_id
COMMENT 'Every command once: why it was given, and what the platform answered';

CREATE OR REPLACE VIEW membership_changes AS
SELECT workspace, account, list, subscriber, at, member, 0 AS place, '' AS command_id
FROM membership_rows FINAL
UNION ALL
SELECT workspace, account, substring(mark, 2) AS list, subscriber, at, startsWith(mark, '+') AS member,
    log_offset + 1 AS place, command_id
FROM outcome_rows FINAL
ARRAY JOIN changed AS mark
WHERE result = 'applied'
COMMENT 'Everything that put somebody into a list or took them out. In order of at, then place: a baseline comes first';

CREATE OR REPLACE VIEW memberships AS
SELECT workspace, account, list, subscriber, at AS valid_from, if(ends = 0, NULL, next_at) AS valid_to, command_id
FROM
(
    SELECT *,
        leadInFrame(at) OVER person AS next_at,
        leadInFrame(1, 1, 0) OVER person AS ends
    FROM
    (
        SELECT workspace, account, list, subscriber, at, place, member, command_id,
            lagInFrame(toInt8(member), 1, toInt8(0)) OVER
                (PARTITION BY workspace, account, list, subscriber ORDER BY at, place
                 ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS before
        FROM membership_changes
    )
    WHERE member != before
    WINDOW person AS
        (PARTITION BY workspace, account, list, subscriber ORDER BY at, place
         ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
)
WHERE member AND (ends = 0 OR next_at > at)
COMMENT 'Who was in which list from when until when; valid_to is null where they still are';

CREATE OR REPLACE VIEW dead_letters AS
SELECT * EXCEPT (version) FROM dead_letter_rows FINAL
COMMENT 'What could not be used, and why';
