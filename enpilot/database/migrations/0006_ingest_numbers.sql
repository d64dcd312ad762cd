-- What ingest says about itself, and what makes a commit cheap.

-- Exact: batches_received = stored + duplicated + refused + births_needed.
ALTER TABLE ingest_count
    ADD COLUMN batches_received bigint NOT NULL DEFAULT 0,
    ADD COLUMN births_needed bigint NOT NULL DEFAULT 0,   -- messages that wait for their birth
    ADD COLUMN reading_lag_ms bigint,      -- last group: taken off the broker - newest reading
    ADD COLUMN sent_lag_ms bigint,         -- last group: taken off the broker - sent, two clocks
    ADD COLUMN group_batches integer,      -- last group: batches of this agent
    ADD COLUMN group_readings integer;     -- last group: readings of this agent that were new
UPDATE ingest_count SET batches_received = batches_stored + batches_duplicated + batches_refused;

-- One row a running worker; it goes a day after the last commit.
CREATE TABLE ingest_worker (
    worker text PRIMARY KEY,
    started_at timestamptz NOT NULL,
    last_commit_at timestamptz NOT NULL,
    groups bigint NOT NULL,
    batches bigint NOT NULL,
    readings bigint NOT NULL,
    group_batches integer NOT NULL,        -- of the last group
    group_readings integer NOT NULL,
    commit_ms double precision NOT NULL,   -- of the group before it: its own is not over yet
    writing_s double precision NOT NULL,   -- of all groups before it: against the clock, how busy
    direct_compress bigint NOT NULL        -- COPYs that went to the columnstore directly
);

-- Under which identity the database was written last; another one means a restore or a promotion.
CREATE TABLE ingest_database (
    identity text PRIMARY KEY,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL              -- highest number drawn when it was first seen
);

-- A receipt names the last refused batches of a stream; most streams have none.
CREATE INDEX batch_ledger_refused ON batch_ledger (stream_no, seq) WHERE state = 'refused';
-- Folding asks for the oldest hash of a stream only; a finding about a stream is booked once.
CREATE INDEX finding_stream ON finding (code, (evidence ->> 'stream')) WHERE evidence ? 'stream';

-- Room for the second version of a row on its own page, so that no index entry is added.
ALTER TABLE latest SET (fillfactor = 50);
ALTER TABLE ingest_count SET (fillfactor = 50);
ALTER TABLE ingest_worker SET (fillfactor = 50);
ALTER TABLE batch_ledger SET (fillfactor = 50);
-- A check for each batch is a third of what its row costs. It can find nothing: whoever adds a batch
-- has locked the stream's state before, and that row cannot be there without its stream.
ALTER TABLE batch_ledger DROP CONSTRAINT batch_ledger_stream_no_fkey;
