-- What was refused of each site, and why; where a foreign page sent it, from which origin.
-- since DateTime64(3, 'UTC') = -1d: from then on
SELECT site, reason, if(reason = 'wrong_origin', detail, '') AS origin, count() AS refused, max(at) AS last_at
FROM dead_letters
WHERE workspace = {workspace:String} AND site != '' AND at >= {since:DateTime64(3, 'UTC')}
GROUP BY site, reason, origin
ORDER BY site, refused DESC, reason, origin
LIMIT 20 BY site
