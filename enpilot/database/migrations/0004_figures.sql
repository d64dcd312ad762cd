-- What analytics computed, ready to be shown. A row that is withheld keeps its place: the figure is
-- NULL and withheld_code says why (never NaN, never zero for missing).

-- Use of one point's quantity over a civil day or month of its site.
CREATE TABLE energy_period (
    site_id integer NOT NULL REFERENCES site,
    point_id integer NOT NULL REFERENCES point,
    quantity text NOT NULL,
    channel text NOT NULL,
    period_kind text NOT NULL CHECK (period_kind IN ('day', 'month')),
    period_from date NOT NULL,
    period_to date NOT NULL,           -- exclusive
    amount double precision,           -- [unit]
    unit text NOT NULL,
    estimated_share double precision,
    coverage double precision,
    distribution_coverage double precision,
    reporting_completeness double precision,
    simulated boolean NOT NULL,
    withheld_code text,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (point_id, quantity, channel, period_kind, period_from),
    CHECK ((amount IS NULL) = (withheld_code IS NOT NULL))
);
CREATE INDEX energy_period_site ON energy_period (site_id, period_kind, period_from);

-- An EnPI over a day, a month, or the year up to a month's or day's end.
CREATE TABLE enpi_period (
    site_id integer NOT NULL REFERENCES site,
    enpi_id integer NOT NULL REFERENCES enpi,
    period_kind text NOT NULL CHECK (period_kind IN ('day', 'month', 'year_to_date')),
    period_from date NOT NULL,
    period_to date NOT NULL,           -- exclusive
    energy double precision,           -- [energy_unit of the scheme]
    energy_unit text NOT NULL,
    energy_tce double precision,
    output double precision,           -- [unit of the product]
    output_unit text NOT NULL,
    intensity double precision,        -- energy / output
    base_intensity double precision,   -- of the same months of the base year
    target_intensity double precision,
    progress_ratio double precision,   -- ln(I/I0) / (k ln(1-r))
    cumulative_progress double precision,
    status text NOT NULL CHECK (status IN ('on_track', 'slow', 'behind', 'base', 'no_target',
                                           'no_base', 'withheld')),
    withheld_code text,
    provisional boolean NOT NULL,
    within_uncertainty boolean,
    coverage double precision,
    output_coverage double precision,
    reporting_completeness double precision,
    estimated_share double precision,
    synthetic_energy boolean NOT NULL,
    synthetic_output boolean NOT NULL,
    factor_verified boolean NOT NULL,
    target_id integer REFERENCES target,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (enpi_id, period_kind, period_from, period_to),
    CHECK ((status = 'withheld') = (withheld_code IS NOT NULL)),
    CHECK (status <> 'withheld' OR intensity IS NULL)
);
CREATE INDEX enpi_period_site ON enpi_period (site_id, period_kind, period_from);

-- How far analytics has got.
CREATE TABLE computation (
    site_id integer PRIMARY KEY REFERENCES site,
    data_version bigint NOT NULL,
    data_through timestamptz,          -- last reading that the figures contain
    code_version text NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE alert_rule (
    alert_rule_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    UNIQUE (site_id, code)
);
CREATE TABLE alert_rule_record (
    alert_rule_id integer NOT NULL REFERENCES alert_rule,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('threshold')),
    series_id integer NOT NULL REFERENCES series,
    comparison text NOT NULL CHECK (comparison IN ('above', 'below')),
    threshold numeric NOT NULL,        -- [unit of the series]
    hysteresis numeric NOT NULL DEFAULT 0 CHECK (hysteresis >= 0),
    for_s integer NOT NULL DEFAULT 0 CHECK (for_s >= 0),
    severity text NOT NULL CHECK (severity IN ('note', 'warning', 'fault')),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (alert_rule_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);
CREATE TABLE alert_state (
    alert_rule_id integer PRIMARY KEY REFERENCES alert_rule,
    state text NOT NULL CHECK (state IN ('ok', 'pending', 'firing', 'resolved')),
    since timestamptz NOT NULL,
    value double precision,
    evaluated_at timestamptz NOT NULL
);
CREATE TABLE alert_event (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    alert_rule_id integer NOT NULL REFERENCES alert_rule,
    at_ts timestamptz NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    value double precision,
    threshold numeric NOT NULL,
    notified_at timestamptz,
    notify_error text
);
