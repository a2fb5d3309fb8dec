-- How many people any two lists share now, or shared at an instant.
-- at DateTime64(3, 'UTC') = now: the instant
WITH
    there AS
    (
        SELECT DISTINCT list, subscriber
        FROM memberships
        WHERE workspace = {workspace:String} AND valid_from <= {at:DateTime64(3, 'UTC')}
            AND (valid_to IS NULL OR valid_to > {at:DateTime64(3, 'UTC')})
    ),
    sizes AS (SELECT list, count() AS people FROM there GROUP BY list),
    pairs AS
    (
        SELECT a.list AS list_a, b.list AS list_b, count() AS shared
        FROM there AS a INNER JOIN there AS b ON a.subscriber = b.subscriber
        WHERE a.list < b.list
        GROUP BY list_a, list_b
    )
SELECT p.list_a AS list_a, p.list_b AS list_b, p.shared AS both, x.people AS in_a, y.people AS in_b,
    round(p.shared / (x.people + y.people - p.shared), 4) AS share_of_union
FROM pairs AS p
INNER JOIN sizes AS x ON p.list_a = x.list
INNER JOIN sizes AS y ON p.list_b = y.list
ORDER BY both DESC, list_a, list_b
