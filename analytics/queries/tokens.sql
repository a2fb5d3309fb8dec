-- Tokens that were not believed, by campaign: merge fields left unfilled, links cut or forged.
-- since DateTime64(3, 'UTC') = -7d: from then on
SELECT JSONExtractString(properties, 'token_problem') AS problem, campaign, site, count() AS events,
    uniqExact(subscriber) AS devices, max(occurred_at) AS last_at
FROM event_rows FINAL
PREWHERE occurred_at >= {since:DateTime64(3, 'UTC')} AND copy = 0 AND position(properties, 'token_problem') > 0
WHERE workspace = {workspace:String} AND problem != ''
GROUP BY problem, campaign, site
ORDER BY events DESC, campaign, site
