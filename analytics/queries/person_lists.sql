-- In which lists somebody is or was, since when and until when.
-- person String: subscriber id, or an address
SELECT list, account, valid_from AS since, valid_to AS until
FROM memberships
WHERE workspace = {workspace:String} AND subscriber = {person:String}
ORDER BY until IS NOT NULL, since DESC, list, account
