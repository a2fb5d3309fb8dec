-- What a large installation's month leaves in each table, for bench/console_home.py: each part's head names the table.
-- The same number gives the same row. Time goes on with the number, as it did for whoever wrote the rows.

-- event_rows
SELECT workspace, number, often(1) AS whose, chance(5, 10) < 3 AS nobody, concat('a_', id('d', whose)) AS device,
    if(nobody, device, person(whose)) AS subscriber, id('e', number) AS event_id,
    ['page_viewed', 'page_viewed', 'page_viewed', 'page_viewed', 'page_viewed', 'page_closed', 'product_added',
        'product_bought', 'email_clicked', 'button_clicked'][chance(6, 10) + 1] AS action,
    moment AS occurred_at, number % 7 AS order_no, substring(device, 3, 20) AS session,
    if(nobody, 'browser', 'token') AS trust, if(chance(7, 4) = 0, 'blog', 'site') AS site,
    concat('/products/', toString(chance(8, 3000))) AS path,
    if(action = 'email_clicked', concat('campaign-', toString(chance(9, 500))), '') AS campaign,
    if(startsWith(action, 'product'), concat('sku-', toString(chance(8, 3000))), '') AS sku,
    concat('category-', toString(chance(8, 3000) % 300)) AS category,
    if(startsWith(action, 'product'), chance(10, 20000) / 100, NULL) AS value,
    concat('{"path":"', path, '","category":"', category, '","title":"A product of the shop"',
        ',"url":"https://shop.example', path, '"', if(sku = '', '', concat(',"sku":"', sku, '"')),
        if(campaign = '', '', concat(',"campaign":"', campaign, '"')),
        if(action = 'email_clicked' AND chance(11, 50) = 0, ',"token_problem":"unfilled"', ''), '}') AS properties,
    addMilliseconds(moment, 200) AS received_at, addMilliseconds(moment, 210) AS logged_at, logged_at AS watermark,
    number % 4 AS source_partition, intDiv(number, 4) AS source_offset, version_at(logged_at) AS version
FROM rows

-- session_rows
SELECT workspace, person(often(1)) AS subscriber, id('s', number) AS session, moment AS started_at,
    addSeconds(moment, chance(12, 1200)) AS ended_at, 1 + chance(13, 9) AS events,
    concat('/products/', toString(chance(8, 3000))) AS landing_path,
    if(chance(14, 3) = 0, concat('campaign-', toString(chance(9, 500))), '') AS campaign, version_at(ended_at) AS version
FROM rows

-- match_rows
SELECT workspace, person(often(1)) AS subscriber, of_listener AS listener, 1 AS listener_version, id('m', number) AS match_id,
    if(number % 97 = 0, 'retraction', 'match') AS kind, moment AS matched_at, if(number % 10 = 0, 'capped', '') AS reason,
    steps AS evidence_step, [id('e', number), id('f', number)] AS evidence_event_id, acts AS evidence_action,
    [subtractSeconds(moment, 60 + chance(18, 3600)), moment] AS evidence_at, moment AS logged_at,
    version_at(moment) AS version
FROM rows

-- command_rows
SELECT workspace, person(often(1)) AS subscriber, id('c', number) AS command_id, 'mailbox' AS account, 'add' AS verb,
    list_name AS to_list, of_listener AS listener, 1 AS listener_version, id('m', number) AS match_id, moment AS matched_at,
    moment AS received_at, steps AS evidence_step, [id('e', number), id('f', number)] AS evidence_event_id,
    acts AS evidence_action, [subtractSeconds(moment, 60 + chance(18, 3600)), moment] AS evidence_at,
    moment AS logged_at, version_at(moment) AS version
FROM rows
WHERE number % 10 != 0

-- outcome_rows
SELECT workspace, person(often(1)) AS subscriber, id('c', number) AS command_id, 'mailbox' AS account,
    multiIf(chance(3, 100) < 80, 'applied', chance(3, 100) < 95, 'already', chance(3, 100) < 99, 'skipped', 'failed')
        AS result,
    addMilliseconds(moment, 400) AS at, 'ok' AS answer,
    if(result != 'applied', [], if(chance(4, 4) = 0, ['-newsletter', concat('+', list_name)], [concat('+', list_name)])) AS changed, 1 AS calls, of_listener AS listener,
    id('m', number) AS match_id, 'add' AS verb, list_name AS to_list, moment AS received_at, moment AS matched_at,
    number AS log_offset, 18446744073709551615 - version_at(moment) AS version
FROM rows
WHERE number % 10 != 0 AND number % 1009 != 0

-- membership_rows
SELECT workspace, 'mailbox' AS account, 'newsletter' AS list, person(number) AS subscriber, begun AS at, 1 AS member,
    number + 1 AS version
FROM rows

-- run_rows
SELECT workspace, concat('l-', toString(number % {listeners:UInt64})) AS listener, 1 AS listener_version,
    intDiv(number, {listeners:UInt64}) % 2 + 1 AS element, intDiv(number, {listeners:UInt64} * 2) % 4 AS log_partition,
    intDiv(number, {listeners:UInt64} * 8) % 16 AS key_group,
    toStartOfDay(addDays(begun, 1 + intDiv(number, {listeners:UInt64} * 128))) AS at, 2 AS elements,
    if(element = 1, 'looked', '2') AS step, 'page_viewed' AS waits_for, chance(15, 20) AS runs, runs AS subscribers,
    number + 1 AS version
FROM rows

-- dead_letter_rows
SELECT workspace, 'site' AS site, ['wrong_origin', 'too_large', 'unknown_action'][chance(16, 3) + 1] AS reason,
    'http' AS topic, -1 AS partition, -1 AS offset, moment AS at,
    if(reason = 'wrong_origin', concat('https://copy-', toString(chance(17, 200)), '.example'), 'of no use') AS detail,
    repeat('x', 400) AS sample, 400 AS size, number AS letter_offset, version_at(moment) AS version
FROM rows

-- audit_rows
SELECT workspace, 'mara' AS user, 'looked_up' AS act, moment AS at, id('u', number) AS audit_id,
    person(number) AS subscriber, version_at(moment) AS version
FROM rows
