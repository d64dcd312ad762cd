-- Where every fact comes from and in which order it became known (D1-D4, D12-D16).
-- Portable SQL only: what a TimescaleDB server adds is done by the reconcile step, again and
-- again, because a recorded migration never reruns when the extension arrives later (D20).

CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE SEQUENCE commit_no_seq AS bigint;

-- The last thing a writer does before COMMIT. The lock makes numbers follow commit order, so that
-- "everything up to V" is a fixed set and the highest number seen is a data version.
CREATE FUNCTION draw_commit_no() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('enpilot.commit_no', 0));
    RETURN nextval('commit_no_seq');
END $$;

-- A stream numbers batches from one source: one start of an agent, one imported file, one session
-- of hand entries. A reading's batch is stream_no << 32 | seq.
CREATE TABLE stream (
    stream_no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream uuid NOT NULL UNIQUE,
    origin text NOT NULL CHECK (origin IN ('agent', 'import', 'manual', 'api')),
    agent_id text,
    previous uuid,
    source text NOT NULL,
    content_sha256 bytea,
    simulated boolean NOT NULL DEFAULT false,
    label_zh text,
    label_en text,
    author text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((origin = 'agent') = (agent_id IS NOT NULL)),
    CHECK (origin <> 'import' OR content_sha256 IS NOT NULL),
    CHECK (NOT simulated OR (label_zh IS NOT NULL AND label_en IS NOT NULL))
);
CREATE INDEX stream_agent ON stream (agent_id) WHERE agent_id IS NOT NULL;

-- Kept apart from stream because writers lock this row: FOR SHARE to add batches, FOR UPDATE to fold.
CREATE TABLE stream_state (
    stream_no integer PRIMARY KEY REFERENCES stream,
    through bigint NOT NULL DEFAULT 0,        -- every seq up to here is stored, refused or lost
    pruned_through bigint NOT NULL DEFAULT 0, -- up to here the ledger rows are folded away
    CHECK (pruned_through <= through)
);

CREATE TABLE batch_ledger (
    stream_no integer NOT NULL REFERENCES stream,
    seq bigint NOT NULL CHECK (seq BETWEEN 1 AND 4294967295),
    sha256 bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('stored', 'refused')),
    refusal_code text,
    readings integer NOT NULL DEFAULT 0,
    first_ts timestamptz,
    last_ts timestamptz,
    received_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint,                         -- set by the last statement of the transaction
    PRIMARY KEY (stream_no, seq),
    CHECK ((state = 'refused') = (refusal_code IS NOT NULL))
);

-- Old ledger rows, folded: commit numbers stay (a past version must stay computable), hashes become
-- one digest. commit_nos[i] belongs to seq from_seq + i - 1.
CREATE TABLE batch_fold (
    stream_no integer NOT NULL REFERENCES stream,
    from_seq bigint NOT NULL,
    to_seq bigint NOT NULL CHECK (to_seq >= from_seq),
    commit_nos bigint[] NOT NULL,
    digest bytea NOT NULL,
    folded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream_no, from_seq),
    CHECK (cardinality(commit_nos) = to_seq - from_seq + 1)
);

-- Batches an agent no longer holds and the platform never saw.
CREATE TABLE lost_range (
    stream_no integer NOT NULL REFERENCES stream,
    from_seq bigint NOT NULL,
    to_seq bigint NOT NULL CHECK (to_seq >= from_seq),
    found_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    PRIMARY KEY (stream_no, from_seq)
);

-- Readings are never deleted: a bad import is retracted, and a retraction can itself be revoked.
CREATE TABLE retraction (
    retraction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_no integer NOT NULL REFERENCES stream,
    from_seq bigint NOT NULL,
    to_seq bigint NOT NULL CHECK (to_seq >= from_seq),
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint
);

-- Births, by the hash of their exact bytes (D14).
CREATE TABLE catalog (
    sha256 bytea PRIMARY KEY,
    agent_id text NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE quarantine (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    topic text NOT NULL,
    agent_id text,
    stream uuid,
    seq bigint,
    code text NOT NULL,
    sentence text NOT NULL,
    payload bytea NOT NULL CHECK (octet_length(payload) <= 65536),
    payload_bytes bigint NOT NULL,
    replayed_at timestamptz
);
CREATE INDEX quarantine_agent ON quarantine (agent_id, received_at);

-- Exact, although the payloads above live in a ring.
CREATE TABLE quarantine_count (
    agent_id text NOT NULL,
    code text NOT NULL,
    messages bigint NOT NULL DEFAULT 0,
    last_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (agent_id, code)
);

-- What ingest says about itself, per agent.
CREATE TABLE ingest_count (
    agent_id text PRIMARY KEY,
    batches_stored bigint NOT NULL DEFAULT 0,
    batches_duplicated bigint NOT NULL DEFAULT 0,
    batches_refused bigint NOT NULL DEFAULT 0,
    readings_stored bigint NOT NULL DEFAULT 0,
    readings_duplicated bigint NOT NULL DEFAULT 0,
    readings_refused bigint NOT NULL DEFAULT 0,
    last_received_at timestamptz,
    last_reading_ts timestamptz
);

-- What an agent last said about itself; "offline" is its last will.
CREATE TABLE agent_status (
    agent_id text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('online', 'offline')),
    since timestamptz NOT NULL,
    held_batches bigint NOT NULL,
    held_readings bigint NOT NULL,
    oldest_held_ts timestamptz,
    units_down integer NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
