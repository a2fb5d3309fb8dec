-- Runs at each step, over time: what the flow says of each key group, a row where a count has changed.

CREATE TABLE IF NOT EXISTS run_rows
(
    workspace LowCardinality(String) COMMENT 'The client of the installation',
    listener LowCardinality(String) COMMENT 'Whose runs',
    listener_version UInt32 COMMENT 'Of which version of it' CODEC(ZSTD(1)),
    element UInt16 COMMENT 'Number, from 1, of the element of the sequence that is waited for' CODEC(ZSTD(1)),
    log_partition UInt32 COMMENT 'Partition of events that the people belong to' CODEC(ZSTD(1)),
    key_group UInt32 COMMENT 'Key group in that partition' CODEC(ZSTD(1)),
    at DateTime64(3, 'UTC') COMMENT 'Log time, a whole minute' CODEC(DoubleDelta, ZSTD(1)),
    elements UInt16 COMMENT 'How many elements the sequence has' CODEC(ZSTD(1)),
    step LowCardinality(String) COMMENT 'The element as evidence calls it: its name, or else its number',
    waits_for LowCardinality(String) COMMENT 'What is waited for, in a word',
    runs UInt64 COMMENT 'Runs of this key group that wait for it, from then on' CODEC(T64, ZSTD(1)),
    subscribers UInt64 COMMENT 'People whose runs they are' CODEC(T64, ZSTD(1)),
    version UInt64 COMMENT 'Log time and offset of the row: the newest stays' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(at)
ORDER BY (workspace, listener, listener_version, element, log_partition, key_group, at)
TTL toDateTime(at) + INTERVAL 13 MONTH
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1
COMMENT 'How many runs wait where, as it changes. Read the view runs';

CREATE OR REPLACE VIEW runs AS
SELECT * EXCEPT (version) FROM run_rows FINAL
COMMENT 'How many runs of each key group wait where: a row where that has changed, and one at the beginning of each day (UTC)';
