-- Every move of somebody that concerned a list, whatever became of it.
-- person String: subscriber id, or an address
-- list String: the list
SELECT matched_at, listener, listener_version, verb, from_list, to_list, undoes, result, reason, answer, answered_at,
    arrayZip(evidence_step, evidence_action, evidence_at, evidence_event_id) AS evidence, command_id
FROM moves
WHERE workspace = {workspace:String} AND subscriber = {person:String}
    AND (to_list = {list:String} OR from_list = {list:String})
ORDER BY matched_at DESC, command_id
