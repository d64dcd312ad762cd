-- Readings: the register's own number, unscaled (D1, D6-D8).
-- No foreign key, trigger, primary key or unique constraint here: each of them silently turns
-- TimescaleDB's direct compress off, and exactly-once is the ledger's work, not the table's.
CREATE TABLE reading (
    ts timestamptz NOT NULL,
    series_id integer NOT NULL,
    raw_int bigint,
    raw_real double precision,
    quality smallint NOT NULL,
    late_ms smallint NOT NULL,
    batch bigint NOT NULL,
    CONSTRAINT reading_one_value CHECK (num_nonnulls(raw_int, raw_real) <= 1),
    CONSTRAINT reading_null_only_when_bad
        CHECK (num_nonnulls(raw_int, raw_real) = 1 OR (quality & 255) <> 0)
);
CREATE INDEX reading_series_ts ON reading (series_id, ts);

CREATE TABLE latest (
    series_id integer PRIMARY KEY,
    ts timestamptz NOT NULL,
    raw_int bigint,
    raw_real double precision,
    quality smallint NOT NULL,
    batch bigint NOT NULL
);

-- Spans whose figures are out of date: append-only, claimed by deleting (D11).
CREATE TABLE dirty (
    series_id integer NOT NULL,
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL,      -- last instant touched, inclusive
    commit_no bigint NOT NULL
);
CREATE INDEX dirty_series ON dirty (series_id);

-- The same for facts that belong to a site, not to a series: output, ledger, factors, targets.
CREATE TABLE dirty_site (
    site_id integer NOT NULL,
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL,
    commit_no bigint NOT NULL
);

-- Energy, mass, pieces per 15 minutes, in 1e-6 register counts, so that sums are exact and a mended
-- scale needs no readings (D9, F36). ts names the interval by its start.
CREATE TABLE interval_advance (
    series_id integer NOT NULL,
    ts timestamptz NOT NULL,
    epoch_id integer NOT NULL,
    advance_micro bigint NOT NULL,
    estimated_micro bigint NOT NULL,   -- part of the advance whose place in time is a guess
    measured_s real NOT NULL,
    readings integer NOT NULL,
    simulated boolean NOT NULL,        -- some reading that decided it came from a simulated source
    data_version bigint NOT NULL,
    PRIMARY KEY (series_id, ts, epoch_id)
);

-- Neighbouring readings too far apart: the energy is known, its distribution is not (F4).
CREATE TABLE gap (
    series_id integer NOT NULL,
    epoch_id integer NOT NULL,
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL,
    advance_micro bigint NOT NULL,
    data_version bigint NOT NULL,
    PRIMARY KEY (series_id, from_ts)
);

-- A decision of the accounting or a doubt about a figure, with its evidence; never silent.
CREATE TABLE finding (
    finding_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    point_id integer REFERENCES point,
    series_id integer REFERENCES series,
    code text NOT NULL,
    at_ts timestamptz NOT NULL,
    to_ts timestamptz,
    severity text NOT NULL CHECK (severity IN ('note', 'warning', 'fault')),
    evidence jsonb NOT NULL,
    data_version bigint NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    withdrawn_version bigint           -- a later computation no longer finds it
);
CREATE UNIQUE INDEX finding_key ON finding (site_id, code, at_ts, coalesce(series_id, 0))
    WHERE withdrawn_version IS NULL;
