-- What users of the console did: who signed in, looked up whom, promoted, ended, paused, resumed, replayed what.

CREATE TABLE IF NOT EXISTS audit_rows
(
    workspace LowCardinality(String) COMMENT 'The client of the installation',
    user LowCardinality(String) COMMENT 'Name of the user',
    act LowCardinality(String) COMMENT 'What was done, past tense',
    at DateTime64(3, 'UTC') COMMENT 'When, by the console''s clock' CODEC(DoubleDelta, ZSTD(1)),
    audit_id String COMMENT 'Id of the row' CODEC(ZSTD(1)),
    subscriber String COMMENT 'Opaque id of the person who was looked up, or empty' CODEC(ZSTD(1)),
    target String COMMENT 'The listener''s version, the account or the dead letter''s number, or empty' CODEC(ZSTD(1)),
    version UInt64 COMMENT 'Log time and offset of the row: the newest stays' CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, at, audit_id)
TTL toDateTime(at) + INTERVAL 25 MONTH
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1
COMMENT 'What users of the console did. Read the view audit';

CREATE OR REPLACE VIEW audit AS
SELECT * EXCEPT (version) FROM audit_rows FINAL
COMMENT 'What users of the console did';

ALTER TABLE audit
    COMMENT COLUMN workspace 'The client of the installation',
    COMMENT COLUMN user 'Name of the user',
    COMMENT COLUMN act 'What was done, past tense',
    COMMENT COLUMN at 'When, by the console''s clock',
    COMMENT COLUMN audit_id 'Id of the row',
    COMMENT COLUMN subscriber 'Opaque id of the person who was looked up, or empty',
    COMMENT COLUMN target 'The listener''s version, the account or the dead letter''s number, or empty';
