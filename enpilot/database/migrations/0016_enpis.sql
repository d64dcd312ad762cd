-- EnPIs of plants, lines, products and enterprises over every period; shifts; what is counted by a
-- PLC; value added with vintages (F8-F10, F12, F17, F18, F21, F25, F28).

-- A reporting month may begin on another day than the first; it is named by the month it ends in.
ALTER TABLE site_record ADD COLUMN month_day smallint NOT NULL DEFAULT 1
    CHECK (month_day BETWEEN 1 AND 28);

CREATE TABLE shift (
    shift_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    UNIQUE (site_id, code)
);
CREATE TABLE shift_record (
    shift_id integer NOT NULL REFERENCES shift,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    starts time NOT NULL,
    ends time NOT NULL,               -- no later than starts: on the next civil day
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (shift_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

-- A counter of a PLC that counts a product: its advance is output at the stage "counted".
CREATE TABLE production_counter (
    product_id integer NOT NULL REFERENCES product,
    point_id integer NOT NULL REFERENCES point,
    line text NOT NULL DEFAULT '',
    disposition text NOT NULL CHECK (disposition IN ('good', 'scrap', 'rework')),
    per_count numeric NOT NULL CHECK (per_count > 0),   -- [unit of the product per unit counted]
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (point_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

-- A gauge whose integral over time is the point's energy, mass or volume: meters without a counter.
CREATE TABLE integrated_series (
    series_id integer NOT NULL REFERENCES series,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (series_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

-- A sum of points; the formula valid in each interval counts (F2).
CREATE TABLE virtual_point (
    virtual_point_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    medium text NOT NULL,
    UNIQUE (site_id, code)
);
CREATE TABLE virtual_point_record (
    virtual_point_id integer NOT NULL REFERENCES virtual_point,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    formula text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (virtual_point_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);
CREATE TABLE virtual_point_period (
    site_id integer NOT NULL REFERENCES site,
    virtual_point_id integer NOT NULL REFERENCES virtual_point,
    period_kind text NOT NULL CHECK (period_kind IN ('day', 'month')),
    period_from date NOT NULL,
    period_to date NOT NULL,
    amount double precision,           -- [unit]; negative where the formula makes it so
    unit text NOT NULL,
    estimated_share double precision,
    coverage double precision,
    reporting_completeness double precision,
    simulated boolean NOT NULL,
    withheld_code text,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (virtual_point_id, period_kind, period_from),
    CHECK ((amount IS NULL) = (withheld_code IS NOT NULL))
);
ALTER TABLE virtual_point_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON virtual_point_period FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));

-- A main meter against its sub-meters; parent_point_id 0: all boundary points of the medium.
CREATE TABLE balance_period (
    site_id integer NOT NULL REFERENCES site,
    medium text NOT NULL,
    parent_point_id integer NOT NULL,
    period_kind text NOT NULL CHECK (period_kind IN ('day', 'month')),
    period_from date NOT NULL,
    period_to date NOT NULL,
    main double precision,             -- [unit] import - export + generation
    children double precision,
    remainder double precision,        -- main - children: not metered below
    tolerance double precision,
    unit text NOT NULL,
    incomplete text[] NOT NULL,        -- points whose registers do not bracket the period
    status text NOT NULL CHECK (status IN ('closed', 'remainder', 'off', 'incomplete')),
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, medium, parent_point_id, period_kind, period_from)
);
ALTER TABLE balance_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON balance_period FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));

-- A production lot (batch, heat): its energy is cut from the registers at its own ends (F22).
ALTER TABLE output ADD COLUMN lot text NOT NULL DEFAULT '';

-- Value added of an enterprise (F17). A new vintage of a period supersedes the one before.
CREATE TABLE value_added (
    value_added_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,            -- where it was entered
    enterprise_id integer NOT NULL REFERENCES enterprise,
    period_from date NOT NULL,
    period_to date NOT NULL CHECK (period_to > period_from),   -- exclusive
    price_year integer NOT NULL,      -- constant prices of that year; 0: current prices
    value_yuan numeric NOT NULL,
    deflator numeric CHECK (deflator > 0),
    published date,
    source text NOT NULL,
    synthetic boolean NOT NULL,
    version integer NOT NULL DEFAULT 1,                   -- the vintage
    batch bigint NOT NULL,
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint
);
CREATE UNIQUE INDEX value_added_current
    ON value_added (enterprise_id, price_year, period_from, period_to)
    WHERE superseded_commit_no IS NULL;
ALTER TABLE import_run DROP CONSTRAINT import_run_kind_check;
ALTER TABLE import_run ADD CONSTRAINT import_run_kind_check
    CHECK (kind IN ('readings', 'output', 'energy', 'manual', 'variables', 'value_added'));
ALTER TABLE value_added ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON value_added FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));

ALTER TABLE enpi_record ALTER COLUMN product_id DROP NOT NULL;
ALTER TABLE enpi_record
    ADD COLUMN kind text NOT NULL DEFAULT 'intensity'
        CHECK (kind IN ('intensity', 'index', 'mixed', 'value_added')),
    ADD COLUMN subject text NOT NULL DEFAULT 'plant'
        CHECK (subject IN ('plant', 'points', 'product')),
    ADD COLUMN line text NOT NULL DEFAULT '',
    ADD COLUMN calendar text NOT NULL DEFAULT 'civil' CHECK (calendar IN ('civil', 'production')),
    ADD COLUMN product_ids integer[] NOT NULL DEFAULT '{}',
    ADD COLUMN base_intensities numeric[] NOT NULL DEFAULT '{}',  -- e0 of each, NULL without a base
    ADD COLUMN point_codes text[] NOT NULL DEFAULT '{}',    -- points, or virtual ones
    ADD COLUMN point_signs smallint[] NOT NULL DEFAULT '{}',
    ADD COLUMN price_year integer NOT NULL DEFAULT 0,
    ADD COLUMN of_enterprise boolean NOT NULL DEFAULT false;

-- Where a light turns; only official and assigned targets have one (F7).
ALTER TABLE target
    ADD COLUMN slow_from numeric NOT NULL DEFAULT 0.8,
    ADD COLUMN on_track_from numeric NOT NULL DEFAULT 1,
    ADD CHECK (slow_from <= on_track_from);

-- An event that changes what a base can be compared with (F18); base intensity x factor from then on.
CREATE TABLE base_adjustment (
    enpi_id integer NOT NULL REFERENCES enpi,
    code text NOT NULL,
    event text NOT NULL CHECK (event IN ('boundary', 'acquisition', 'new_line', 'scheme',
                                         'meter_error')),
    factor numeric NOT NULL CHECK (factor > 0),
    threshold numeric NOT NULL DEFAULT 0.05 CHECK (threshold >= 0),
    document text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (enpi_id WITH =, code WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);
ALTER TABLE base_adjustment ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON base_adjustment FOR SELECT
    USING (enpi_id IN (SELECT enpi_id FROM enpi JOIN granted_site USING (site_id)));

ALTER TABLE enpi_period DROP CONSTRAINT enpi_period_pkey;
ALTER TABLE enpi_period DROP CONSTRAINT enpi_period_period_kind_check;
ALTER TABLE enpi_period DROP CONSTRAINT enpi_period_status_check;
ALTER TABLE enpi_period
    ADD COLUMN shift text NOT NULL DEFAULT '',
    ADD COLUMN from_ts timestamptz,
    ADD COLUMN to_ts timestamptz,
    ADD COLUMN matched_share double precision,      -- of the energy, where only matched days count
    ADD COLUMN previous_intensity double precision, -- of the same part of the year before
    ADD COLUMN original_target_intensity double precision,  -- before the base was adjusted
    ADD COLUMN original_status text,
    ADD COLUMN volume_effect double precision,      -- [energy_unit], against the base months
    ADD COLUMN mix_effect double precision,
    ADD COLUMN efficiency_effect double precision,
    ADD PRIMARY KEY (enpi_id, period_kind, period_from, period_to, shift),
    ADD CHECK (period_kind IN ('day', 'shift', 'week', 'month', 'quarter', 'year_to_date',
                               'rolling_12')),
    ADD CHECK (status IN ('on_track', 'slow', 'behind', 'base', 'no_target', 'no_base',
                          'joint', 'withheld'));

DROP TRIGGER enpi_period_kept ON enpi_period;
CREATE CONSTRAINT TRIGGER enpi_period_kept AFTER INSERT OR UPDATE OR DELETE ON enpi_period
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION
        keep_figure_version('enpi_id', 'period_kind', 'period_from', 'period_to', 'shift');

-- Sums over the sites of an enterprise; a role must be granted all of them.
CREATE TABLE enterprise_enpi_period (
    enterprise_id integer NOT NULL REFERENCES enterprise,
    code text NOT NULL,                -- of the EnPI in each site
    site_ids integer[] NOT NULL,
    period_kind text NOT NULL CHECK (period_kind IN ('month', 'quarter', 'year_to_date',
                                                     'rolling_12')),
    period_from date NOT NULL,
    period_to date NOT NULL,
    energy double precision,
    energy_unit text NOT NULL,
    energy_tce double precision,
    output double precision,
    output_unit text NOT NULL,
    intensity double precision,
    base_intensity double precision,
    target_intensity double precision,
    progress_ratio double precision,
    cumulative_progress double precision,
    status text NOT NULL,
    withheld_code text,
    coverage double precision,
    output_coverage double precision,
    synthetic_energy boolean NOT NULL,
    synthetic_output boolean NOT NULL,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (enterprise_id, code, period_kind, period_from, period_to),
    CHECK ((status = 'withheld') = (withheld_code IS NOT NULL)),
    CHECK (status <> 'withheld' OR intensity IS NULL)
);
ALTER TABLE enterprise_enpi_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON enterprise_enpi_period FOR SELECT
    USING (NOT EXISTS (SELECT unnest(site_ids) EXCEPT SELECT site_id FROM granted_site));

-- Two points, or two accounts, may have the same finding at the same time.
ALTER TABLE finding ADD COLUMN subject text NOT NULL DEFAULT '';
DROP INDEX finding_key;
CREATE UNIQUE INDEX finding_key ON finding
    (site_id, code, at_ts, coalesce(point_id, 0), coalesce(series_id, 0), subject)
    WHERE withdrawn_version IS NULL;

-- Energy of a production lot, from the registers at its own ends (F22).
CREATE TABLE lot_energy (
    site_id integer NOT NULL REFERENCES site,
    enpi_id integer NOT NULL REFERENCES enpi,
    line text NOT NULL,
    lot text NOT NULL,
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL,
    energy double precision,           -- [energy_unit]
    energy_unit text NOT NULL,
    output double precision,
    output_unit text NOT NULL,
    intensity double precision,
    estimated_share double precision,
    withheld_code text,
    synthetic boolean NOT NULL,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (enpi_id, line, lot, from_ts),
    CHECK (intensity IS NULL OR withheld_code IS NULL)
);
ALTER TABLE lot_energy ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON lot_energy FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));

-- How the running year of an EnPI will end (F37); without a forecast, why.
CREATE TABLE enpi_year_end (
    site_id integer NOT NULL REFERENCES site,
    enpi_id integer NOT NULL REFERENCES enpi,
    year_from date NOT NULL,
    year_to date NOT NULL,              -- exclusive
    through date NOT NULL,              -- finished months are known before this day
    energy double precision,            -- of the whole year [energy unit of the scheme]
    energy_lower double precision,      -- of an interval of 80 %
    energy_upper double precision,
    intensity double precision,
    intensity_lower double precision,
    intensity_upper double precision,
    target_intensity double precision,
    probability double precision,       -- that the year ends at or below its target
    required_intensity double precision,-- of the rest of the year, to end on the target
    required_change double precision,   -- of the rest against what is expected of it
    required_code text,
    method text,
    synthetic boolean NOT NULL,
    withheld_code text,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (enpi_id, year_from),
    CHECK ((energy IS NULL) = (withheld_code IS NOT NULL))
);
ALTER TABLE enpi_year_end ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON enpi_year_end FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
