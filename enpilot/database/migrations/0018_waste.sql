-- Energy that nobody needed, meters in doubt, and how good the data of a month are (F4, F15, F23,
-- F31, F38). What a plant declares of its machines is dated; findings keep what became of them.

CREATE TABLE machine (
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    point_id integer NOT NULL REFERENCES point,
    idle_from numeric,                 -- [unit of the point per hour]
    running_from numeric,
    status_series_id integer REFERENCES series,
    off_values integer[] NOT NULL,
    idle_values integer[] NOT NULL,
    output_point_id integer REFERENCES point,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (site_id WITH =, code WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);
CREATE TABLE opening_hours (
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    days text[] NOT NULL,
    hours text[] NOT NULL,             -- local, "08:00-18:00"
    point_ids integer[] NOT NULL,      -- empty: all that no other hours name
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (site_id WITH =, code WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);
CREATE TABLE ratio_check (
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    numerator_point_id integer NOT NULL REFERENCES point,
    denominator_point_id integer NOT NULL REFERENCES point,
    low numeric,
    high numeric,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (site_id WITH =, code WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);
CREATE TABLE flat_price (
    site_id integer NOT NULL REFERENCES site,
    yuan_per_kwh numeric NOT NULL CHECK (yuan_per_kwh > 0),
    source text NOT NULL,
    verified boolean NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (site_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);
-- A later calibration does not end an earlier one in its own time, so they may overlap.
CREATE TABLE calibration (
    site_id integer NOT NULL REFERENCES site,
    device_id integer NOT NULL REFERENCES device,
    calibrated_on date NOT NULL,
    due_on date,                       -- the last day on which it holds; NULL: not said
    certificate text,
    valid_from timestamptz NOT NULL,   -- the local days, as instants
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from)
);
CREATE UNIQUE INDEX calibration_current ON calibration (device_id, calibrated_on)
    WHERE superseded_commit_no IS NULL;

-- The load that never goes away, over the last finished weeks.
CREATE TABLE base_load (
    site_id integer NOT NULL REFERENCES site,
    point_id integer NOT NULL REFERENCES point,
    hours text NOT NULL CHECK (hours IN ('all', 'night', 'weekend', 'holiday')),
    period_from date NOT NULL,
    period_to date NOT NULL,           -- exclusive
    rate double precision NOT NULL,    -- [unit per hour]
    low double precision NOT NULL,     -- quartiles of the days
    high double precision NOT NULL,
    share double precision,            -- of all energy of these hours
    rate_before double precision,      -- of the same season a year before
    rise double precision,
    rise_p double precision,
    days integer NOT NULL,
    unit text NOT NULL,
    simulated boolean NOT NULL,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (point_id, hours)
);
CREATE INDEX base_load_site ON base_load (site_id);

-- The same waste is one row that grows; gone, it is withdrawn, like a finding.
CREATE TABLE waste_finding (
    waste_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    point_id integer NOT NULL REFERENCES point,
    kind text NOT NULL,
    subject text NOT NULL,             -- code of a machine, opening hours or ratio; else ''
    first_seen timestamptz NOT NULL,
    measured_from timestamptz NOT NULL,
    measured_to timestamptz NOT NULL CHECK (measured_to > measured_from),
    standing boolean NOT NULL,         -- goes on, so that a year of it can be told
    amount double precision,           -- measured [unit]
    unit text NOT NULL,
    withheld_code text,
    tce double precision,
    tce_withheld_code text,
    yuan numeric,
    yuan_withheld_code text,
    amount_a_year double precision,    -- of a standing one, at the rate of what was measured
    tce_a_year double precision,
    yuan_a_year numeric,
    evidence jsonb NOT NULL,
    simulated boolean NOT NULL,
    verified boolean NOT NULL,         -- factor and price are
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    withdrawn_version bigint,
    CHECK ((amount IS NULL) = (withheld_code IS NOT NULL)),
    CHECK ((tce IS NULL) = (tce_withheld_code IS NOT NULL)),
    CHECK ((yuan IS NULL) = (yuan_withheld_code IS NOT NULL))
);
CREATE UNIQUE INDEX waste_finding_current
    ON waste_finding (site_id, kind, point_id, subject, first_seen)
    WHERE withdrawn_version IS NULL;

-- What people decided about it; the last one holds, none is open.
CREATE TABLE waste_decision (
    waste_id bigint NOT NULL REFERENCES waste_finding,
    state text NOT NULL CHECK (state IN ('open', 'planned', 'done', 'not_waste')),
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint
);
CREATE UNIQUE INDEX waste_decision_current ON waste_decision (waste_id)
    WHERE superseded_commit_no IS NULL;

-- For which spans waste was looked for on which last finished day: once is enough.
CREATE TABLE waste_run (
    site_id integer NOT NULL REFERENCES site,
    finished_until date NOT NULL,
    span_from date NOT NULL,
    span_to date NOT NULL,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, finished_until, span_from, span_to)
);

-- How good the data of a month are: of a point, or with point_id NULL of the site.
CREATE TABLE quality_period (
    site_id integer NOT NULL REFERENCES site,
    point_id integer REFERENCES point,
    period_from date NOT NULL,
    period_to date NOT NULL,           -- exclusive
    index_share double precision,      -- 0 .. 1, weight of what passed in what is known
    known_share double precision NOT NULL,
    failed text[] NOT NULL,
    not_known text[] NOT NULL,
    criteria jsonb NOT NULL,           -- each with its number, limit and weight
    provisional boolean NOT NULL,
    simulated boolean NOT NULL,
    withheld_code text,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((index_share IS NULL) = (withheld_code IS NOT NULL))
);
CREATE UNIQUE INDEX quality_period_key
    ON quality_period (site_id, coalesce(point_id, 0), period_from);

ALTER TABLE machine ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON machine FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE opening_hours ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON opening_hours FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE ratio_check ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON ratio_check FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE flat_price ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON flat_price FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE calibration ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON calibration FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE base_load ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON base_load FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE waste_finding ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON waste_finding FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE waste_decision ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON waste_decision FOR SELECT
    USING (waste_id IN (SELECT waste_id FROM waste_finding JOIN granted_site USING (site_id)));
ALTER TABLE quality_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON quality_period FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
