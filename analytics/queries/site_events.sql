-- What has come from each site: the first and the newest event, how many of five minutes and of a day, from how many devices.
-- since DateTime64(3, 'UTC') = -30d: events from then on
-- until DateTime64(3, 'UTC') = now: up to then
SELECT site, min(received_at) AS first_at, max(received_at) AS last_at, argMax(action, received_at) AS last_action,
    argMax(path, received_at) AS last_path,
    countIf(received_at >= {until:DateTime64(3, 'UTC')} - INTERVAL 5 MINUTE) AS five_minutes,
    countIf(received_at >= {until:DateTime64(3, 'UTC')} - INTERVAL 1 DAY) AS day,
    uniqExactIf(device, device != '' AND received_at >= {until:DateTime64(3, 'UTC')} - INTERVAL 1 DAY) AS devices
FROM events
WHERE workspace = {workspace:String} AND site != '' AND occurred_at >= {since:DateTime64(3, 'UTC')}
    AND received_at <= {until:DateTime64(3, 'UTC')}
GROUP BY site
ORDER BY site
