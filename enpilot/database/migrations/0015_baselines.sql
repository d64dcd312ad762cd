-- What energy depends on, what it should have been, and what retrofits saved of it.

-- A relevant variable (ISO 50006), and where its values come from.
CREATE TABLE relevant_variable (
    relevant_variable_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    unit text NOT NULL,
    UNIQUE (site_id, code)
);
CREATE TABLE relevant_variable_record (
    relevant_variable_id integer NOT NULL REFERENCES relevant_variable,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    source text NOT NULL CHECK (source IN ('entered', 'output', 'output_share',
        'heating_degree_days', 'cooling_degree_days', 'mean', 'amount', 'calendar_days')),
    entered_as text NOT NULL CHECK (entered_as IN ('sum', 'mean')),
    product_id integer REFERENCES product,
    of_product_ids integer[] NOT NULL DEFAULT '{}',
    stage text NOT NULL CHECK (stage IN ('counted', 'qualified', 'warehoused', 'shipped')),
    point_id integer REFERENCES point,
    quantity text,
    channel text NOT NULL,
    base_temperature numeric,
    temperature_variable_id integer REFERENCES relevant_variable,
    sign smallint NOT NULL CHECK (sign IN (-1, 0, 1)),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (relevant_variable_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

-- Values that people enter, each over its span: operating days, outdoor temperature.
CREATE TABLE relevant_variable_value (
    value_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    relevant_variable_id integer NOT NULL REFERENCES relevant_variable,
    value numeric NOT NULL,
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL CHECK (to_ts > from_ts),
    source text NOT NULL,
    synthetic boolean NOT NULL,
    version integer NOT NULL DEFAULT 1,
    batch bigint NOT NULL,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint
);
CREATE UNIQUE INDEX relevant_variable_value_current
    ON relevant_variable_value (relevant_variable_id, from_ts, to_ts)
    WHERE superseded_commit_no IS NULL;
CREATE INDEX relevant_variable_value_batch ON relevant_variable_value (batch);

ALTER TABLE import_run DROP CONSTRAINT import_run_kind_check;
ALTER TABLE import_run ADD CONSTRAINT import_run_kind_check
    CHECK (kind IN ('readings', 'output', 'energy', 'manual', 'variables'));

-- Energy of an EnPI, or of points together, and the variables it is explained by.
CREATE TABLE baseline (
    baseline_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    UNIQUE (site_id, code)
);
CREATE TABLE baseline_record (
    baseline_id integer NOT NULL REFERENCES baseline,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    enpi_id integer REFERENCES enpi,
    point_ids integer[] NOT NULL DEFAULT '{}',
    quantity text,
    channel text NOT NULL,
    period_kind text NOT NULL CHECK (period_kind IN ('day', 'month')),
    training_from date NOT NULL,
    training_to date NOT NULL,              -- exclusive
    variable_ids integer[] NOT NULL CHECK (cardinality(variable_ids) > 0),
    choose boolean NOT NULL,                -- the variables are candidates
    most smallint NOT NULL CHECK (most BETWEEN 1 AND 4),
    temperature_variable_id integer REFERENCES relevant_variable,
    change_points text[] NOT NULL DEFAULT '{}',
    block smallint NOT NULL CHECK (block > 0),
    whole_site boolean NOT NULL,
    CHECK (training_from < training_to),
    CHECK ((enpi_id IS NULL) = (cardinality(point_ids) > 0)),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (baseline_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

-- Frozen: fitted from its window, and anew only when something in the window changed; then as a new
-- version. An old version stays, with the data version from which it did not count any more.
CREATE TABLE baseline_model (
    model_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    baseline_id integer NOT NULL REFERENCES baseline,
    version integer NOT NULL,
    training_sha256 bytea NOT NULL CHECK (octet_length(training_sha256) = 32),
    training_from date NOT NULL,
    training_to date NOT NULL,              -- exclusive
    period_kind text NOT NULL CHECK (period_kind IN ('day', 'month')),
    energy_unit text NOT NULL,
    usability text NOT NULL CHECK (usability IN ('usable', 'weak', 'unusable')),
    reasons text[] NOT NULL,                -- codes: tests that failed, or the fault
    fault text,                             -- there is no model at all, and why
    fault_sentence text,
    form text,                              -- what it takes, for people
    points integer,
    parameters integer,
    r_squared double precision,
    adjusted_r_squared double precision,
    f double precision,
    f_p double precision,
    s double precision,                     -- [energy_unit]
    cv_rmse double precision,
    cv_rmse_left_out double precision,      -- on what a model had not seen
    durbin_watson double precision,
    autocorrelation double precision,
    coefficients jsonb,
    tests jsonb,
    tried jsonb,
    missing date[] NOT NULL,                -- training periods without a value
    outliers date[] NOT NULL,
    model jsonb,                            -- all of it, to predict with
    synthetic boolean NOT NULL,
    data_version bigint NOT NULL,
    superseded_version bigint,
    computed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (baseline_id, version),
    CHECK ((fault IS NULL) = (model IS NOT NULL)),
    CHECK (fault IS NULL OR usability = 'unusable')
);
CREATE UNIQUE INDEX baseline_model_current ON baseline_model (baseline_id)
    WHERE superseded_version IS NULL;

CREATE TABLE baseline_period (
    site_id integer NOT NULL REFERENCES site,
    baseline_id integer NOT NULL REFERENCES baseline,
    model_id bigint NOT NULL REFERENCES baseline_model,
    period_kind text NOT NULL CHECK (period_kind IN ('day', 'month')),
    period_from date NOT NULL,
    period_to date NOT NULL,                -- exclusive
    training boolean NOT NULL,
    energy_unit text NOT NULL,
    actual double precision,
    energy_tce double precision,
    expected double precision,
    lower double precision,                 -- of 95 %
    upper double precision,
    difference double precision,            -- actual - expected
    cusum double precision,                 -- since the training window ended
    shift boolean NOT NULL,                 -- performance changed with this period
    level double precision,                 -- mean difference since the last shift
    variables jsonb NOT NULL,
    outside_range text[] NOT NULL,          -- variables that leave the training range
    synthetic boolean NOT NULL,
    withheld_code text,                     -- why there is no expected energy or no difference
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (baseline_id, period_kind, period_from),
    CHECK ((difference IS NULL) = (withheld_code IS NOT NULL))
);
CREATE INDEX baseline_period_site ON baseline_period (site_id, period_kind, period_from);

-- A programme runs over many sites; it has no figures of its own.
CREATE TABLE programme (
    programme_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE
);
CREATE TABLE programme_record (
    programme_id integer NOT NULL REFERENCES programme,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    goal_projects integer CHECK (goal_projects > 0),
    goal_tce_per_year numeric CHECK (goal_tce_per_year > 0),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (programme_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

CREATE TABLE retrofit (
    retrofit_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    UNIQUE (site_id, code)
);
CREATE TABLE retrofit_record (
    retrofit_id integer NOT NULL REFERENCES retrofit,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('efficiency', 'renewable', 'fuel_switch')),
    ipmvp_option text NOT NULL CHECK (ipmvp_option IN ('B', 'C')),
    baseline_id integer NOT NULL REFERENCES baseline,
    implementation_from date NOT NULL,
    implementation_to date NOT NULL,        -- all exclusive at their ends
    reporting_from date NOT NULL,
    reporting_to date,
    promised_tce_per_year numeric,
    cost_yuan numeric,
    programme_id integer REFERENCES programme,
    overlap_ids integer[] NOT NULL DEFAULT '{}',
    scheme_id integer REFERENCES scheme,
    CHECK (implementation_from <= implementation_to AND implementation_to <= reporting_from),
    CHECK (reporting_to > reporting_from),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (retrofit_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

-- What changed the energy for another reason, from .. to; reported with every saving it changes.
CREATE TABLE non_routine_adjustment (
    non_routine_adjustment_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    UNIQUE (site_id, code)
);
CREATE TABLE non_routine_adjustment_record (
    non_routine_adjustment_id integer NOT NULL REFERENCES non_routine_adjustment,
    retrofit_id integer NOT NULL REFERENCES retrofit,
    amount_per_month numeric NOT NULL,      -- [energy unit of the baseline]; + raised the energy
    why text NOT NULL,
    evidence text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (non_routine_adjustment_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

CREATE TABLE saving_period (
    site_id integer NOT NULL REFERENCES site,
    retrofit_id integer NOT NULL REFERENCES retrofit,
    period_kind text NOT NULL CHECK (period_kind IN ('day', 'month')),
    period_from date NOT NULL,
    period_to date NOT NULL,                -- exclusive
    energy_unit text NOT NULL,
    adjusted_baseline double precision,
    actual double precision,
    adjustment double precision NOT NULL,
    saving double precision,                -- adjusted_baseline + adjustment - actual
    cumulative_saving double precision,
    withheld_code text,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (retrofit_id, period_kind, period_from),
    CHECK ((saving IS NULL) = (withheld_code IS NOT NULL))
);
CREATE INDEX saving_period_site ON saving_period (site_id, period_kind, period_from);

-- reporting: the whole window; first_12_months; persisting: the 12 months up to the last one, once
-- the first 12 are over (F40).
CREATE TABLE saving_result (
    site_id integer NOT NULL REFERENCES site,
    retrofit_id integer NOT NULL REFERENCES retrofit,
    span text NOT NULL CHECK (span IN ('reporting', 'first_12_months', 'persisting')),
    kind text NOT NULL CHECK (kind IN ('efficiency', 'renewable', 'fuel_switch')),
    programme_id integer REFERENCES programme,
    model_id bigint REFERENCES baseline_model,
    period_from date,
    period_to date,                         -- exclusive
    months double precision,
    energy_unit text,
    adjusted_baseline double precision,
    actual double precision,
    adjustment double precision,
    saving double precision,
    uncertainty double precision,           -- half width at `confidence`
    fractional_uncertainty double precision,
    confidence double precision,
    claim text NOT NULL,
    tce_per_unit double precision,
    factor_verified boolean,
    tce_per_year double precision,          -- saving of the span, to 12 months
    uncertainty_tce double precision,
    counted_tce double precision,           -- of it, counted once (F40)
    unallocated_tce double precision,
    provisional boolean NOT NULL,           -- fewer than 12 months
    synthetic boolean NOT NULL,
    withheld_code text,                     -- why there is no saving, or none in tce
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (retrofit_id, span),
    CHECK (saving IS NOT NULL OR withheld_code IS NOT NULL)
);
CREATE INDEX saving_result_site ON saving_result (site_id);

ALTER TABLE relevant_variable_value ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON relevant_variable_value FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE baseline_model ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON baseline_model FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE baseline_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON baseline_period FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE saving_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON saving_period FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE saving_result ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON saving_result FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
-- Without a site of their own: windows, promises and reasons say as much as a figure.
ALTER TABLE baseline_record ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON baseline_record FOR SELECT
    USING (baseline_id IN (SELECT baseline_id FROM baseline JOIN granted_site USING (site_id)));
ALTER TABLE retrofit_record ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON retrofit_record FOR SELECT
    USING (retrofit_id IN (SELECT retrofit_id FROM retrofit JOIN granted_site USING (site_id)));
ALTER TABLE non_routine_adjustment_record ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON non_routine_adjustment_record FOR SELECT
    USING (non_routine_adjustment_id IN (SELECT non_routine_adjustment_id FROM non_routine_adjustment JOIN granted_site USING (site_id)));
