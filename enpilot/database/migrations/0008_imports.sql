-- Imports that can be looked at, superseded and taken back (D16), corrections of readings (F20),
-- and what people read off a register (F23).

-- One row an import: what it was, and how far it has got. An import that was cut off has fewer
-- batches in the ledger than `batches`.
CREATE TABLE import_run (
    stream_no integer PRIMARY KEY REFERENCES stream,
    site_id integer NOT NULL REFERENCES site,
    kind text NOT NULL CHECK (kind IN ('readings', 'output', 'energy', 'manual')),
    file_name text NOT NULL,
    mapping jsonb NOT NULL,
    superseding boolean NOT NULL,
    batches integer NOT NULL CHECK (batches >= 0),
    first_ts timestamptz,              -- extent of the file
    last_ts timestamptz,
    written bigint NOT NULL DEFAULT 0 -- rows that the import added
);
CREATE INDEX import_run_site ON import_run (site_id);

-- Old rows of the ledger are folded; both together are what has been written.
CREATE VIEW import_state AS
    SELECT r.stream_no,
           (SELECT count(*) FROM batch_ledger b WHERE b.stream_no = r.stream_no)
           + (SELECT coalesce(sum(f.to_seq - f.from_seq + 1), 0) FROM batch_fold f
              WHERE f.stream_no = r.stream_no) >= r.batches AS complete,
           EXISTS (SELECT FROM retraction x WHERE x.stream_no = r.stream_no
                   AND x.superseded_commit_no IS NULL) AS retracted
    FROM import_run r;

-- A reading that does not count (void) or counts with another number (replace). The reading stays;
-- revoking the correction brings it back. `batch` NULL means the readings of all batches there.
CREATE TABLE reading_correction (
    reading_correction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('void', 'replace')),
    series_id integer NOT NULL REFERENCES series,
    ts timestamptz NOT NULL,
    batch bigint,
    raw_int bigint,                   -- replacement [register counts]
    raw_real double precision,
    origin text NOT NULL CHECK (origin IN ('import', 'human')),
    by_batch bigint,                  -- the importing batch whose retraction revokes this
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (num_nonnulls(raw_int, raw_real) = CASE kind WHEN 'replace' THEN 1 ELSE 0 END),
    CHECK ((origin = 'import') = (by_batch IS NOT NULL))
);
CREATE INDEX reading_correction_series ON reading_correction (series_id, ts)
    WHERE superseded_commit_no IS NULL;
CREATE INDEX reading_correction_by_batch ON reading_correction (by_batch)
    WHERE by_batch IS NOT NULL AND superseded_commit_no IS NULL;

-- Readings that no retraction and no void takes out, and the same of those kept of dropped spans. For
-- looking up a few: the accounting loads whole series and applies the same rules to arrays.
CREATE VIEW counted_reading AS
    SELECT r.ts, r.series_id, r.raw_int, r.raw_real, r.quality, r.late_ms, r.batch
    FROM reading r
    WHERE NOT EXISTS (
            SELECT FROM retraction x
            WHERE x.superseded_commit_no IS NULL AND x.stream_no = (r.batch >> 32)
              AND (r.batch & 4294967295) BETWEEN x.from_seq AND x.to_seq)
      AND NOT EXISTS (
            SELECT FROM reading_correction c
            WHERE c.superseded_commit_no IS NULL AND c.kind = 'void'
              AND c.series_id = r.series_id AND c.ts = r.ts
              AND (c.batch IS NULL OR c.batch = r.batch));
CREATE VIEW counted_kept_reading AS
    SELECT r.ts, r.series_id, r.raw_int, r.raw_real, r.quality, r.late_ms, r.batch
    FROM kept_reading r
    WHERE NOT EXISTS (
            SELECT FROM retraction x
            WHERE x.superseded_commit_no IS NULL AND x.stream_no = (r.batch >> 32)
              AND (r.batch & 4294967295) BETWEEN x.from_seq AND x.to_seq)
      AND NOT EXISTS (
            SELECT FROM reading_correction c
            WHERE c.superseded_commit_no IS NULL AND c.kind = 'void'
              AND c.series_id = r.series_id AND c.ts = r.ts
              AND (c.batch IS NULL OR c.batch = r.batch));

-- What a person read off a register. With telemetry around it, it is an anchor: evidence that the
-- register is what the telemetry says. Without, it is a reading too, with the flag MANUAL.
CREATE TABLE manual_reading (
    manual_reading_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    series_id integer NOT NULL REFERENCES series,
    ts timestamptz NOT NULL,
    level numeric NOT NULL CHECK (level >= 0),          -- [unit], as the display showed it
    unit text NOT NULL,
    resolution numeric NOT NULL CHECK (resolution > 0), -- [unit], the display's last digit
    plus_minus_s integer NOT NULL CHECK (plus_minus_s >= 0),
    person text NOT NULL,
    photo_name text,
    photo_sha256 bytea,
    note text NOT NULL DEFAULT '',
    role text NOT NULL CHECK (role IN ('reading', 'anchor', 'evidence')),
    source text NOT NULL,
    synthetic boolean NOT NULL,
    version integer NOT NULL DEFAULT 1,
    batch bigint NOT NULL,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK ((photo_name IS NULL) = (photo_sha256 IS NULL))
);
CREATE UNIQUE INDEX manual_reading_current ON manual_reading (series_id, ts)
    WHERE superseded_commit_no IS NULL;

-- Retraction asks for the entries of a stream.
CREATE INDEX output_batch ON output (batch);
CREATE INDEX energy_ledger_batch ON energy_ledger (batch);
CREATE INDEX manual_reading_batch ON manual_reading (batch);

-- Who read a meter is nobody's business but the plant's: no role reads the two tables as yet.
ALTER TABLE manual_reading ENABLE ROW LEVEL SECURITY;
ALTER TABLE reading_correction ENABLE ROW LEVEL SECURITY;
