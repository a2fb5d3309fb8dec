-- The most frequent actions, paths, campaigns, categories and products of what the sites and mails really sent.
-- since DateTime64(3, 'UTC') = -7d: events from then on
SELECT property, value, events
FROM
(
    SELECT multiIf(action != '', 'action', path != '', 'path', campaign != '', 'campaign', category != '', 'category', 'sku')
            AS property,
        concat(action, path, campaign, category, sku) AS value, count() AS events
    FROM event_rows FINAL
    PREWHERE occurred_at >= {since:DateTime64(3, 'UTC')} AND copy = 0
    WHERE workspace = {workspace:String}
    GROUP BY GROUPING SETS ((action), (path), (campaign), (category), (sku))
)
WHERE value != ''
ORDER BY property, events DESC, value
LIMIT 30 BY property
