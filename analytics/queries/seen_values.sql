-- The most frequent actions, paths, campaigns, categories and products of what the sites and mails really sent.
-- since DateTime64(3, 'UTC') = -7d: events from then on
SELECT property, value, count() AS events
FROM
(
    SELECT arrayJoin([
        ('action', toString(action)), ('path', path), ('campaign', toString(campaign)),
        ('category', toString(category)), ('sku', sku)
    ]) AS pair, pair.1 AS property, pair.2 AS value
    FROM events
    WHERE workspace = {workspace:String} AND occurred_at >= {since:DateTime64(3, 'UTC')}
)
WHERE value != ''
GROUP BY property, value
ORDER BY property, events DESC, value
LIMIT 30 BY property
