-- Run by Patroni on a node that is about to be promoted; the promotion waits for it.
--
-- A leader that crashes can leave commits on its own disk that no replica holds, and whose clients were told nothing.
-- Started again, it would show them: a reader could be given a signed checkpoint that the next fail-over takes back,
-- and the log would have signed two histories. So a node leads only once another one holds all that it would show.
\set ON_ERROR_STOP on
SET application_name = 'pith before promotion';
DO $$
DECLARE
    given_up timestamptz := clock_timestamp() + interval '60 seconds';
    held boolean;
BEGIN
    LOOP
        PERFORM pg_stat_clear_snapshot();  -- or whoever connects from now on would not be seen
        SELECT bool_or(flush_lsn >= greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()))
            INTO held FROM pg_stat_replication;
        EXIT WHEN held;
        IF clock_timestamp() > given_up THEN
            RAISE EXCEPTION 'no other node holds what this one would show; another may try';
        END IF;
        PERFORM pg_sleep(0.2);
    END LOOP;
END
$$;
