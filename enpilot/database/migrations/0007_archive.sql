-- Charts over raw counts (D18), finished months in files, and what stays when they are dropped
-- (D9, F19).

-- Good readings by minute and quarter hour (UTC), unscaled and without a join. Where the server has
-- continuous aggregates, reconcile puts these views over them; the columns stay. lowest_batch and
-- highest_batch say whether a retraction may touch the bucket.
CREATE VIEW chart_1m AS
    SELECT series_id, date_bin('1 minute', ts, 'epoch'::timestamptz) AS bucket,
           count(*) AS readings,
           sum(raw_int::double precision) AS sum_int, min(raw_int) AS min_int,
           max(raw_int) AS max_int,
           (array_agg(raw_int ORDER BY ts))[1] AS first_int,
           (array_agg(raw_int ORDER BY ts DESC))[1] AS last_int,
           sum(raw_real) AS sum_real, min(raw_real) AS min_real, max(raw_real) AS max_real,
           (array_agg(raw_real ORDER BY ts))[1] AS first_real,
           (array_agg(raw_real ORDER BY ts DESC))[1] AS last_real,
           min(batch) AS lowest_batch, max(batch) AS highest_batch
    FROM reading WHERE quality & 255 = 0 GROUP BY 1, 2;

CREATE VIEW chart_15m AS
    SELECT series_id, date_bin('15 minutes', ts, 'epoch'::timestamptz) AS bucket,
           count(*) AS readings,
           sum(raw_int::double precision) AS sum_int, min(raw_int) AS min_int,
           max(raw_int) AS max_int,
           (array_agg(raw_int ORDER BY ts))[1] AS first_int,
           (array_agg(raw_int ORDER BY ts DESC))[1] AS last_int,
           sum(raw_real) AS sum_real, min(raw_real) AS min_real, max(raw_real) AS max_real,
           (array_agg(raw_real ORDER BY ts))[1] AS first_real,
           (array_agg(raw_real ORDER BY ts DESC))[1] AS last_real,
           min(batch) AS lowest_batch, max(batch) AS highest_batch
    FROM reading WHERE quality & 255 = 0 GROUP BY 1, 2;

CREATE VIEW visible_chart_1m WITH (security_barrier) AS
    SELECT series_id, bucket, readings, sum_int, min_int, max_int, first_int, last_int, sum_real,
           min_real, max_real, first_real, last_real, lowest_batch, highest_batch
    FROM chart_1m
    WHERE series_id = ANY (ARRAY(
        SELECT s.series_id FROM series s JOIN granted_site g USING (site_id)));

CREATE VIEW visible_chart_15m WITH (security_barrier) AS
    SELECT series_id, bucket, readings, sum_int, min_int, max_int, first_int, last_int, sum_real,
           min_real, max_real, first_real, last_real, lowest_batch, highest_batch
    FROM chart_15m
    WHERE series_id = ANY (ARRAY(
        SELECT s.series_id FROM series s JOIN granted_site g USING (site_id)));

-- Batches that count no more, as readings name them. Numbers only: every reader may see them.
CREATE VIEW retracted_batch AS
    SELECT stream_no::bigint << 32 | from_seq AS from_batch,
           stream_no::bigint << 32 | to_seq AS to_batch
    FROM retraction WHERE superseded_commit_no IS NULL;

-- A file of a site's readings in a month (UTC), as its owner of that time. A later file of the same
-- month holds what came late. A file counts only if it is listed here.
CREATE TABLE archive_file (
    archive_file_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    enterprise_id integer REFERENCES enterprise,  -- none owned the site then
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    supplement boolean NOT NULL,                  -- rows that came after the month was archived
    path text NOT NULL UNIQUE,                    -- below the archive's folder
    rows bigint NOT NULL CHECK (rows > 0),
    bytes bigint NOT NULL,
    sha256 bytea NOT NULL,                        -- of the file
    content_sha256 bytea NOT NULL,                -- of the rows, whatever wrote them
    first_ts timestamptz NOT NULL,
    last_ts timestamptz NOT NULL,
    first_commit_no bigint,
    last_commit_no bigint,
    data_version bigint NOT NULL,                 -- everything up to it was seen
    archived_at timestamptz NOT NULL DEFAULT now(),
    verified_at timestamptz,                      -- read back and compared row by row
    dropped_at timestamptz,                       -- none of its rows is in reading any more
    CHECK (dropped_at IS NULL OR verified_at IS NOT NULL)
);
CREATE INDEX archive_file_month ON archive_file (site_id, month);

-- Spans whose readings are in files only: who computes over one reads the archive too. Begun is
-- written before the first row goes, so that a stop in the middle hides nothing.
CREATE TABLE dropped_span (
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL CHECK (to_ts > from_ts),
    rows bigint NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX dropped_span_ts ON dropped_span (from_ts, to_ts);

-- Of dropped spans: the registers around each boundary of a local day, and each month's first and
-- last of a series. The same columns as reading.
CREATE TABLE kept_reading (LIKE reading INCLUDING CONSTRAINTS);
CREATE INDEX kept_reading_series_ts ON kept_reading (series_id, ts);
