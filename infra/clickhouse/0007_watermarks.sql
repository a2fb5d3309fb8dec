-- What a back-test needs to apply events as the flow did: the log time up to which everything had come at each of them.
-- Rows of before have the log time of the event itself. The view shows it no more than what the flow made of it.

ALTER TABLE event_rows
    ADD COLUMN IF NOT EXISTS watermark DateTime64(3, 'UTC') DEFAULT logged_at
        COMMENT 'Log time up to which everything had come when the flow applied it' CODEC(DoubleDelta, ZSTD(1)) AFTER logged_at;
