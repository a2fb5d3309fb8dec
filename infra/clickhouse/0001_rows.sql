-- What the loader writes, one table a kind of row. Keys are deterministic and every table keeps one row a key: of two
-- rows of one key the one with the greater `version` stays (ReplacingMergeTree), so a repetition changes nothing.
-- Read through the views of 0002, which show each key once. Only what ClickHouse 24 and the embedded engine both take.

CREATE TABLE IF NOT EXISTS event_rows
(
    workspace LowCardinality(String) COMMENT 'The client of the installation',
    subscriber String COMMENT 'Opaque id of the person, or of a device not yet known' CODEC(ZSTD(1)),
    event_id String COMMENT 'The sender''s id of the event' CODEC(ZSTD(1)),
    copy UInt64 DEFAULT 0 COMMENT '0; of a repetition that was not matched again: a hash of where it came from' CODEC(ZSTD(1)),
    action LowCardinality(String) COMMENT 'What was done, past tense',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When, by the sender''s clock, corrected' CODEC(DoubleDelta, ZSTD(1)),
    order_no Int64 COMMENT 'Order among events of one instant' CODEC(T64, ZSTD(1)),
    session String COMMENT 'Id of the session, empty where it was not matched' CODEC(ZSTD(1)),
    reason LowCardinality(String) COMMENT 'Why it was not matched (late, duplicate, ...); empty where it was',
    trust LowCardinality(String) COMMENT 'browser, token or server',
    stitched Bool COMMENT 'From before the device became this person''s',
    provisional Bool COMMENT 'A click that may still prove a scanner''s',
    verdict LowCardinality(String) COMMENT 'Of a click: confirmed or machine, and why',
    new_device Bool COMMENT 'A token of another person came on a known device',
    site LowCardinality(String) COMMENT 'The website',
    device String COMMENT 'Id of the browser''s storage' CODEC(ZSTD(1)),
    path String COMMENT 'properties.path' CODEC(ZSTD(1)),
    campaign LowCardinality(String) COMMENT 'properties.campaign',
    sku String COMMENT 'properties.sku' CODEC(ZSTD(1)),
    category LowCardinality(String) COMMENT 'properties.category',
    value Nullable(Float64) COMMENT 'properties.value' CODEC(ZSTD(1)),
    properties String COMMENT 'All properties as JSON' CODEC(ZSTD(3)),
    received_at DateTime64(3, 'UTC') COMMENT 'When the collector took it' CODEC(DoubleDelta, ZSTD(1)),
    logged_at DateTime64(3, 'UTC') COMMENT 'When the log took it' CODEC(DoubleDelta, ZSTD(1)),
    source_partition UInt32 COMMENT 'Partition of beacons that it came from',
    source_offset UInt64 COMMENT 'Offset there' CODEC(DoubleDelta, ZSTD(1)),
    version UInt64 COMMENT 'Log time and offset of the row: the newest stays' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (workspace, subscriber, occurred_at, event_id, copy)
TTL toDateTime(occurred_at) + INTERVAL 25 MONTH
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1
COMMENT 'Events as the flow saw them. Read the view events';

CREATE TABLE IF NOT EXISTS session_rows
(
    workspace LowCardinality(String) COMMENT 'The client of the installation',
    subscriber String COMMENT 'Opaque id of the person' CODEC(ZSTD(1)),
    session String COMMENT 'Id of the session' CODEC(ZSTD(1)),
    started_at DateTime64(3, 'UTC') COMMENT 'Its first event' CODEC(DoubleDelta, ZSTD(1)),
    ended_at DateTime64(3, 'UTC') COMMENT 'Its last event so far' CODEC(DoubleDelta, ZSTD(1)),
    events UInt32 COMMENT 'How many events',
    landing_path String COMMENT 'Path of its first page' CODEC(ZSTD(1)),
    campaign LowCardinality(String) COMMENT 'The campaign that brought it',
    joined Array(String) COMMENT 'Sessions that a late event made part of this one' CODEC(ZSTD(1)),
    version UInt64 COMMENT 'Log time and offset of the row: the newest stays' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(started_at)
ORDER BY (workspace, subscriber, session)
TTL toDateTime(started_at) + INTERVAL 25 MONTH
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1
COMMENT 'Sessions as known at the time. Read the view sessions';

CREATE TABLE IF NOT EXISTS match_rows
(
    workspace LowCardinality(String) COMMENT 'The client of the installation',
    subscriber String COMMENT 'Opaque id of the person' CODEC(ZSTD(1)),
    listener LowCardinality(String) COMMENT 'Whose row of actions completed',
    listener_version UInt32 COMMENT 'Which version of it',
    match_id String COMMENT 'Deterministic id of the match' CODEC(ZSTD(1)),
    kind LowCardinality(String) COMMENT 'match, amendment or retraction',
    matched_at DateTime64(3, 'UTC') COMMENT 'Event time of completion' CODEC(DoubleDelta, ZSTD(1)),
    replaces String COMMENT 'Of an amendment: the match whose place it takes' CODEC(ZSTD(1)),
    reason LowCardinality(String) COMMENT 'Why no command came of it; empty where one did',
    evidence_step Array(LowCardinality(String)) COMMENT 'Step of each piece of evidence',
    evidence_event_id Array(String) COMMENT 'Event of each piece of evidence' CODEC(ZSTD(1)),
    evidence_action Array(LowCardinality(String)) COMMENT 'Its action',
    evidence_at Array(DateTime64(3, 'UTC')) COMMENT 'When it occurred' CODEC(ZSTD(1)),
    logged_at DateTime64(3, 'UTC') COMMENT 'Log time of the decision' CODEC(DoubleDelta, ZSTD(1)),
    version UInt64 COMMENT 'Log time and offset of the row: the newest stays' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, subscriber, listener, match_id, kind)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1
COMMENT 'Matches, amendments and retractions. Read the view matches';

CREATE TABLE IF NOT EXISTS command_rows
(
    workspace LowCardinality(String) COMMENT 'The client of the installation',
    subscriber String COMMENT 'Opaque id of the person' CODEC(ZSTD(1)),
    command_id String COMMENT 'Deterministic id of the command' CODEC(ZSTD(1)),
    account LowCardinality(String) COMMENT 'Login at an email platform',
    verb LowCardinality(String) COMMENT 'move, add, remove, tag, untag or webhook',
    to_list LowCardinality(String) COMMENT 'List to be in',
    from_list LowCardinality(String) COMMENT 'List to be out of',
    tag LowCardinality(String) COMMENT 'Of tag and untag',
    url String COMMENT 'Of webhook' CODEC(ZSTD(1)),
    undoes String COMMENT 'The command that this one takes back' CODEC(ZSTD(1)),
    listener LowCardinality(String) COMMENT 'Whose response it is',
    listener_version UInt32 COMMENT 'Which version of it',
    match_id String COMMENT 'The match that asked for it' CODEC(ZSTD(1)),
    position UInt16 COMMENT 'Place among the listener''s responses',
    matched_at DateTime64(3, 'UTC') COMMENT 'Event time of completion' CODEC(DoubleDelta, ZSTD(1)),
    received_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the collector took the completing event; null where a deadline completed' CODEC(ZSTD(1)),
    evidence_step Array(LowCardinality(String)) COMMENT 'Step of each piece of evidence',
    evidence_event_id Array(String) COMMENT 'Event of each piece of evidence' CODEC(ZSTD(1)),
    evidence_action Array(LowCardinality(String)) COMMENT 'Its action',
    evidence_at Array(DateTime64(3, 'UTC')) COMMENT 'When it occurred' CODEC(ZSTD(1)),
    logged_at DateTime64(3, 'UTC') COMMENT 'Log time of the decision' CODEC(DoubleDelta, ZSTD(1)),
    version UInt64 COMMENT 'Log time and offset of the row: the newest stays' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, subscriber, command_id)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1
COMMENT 'Commands as they were sent. Read the view moves';

CREATE TABLE IF NOT EXISTS outcome_rows
(
    workspace LowCardinality(String) COMMENT 'The client of the installation',
    subscriber String COMMENT 'Opaque id of the person' CODEC(ZSTD(1)),
    command_id String COMMENT 'The command' CODEC(ZSTD(1)),
    account LowCardinality(String) COMMENT 'Login at an email platform',
    result LowCardinality(String) COMMENT 'applied, already, skipped or failed',
    at DateTime64(3, 'UTC') COMMENT 'When the platform had answered' CODEC(DoubleDelta, ZSTD(1)),
    reason LowCardinality(String) COMMENT 'Why it was skipped or failed',
    answer String COMMENT 'The platform''s answer in a few words' CODEC(ZSTD(1)),
    changed Array(LowCardinality(String)) COMMENT 'What the call changed: +list and -list',
    calls UInt16 COMMENT 'Attempts',
    listener LowCardinality(String) COMMENT 'Whose response it was',
    match_id String COMMENT 'The match that asked for it' CODEC(ZSTD(1)),
    verb LowCardinality(String) COMMENT 'move, add, remove, ...',
    to_list LowCardinality(String) COMMENT 'List to be in',
    from_list LowCardinality(String) COMMENT 'List to be out of',
    received_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the collector took the completing event' CODEC(ZSTD(1)),
    matched_at DateTime64(3, 'UTC') COMMENT 'Event time of completion' CODEC(DoubleDelta, ZSTD(1)),
    log_offset UInt64 COMMENT 'Offset in outcomes: the order of one account''s calls' CODEC(DoubleDelta, ZSTD(1)),
    version UInt64 COMMENT 'Falls with log time and offset: the first outcome of a command stays' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, subscriber, command_id)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1
COMMENT 'What became of each command. Read the view moves';

CREATE TABLE IF NOT EXISTS membership_rows
(
    workspace LowCardinality(String) COMMENT 'The client of the installation',
    account LowCardinality(String) COMMENT 'Login at an email platform',
    list LowCardinality(String) COMMENT 'The list',
    subscriber String COMMENT 'Opaque id of the person' CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC') COMMENT 'When the import saw it' CODEC(DoubleDelta, ZSTD(1)),
    member Bool COMMENT 'Whether the person was in the list then',
    version UInt64 COMMENT 'Log time and offset of the row: the newest stays' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, account, list, subscriber, at)
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1
COMMENT 'Baselines of imports. Read the view memberships';

CREATE TABLE IF NOT EXISTS dead_letter_rows
(
    workspace LowCardinality(String) COMMENT 'The client of the installation; empty where it is not known',
    site LowCardinality(String) COMMENT 'The website; empty where it is not known',
    reason LowCardinality(String) COMMENT 'Closed reason, docs/reasons.md',
    topic LowCardinality(String) COMMENT 'Where it came from; http for what never reached the log',
    partition Int32 COMMENT 'Partition there, or -1',
    offset Int64 COMMENT 'Offset there, or -1' CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC') COMMENT 'When it was set aside' CODEC(DoubleDelta, ZSTD(1)),
    detail String COMMENT 'What was wrong' CODEC(ZSTD(1)),
    key String COMMENT 'Key of the record, as text' CODEC(ZSTD(1)),
    sample String COMMENT 'The record''s beginning, as text; bytes that are no UTF-8 as \\xNN' CODEC(ZSTD(3)),
    size UInt64 COMMENT 'Whole length of the record in bytes',
    letter_offset UInt64 COMMENT 'Offset in dead_letters' CODEC(DoubleDelta, ZSTD(1)),
    version UInt64 COMMENT 'Log time and offset of the row: the newest stays' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (topic, partition, offset, reason, at, letter_offset)
TTL toDateTime(at) + INTERVAL 13 MONTH
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1
COMMENT 'What could not be used, and why. Read the view dead_letters';
