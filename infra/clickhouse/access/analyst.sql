-- The analyst of a ClickHouse server: reads the history and nothing else, within limits. Run it once, as an
-- administrator, when `segma migrate` has made the tables; it can be run again. Then give the user a password:
--   ALTER USER analyst IDENTIFIED WITH sha256_password BY '…'
-- Where one server holds several workspaces, an analyst who may see one of them has a user, and a policy beside the last:
--   CREATE ROW POLICY segma_shop ON segma.* AS RESTRICTIVE FOR SELECT USING workspace = 'shop' TO analyst_of_the_shop
-- CHANGEABLE_IN_READONLY (so that a client may lower its limits: JDBC, Grafana and others send some with each query)
-- needs <settings_constraints_replace_previous> in the server's configuration, which is its default.

CREATE SETTINGS PROFILE IF NOT EXISTS segma_analyst SETTINGS
    readonly = 1,
    allow_ddl = 0,
    max_execution_time = 600 MIN 1 MAX 600 CHANGEABLE_IN_READONLY,
    max_memory_usage = 2147483648 MIN 1 MAX 2147483648 CHANGEABLE_IN_READONLY,
    max_threads = 4 MIN 1 MAX 16 CHANGEABLE_IN_READONLY,
    max_result_rows CHANGEABLE_IN_READONLY,
    max_result_bytes CHANGEABLE_IN_READONLY,
    result_overflow_mode CHANGEABLE_IN_READONLY,
    max_block_size CHANGEABLE_IN_READONLY,
    network_compression_method CHANGEABLE_IN_READONLY,
    session_timezone CHANGEABLE_IN_READONLY,
    join_use_nulls CHANGEABLE_IN_READONLY;

CREATE ROLE IF NOT EXISTS segma_analyst SETTINGS PROFILE 'segma_analyst';
GRANT SELECT ON segma.* TO segma_analyst;

CREATE QUOTA IF NOT EXISTS segma_analyst KEYED BY user_name
    FOR INTERVAL 1 hour MAX queries = 10000, execution_time = 7200
    TO segma_analyst;

CREATE USER IF NOT EXISTS analyst IDENTIFIED WITH no_authentication HOST NONE
    DEFAULT ROLE segma_analyst DEFAULT DATABASE segma SETTINGS PROFILE 'segma_analyst';
GRANT segma_analyst TO analyst;

CREATE ROW POLICY IF NOT EXISTS segma_workspace ON
    segma.event_rows, segma.session_rows, segma.match_rows, segma.command_rows, segma.outcome_rows,
    segma.membership_rows, segma.run_rows, segma.audit_rows, segma.dead_letter_rows, segma.erasures
    FOR SELECT USING 1 TO segma_analyst;
