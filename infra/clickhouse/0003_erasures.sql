-- Who asked to be forgotten. It holds no address: the id is opaque, and without its entry in the directory it leads to
-- nobody. The loader keeps rows of these people out, so that a replay of the log cannot bring them back.

CREATE TABLE IF NOT EXISTS erasures
(
    workspace LowCardinality(String) COMMENT 'The client of the installation',
    subscriber String COMMENT 'Opaque id of the person',
    erased_at DateTime64(3, 'UTC') COMMENT 'When',
    until DateTime64(3, 'UTC') COMMENT 'Rows that the log took up to then are kept out',
    removed Map(String, UInt64) COMMENT 'How many rows of each table were removed',
    version UInt64 COMMENT 'The newest stays'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (workspace, subscriber)
SETTINGS fsync_after_insert = 1
COMMENT 'Proofs of erasure, and the list of whom to skip';
