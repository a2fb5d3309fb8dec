-- What has come from each site: the first and the newest event, how many of five minutes and of a day, from how many devices.
-- since DateTime64(3, 'UTC') = -30d: events from then on
-- until DateTime64(3, 'UTC') = now: up to then
WITH
    ends AS
    (
        SELECT site, min(received_at) AS first_at, max(received_at) AS last_at
        FROM event_rows
        WHERE workspace = {workspace:String} AND copy = 0 AND site != '' AND occurred_at >= {since:DateTime64(3, 'UTC')}
            AND received_at <= {until:DateTime64(3, 'UTC')}
        GROUP BY site
    ),
    newest AS
    (
        SELECT site, any(action) AS action, any(path) AS path
        FROM event_rows
        PREWHERE (site, received_at) IN (SELECT site, last_at FROM ends)
        WHERE workspace = {workspace:String} AND copy = 0 AND occurred_at >= {since:DateTime64(3, 'UTC')}
        GROUP BY site
    ),
    today AS
    (
        SELECT site, countIf(received_at >= {until:DateTime64(3, 'UTC')} - INTERVAL 5 MINUTE) AS five_minutes,
            count() AS day, uniqExactIf(device, device != '') AS devices
        FROM event_rows FINAL
        PREWHERE received_at >= {until:DateTime64(3, 'UTC')} - INTERVAL 1 DAY
            AND received_at <= {until:DateTime64(3, 'UTC')} AND copy = 0
        WHERE workspace = {workspace:String} AND occurred_at >= {since:DateTime64(3, 'UTC')}
        GROUP BY site
    )
SELECT e.site AS site, e.first_at AS first_at, e.last_at AS last_at, n.action AS last_action, n.path AS last_path,
    t.five_minutes AS five_minutes, t.day AS day, t.devices AS devices
FROM ends AS e
LEFT JOIN newest AS n ON e.site = n.site
LEFT JOIN today AS t ON e.site = t.site
ORDER BY site
