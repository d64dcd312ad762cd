-- What is measured, by what, and whose it is (F1-F3, F5-F7, F12, F14, D5).
-- A thing (site, point, product ...) has an identity that never dies; what is said of it is dated
-- twice: valid_from/valid_to is when it holds in the plant, commit_no/superseded_commit_no is when
-- it became known. Rows are inserted and superseded, never edited.

CREATE TABLE site (
    site_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE
);
CREATE TABLE site_record (
    site_id integer NOT NULL REFERENCES site,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    timezone text NOT NULL,
    production_day_start time NOT NULL DEFAULT '00:00',
    demonstration_zh text,        -- set: what is synthetic here; shown on every page and export
    demonstration_en text,
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

CREATE TABLE enterprise (
    enterprise_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE
);
CREATE TABLE enterprise_record (
    enterprise_id integer NOT NULL REFERENCES enterprise,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    credit_code text,             -- unified social credit code
    industry text,                -- GB/T 4754
    district text,                -- GB/T 2260
    above_scale boolean,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (enterprise_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);
CREATE TABLE site_enterprise (
    site_id integer NOT NULL REFERENCES site,
    enterprise_id integer NOT NULL REFERENCES enterprise,
    share numeric NOT NULL CHECK (share > 0 AND share <= 1),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (site_id WITH =, enterprise_id WITH =,
                        tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

CREATE TABLE point (
    point_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    medium text NOT NULL,
    UNIQUE (site_id, code)
);
CREATE TABLE point_record (
    point_id integer NOT NULL REFERENCES point,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    role text NOT NULL CHECK (role IN ('boundary', 'sub', 'generation', 'production', 'check')),
    direction text NOT NULL CHECK (direction IN ('import', 'export', 'internal')),
    metering_level smallint CHECK (metering_level BETWEEN 1 AND 3),  -- GB 17167
    parent_point_id integer REFERENCES point,
    commissioning text NOT NULL
        CHECK (commissioning IN ('planned', 'wired', 'verified', 'accepted')),
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

CREATE TABLE device (
    device_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    maker text,
    model text,
    serial text,
    accuracy_class text,
    simulated boolean NOT NULL DEFAULT false,
    UNIQUE (site_id, code)
);

-- A device at a point from .. to. Replacement, swap and a reversed CT are rows here, never edits.
CREATE TABLE installation (
    installation_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    point_id integer NOT NULL REFERENCES point,
    device_id integer NOT NULL REFERENCES device,
    ct_ratio numeric NOT NULL DEFAULT 1 CHECK (ct_ratio > 0),
    pt_ratio numeric NOT NULL DEFAULT 1 CHECK (pt_ratio > 0),
    sign smallint NOT NULL DEFAULT 1 CHECK (sign IN (-1, 1)),
    phase_map text,
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

-- One address-level stream of numbers of a point's quantity. Never contains agent or device.
CREATE TABLE series (
    series_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    point_id integer NOT NULL REFERENCES point,
    quantity text NOT NULL,
    channel text NOT NULL,
    UNIQUE (point_id, quantity, channel)
);

-- What stood on the register when a device came and went, as read off it [register counts].
CREATE TABLE installation_register (
    installation_id integer NOT NULL REFERENCES installation,
    series_id integer NOT NULL REFERENCES series,
    opening_raw numeric,
    closing_raw numeric,
    PRIMARY KEY (installation_id, series_id)
);

-- The only dated record of what a series' numbers mean. scale turns register counts into unit and
-- applies to advances of counters and to levels of gauges (F3).
CREATE TABLE series_epoch (
    epoch_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    series_id integer NOT NULL REFERENCES series,
    installation_id integer REFERENCES installation,
    raw_type text NOT NULL,
    decoding text NOT NULL DEFAULT 'big',
    register_scale numeric NOT NULL CHECK (register_scale > 0),
    side text NOT NULL DEFAULT 'primary' CHECK (side IN ('primary', 'secondary')),
    ratio numeric NOT NULL DEFAULT 1 CHECK (ratio <> 0),  -- CT x PT x sign of the installation
    scale numeric GENERATED ALWAYS AS (register_scale * ratio) STORED,
    "offset" numeric NOT NULL DEFAULT 0,
    unit text NOT NULL,
    modulus numeric CHECK (modulus > 0),                   -- [register counts]
    counter_kind text CHECK (counter_kind IN ('lifetime', 'periodic', 'preset')),
    rated_max_per_h numeric CHECK (rated_max_per_h > 0),   -- [unit per hour]
    period_s integer CHECK (period_s > 0),                 -- scheduled distance of readings
    origin text NOT NULL CHECK (origin IN ('birth', 'import', 'human')),
    birth_sha256 bytea,
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
CREATE INDEX series_epoch_lookup ON series_epoch (series_id, valid_from);

-- The gateway that publishes, and the points it may publish (D10).
CREATE TABLE agent (
    agent_id text PRIMARY KEY CHECK (agent_id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    site_id integer NOT NULL REFERENCES site,
    simulated boolean NOT NULL DEFAULT false
);
CREATE TABLE agent_grant (
    agent_id text NOT NULL REFERENCES agent,
    point_id integer NOT NULL REFERENCES point,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (agent_id WITH =, point_id WITH =,
                        tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

CREATE TABLE product (
    product_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    unit text NOT NULL,
    UNIQUE (site_id, code)
);
CREATE TABLE product_record (
    product_id integer NOT NULL REFERENCES product,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (product_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

-- What counts as energy (F6). Every figure names its scheme; base and report use the same one.
CREATE TABLE scheme (
    scheme_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    UNIQUE (site_id, code)
);
CREATE TABLE scheme_record (
    scheme_id integer NOT NULL REFERENCES scheme,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    energy_unit text NOT NULL,      -- 'kgce' converts by factor; else the medium's own unit
    media text[] NOT NULL,
    factor_standard text,
    factor_edition text,
    electricity_basis text CHECK (electricity_basis IN ('physical', 'primary')),
    own_renewables_counted boolean NOT NULL DEFAULT true,
    feedstock_deducted boolean NOT NULL DEFAULT true,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (scheme_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

-- Conversion factors, by standard, edition, medium and basis (GB/T 2589: never by medium alone).
CREATE TABLE factor (
    factor_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('standard_coal', 'carbon')),
    standard text NOT NULL,
    edition text NOT NULL,
    medium text NOT NULL,
    basis text NOT NULL CHECK (basis IN ('physical', 'primary')),
    value numeric NOT NULL,
    unit text NOT NULL,             -- kgce, kgCO2
    per_unit text NOT NULL,         -- kWh, t, m3, MJ
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
    EXCLUDE USING gist (kind WITH =, standard WITH =, edition WITH =, medium WITH =, basis WITH =,
                        per_unit WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

CREATE TABLE enpi (
    enpi_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    UNIQUE (site_id, code)
);
CREATE TABLE enpi_record (
    enpi_id integer NOT NULL REFERENCES enpi,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    scheme_id integer NOT NULL REFERENCES scheme,
    product_id integer NOT NULL REFERENCES product,
    stage text NOT NULL CHECK (stage IN ('counted', 'qualified', 'warehoused', 'shipped')),
    coverage_limit numeric NOT NULL DEFAULT 0.95 CHECK (coverage_limit BETWEEN 0 AND 1),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (enpi_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

CREATE TABLE target (
    target_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    enpi_id integer NOT NULL REFERENCES enpi,
    kind text NOT NULL CHECK (kind IN ('intensity', 'total', 'saving', 'carbon')),
    scheme_id integer NOT NULL REFERENCES scheme,
    base_from date NOT NULL,
    base_to date NOT NULL,          -- exclusive
    end_to date NOT NULL,           -- exclusive
    annual_rate numeric,
    end_value numeric,
    target_class text NOT NULL CHECK (target_class IN ('official', 'assigned', 'internal')),
    authority text NOT NULL,
    document text,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (base_from < base_to AND base_to <= end_to),
    CHECK (num_nonnulls(annual_rate, end_value) = 1)
);
CREATE UNIQUE INDEX target_current ON target (enpi_id, kind, target_class)
    WHERE superseded_commit_no IS NULL;

-- Output in stages (F12). business_key = (product, line, span, stage, disposition, source).
CREATE TABLE output (
    output_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    product_id integer NOT NULL REFERENCES product,
    line text NOT NULL DEFAULT '',
    stage text NOT NULL CHECK (stage IN ('counted', 'qualified', 'warehoused', 'shipped')),
    disposition text NOT NULL CHECK (disposition IN ('good', 'scrap', 'rework')),
    quantity numeric NOT NULL CHECK (quantity >= 0),
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL CHECK (to_ts > from_ts),
    booked_at timestamptz NOT NULL,
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
CREATE UNIQUE INDEX output_current
    ON output (product_id, line, stage, disposition, source, from_ts, to_ts)
    WHERE superseded_commit_no IS NULL;
CREATE INDEX output_span ON output (site_id, product_id, from_ts);

-- Energy without a register (F5): consumption = opening + in - out - closing.
CREATE TABLE energy_ledger (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    medium text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('opening', 'purchase', 'own_production', 'transfer_in',
        'transfer_out', 'sale', 'feedstock', 'non_industrial', 'loss', 'closing')),
    quantity numeric NOT NULL CHECK (quantity >= 0),
    unit text NOT NULL,
    calorific_value_kj_per_kg numeric,
    moisture_share numeric,
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL CHECK (to_ts > from_ts),
    document text NOT NULL,
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
CREATE UNIQUE INDEX energy_ledger_current
    ON energy_ledger (site_id, medium, kind, document, from_ts, to_ts)
    WHERE superseded_commit_no IS NULL;
