-- What energy costs: tariffs, utility accounts, prices, invoices as facts; cost, demand as figures
-- (F15, F21, F26, F27, F36). Amounts of money are numeric, never floating point.

-- Days of a site that are not what its country's calendar says.
CREATE TABLE calendar_day (
    site_id integer NOT NULL REFERENCES site,
    day date NOT NULL,
    kind text NOT NULL CHECK (kind IN ('workday', 'holiday', 'shutdown')),
    name_zh text NOT NULL,
    name_en text NOT NULL,
    valid_from timestamptz NOT NULL,   -- the local day, as instants
    valid_to timestamptz NOT NULL,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from)
);
CREATE UNIQUE INDEX calendar_day_current ON calendar_day (site_id, day)
    WHERE superseded_commit_no IS NULL;

CREATE TABLE tariff (
    tariff_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    UNIQUE (site_id, code)
);
-- `rules` is the tariff of the plant file with its regime written out: what was shipped with the
-- program that day stays readable when a later one ships other hours.
CREATE TABLE tariff_record (
    tariff_id integer NOT NULL REFERENCES tariff,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    rules jsonb NOT NULL,
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
    EXCLUDE USING gist (tariff_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

CREATE TABLE account (
    account_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    UNIQUE (site_id, code)
);
CREATE TABLE account_record (
    account_id integer NOT NULL REFERENCES account,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    tariff_id integer NOT NULL REFERENCES tariff,
    point_ids integer[] NOT NULL,      -- of the billing meters
    terms jsonb NOT NULL,              -- capacity, contracted demand, billing day, losses ...
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (account_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

CREATE TABLE medium_price (
    site_id integer NOT NULL REFERENCES site,
    medium text NOT NULL,
    unit text NOT NULL,
    yuan numeric NOT NULL CHECK (yuan > 0),          -- for each unit
    steps jsonb NOT NULL,                            -- above [unit a month], surcharge [yuan/unit]
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
    EXCLUDE USING gist (site_id WITH =, medium WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

-- The highest demand of an account on a local day, computed from readings: the billed figure is
-- the meter's own register (F26). Windows belong to the day in which they end.
CREATE TABLE demand_day (
    site_id integer NOT NULL REFERENCES site,
    account_id integer NOT NULL REFERENCES account,
    day date NOT NULL,
    demand_kw double precision,        -- NULL: no whole window was measured
    at_ts timestamptz,                 -- when its window ended
    least_kw double precision,         -- what the readings prove at least, and allow at most
    most_kw double precision,
    window_s integer NOT NULL,
    slide_s integer NOT NULL,
    distribution_coverage double precision NOT NULL,
    windows_left_out integer NOT NULL,
    simulated boolean NOT NULL,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, day),
    CHECK ((demand_kw IS NULL) = (at_ts IS NULL))
);
CREATE INDEX demand_day_site ON demand_day (site_id, day);

-- Use and cost of an account, or of another medium, by band. The row of band 'total' carries what
-- belongs to no band, and the lines of the bill.
CREATE TABLE cost_period (
    site_id integer NOT NULL REFERENCES site,
    account_id integer REFERENCES account,
    medium text NOT NULL,
    period_kind text NOT NULL CHECK (period_kind IN ('day', 'month', 'billing')),
    period_from date NOT NULL,
    period_to date NOT NULL,           -- exclusive
    band text NOT NULL
        CHECK (band IN ('sharp', 'peak', 'flat', 'valley', 'deep_valley', 'total')),
    amount numeric,                    -- [unit]
    unit text NOT NULL,
    cost_yuan numeric,                 -- of a day: energy only; of a month: the whole bill
    energy_yuan numeric,
    basic_yuan numeric,
    power_factor_yuan numeric,
    power_factor numeric,
    demand_kw numeric,
    lines jsonb,
    estimated_share double precision,
    coverage double precision,
    simulated boolean NOT NULL,
    tariff_verified boolean NOT NULL,
    provisional boolean NOT NULL,      -- the period is still running
    withheld_code text,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((cost_yuan IS NULL) = (withheld_code IS NOT NULL))
);
CREATE UNIQUE INDEX cost_period_key
    ON cost_period (site_id, medium, coalesce(account_id, 0), period_kind, period_from, band);

-- What the utility billed, as printed (F27). Another one of the same number supersedes.
CREATE TABLE invoice (
    invoice_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    account_id integer NOT NULL REFERENCES account,
    number text NOT NULL,
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL CHECK (to_ts > from_ts),
    multiplier numeric NOT NULL CHECK (multiplier > 0),
    total_kwh numeric NOT NULL,
    transformer_loss_kwh numeric NOT NULL DEFAULT 0,
    line_loss_kwh numeric NOT NULL DEFAULT 0,
    demand_kw numeric,
    reactive_kvarh numeric,
    power_factor numeric,
    total_yuan numeric NOT NULL,
    file_name text NOT NULL,
    file_sha256 bytea NOT NULL,
    synthetic boolean NOT NULL,
    version integer NOT NULL DEFAULT 1,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint
);
CREATE UNIQUE INDEX invoice_current ON invoice (site_id, number)
    WHERE superseded_commit_no IS NULL;
CREATE INDEX invoice_account ON invoice (account_id, from_ts);
CREATE TABLE invoice_line (
    invoice_id integer NOT NULL REFERENCES invoice,
    line_no integer NOT NULL CHECK (line_no > 0),
    kind text NOT NULL CHECK (kind IN ('register', 'energy', 'part', 'basic', 'power_factor',
                                       'step', 'other')),
    code text NOT NULL,                -- of a register and of energy the band; of a part its code
    opening numeric,                   -- [register counts as displayed]
    closing numeric,
    quantity numeric,                  -- [kWh, kVA, kW]
    price_yuan numeric,
    amount_yuan numeric,
    text text NOT NULL DEFAULT '',
    PRIMARY KEY (invoice_id, line_no)
);

ALTER TABLE tariff_record ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON tariff_record FOR SELECT
    USING (tariff_id IN (SELECT tariff_id FROM tariff JOIN granted_site USING (site_id)));
ALTER TABLE account_record ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON account_record FOR SELECT
    USING (account_id IN (SELECT account_id FROM account JOIN granted_site USING (site_id)));
ALTER TABLE calendar_day ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON calendar_day FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE medium_price ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON medium_price FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE demand_day ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON demand_day FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE cost_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON cost_period FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE invoice ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON invoice FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE invoice_line ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON invoice_line FOR SELECT
    USING (invoice_id IN (SELECT invoice_id FROM invoice JOIN granted_site USING (site_id)));
