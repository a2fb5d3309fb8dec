-- Why somebody is, or was, in a list: each stay, what brought it about, the evidence, and the platform's answer.
-- person String: subscriber id, or an address
-- list String: the list
SELECT m.account AS account, m.valid_from AS valid_from, m.valid_to AS valid_to,
    if(m.command_id = '', 'import', 'move') AS came_by, v.listener AS listener, v.listener_version AS listener_version,
    v.match_id AS match_id, v.matched_at AS matched_at, v.from_list AS from_list, v.undoes AS undoes,
    arrayZip(v.evidence_step, v.evidence_action, v.evidence_at, v.evidence_event_id) AS evidence,
    v.result AS result, v.answer AS answer, v.answered_at AS answered_at, m.command_id AS command_id
FROM
(
    SELECT * FROM memberships
    WHERE workspace = {workspace:String} AND subscriber = {person:String} AND list = {list:String}
) AS m
LEFT JOIN
(
    SELECT * FROM moves WHERE workspace = {workspace:String} AND subscriber = {person:String}
) AS v ON m.command_id = v.command_id
ORDER BY valid_from DESC
