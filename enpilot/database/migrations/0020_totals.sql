-- What was metered, invoiced and declared, side by side and never merged (F15).

-- Energy that the site declared to an authority for a month or another span. A declaration that was
-- handed in again supersedes the one before.
CREATE TABLE declared_total (
    declared_total_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    medium text NOT NULL,
    quantity numeric NOT NULL CHECK (quantity >= 0),
    unit text NOT NULL,
    tce numeric CHECK (tce >= 0),      -- as declared, by whatever factor [t of standard coal]
    document text NOT NULL,
    source text NOT NULL,
    synthetic boolean NOT NULL,
    version integer NOT NULL DEFAULT 1,
    batch bigint NOT NULL,
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL CHECK (to_ts > from_ts),
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint
);
CREATE UNIQUE INDEX declared_total_current ON declared_total (site_id, medium, from_ts, to_ts)
    WHERE superseded_commit_no IS NULL;
CREATE INDEX declared_total_batch ON declared_total (batch);
ALTER TABLE declared_total ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON declared_total FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));

ALTER TABLE import_run DROP CONSTRAINT import_run_kind_check;
ALTER TABLE import_run ADD CONSTRAINT import_run_kind_check
    CHECK (kind IN ('readings', 'output', 'energy', 'manual', 'variables', 'value_added',
                    'declared'));

-- The three totals of a medium over a month, or over the span of a document that is no month. A
-- total that is not known is empty, and so is a difference that would compare unlike things.
CREATE TABLE reconciliation_period (
    site_id integer NOT NULL REFERENCES site,
    medium text NOT NULL,
    period_from date NOT NULL,
    period_to date NOT NULL CHECK (period_to > period_from),   -- exclusive
    period_kind text NOT NULL CHECK (period_kind IN ('month', 'document')),
    unit text NOT NULL,
    metered double precision,          -- [unit] import - export + generation
    metered_bought double precision,   -- [unit] import alone: what an invoice can be held against
    coverage double precision,         -- of the meters; 0 .. 1
    invoiced double precision,         -- [unit] without losses that the utility adds
    invoiced_losses double precision,  -- [unit]
    invoice_kind text CHECK (invoice_kind IN ('invoice', 'ledger')),
    invoices_missing text[] NOT NULL,  -- accounts without an invoice of exactly this span
    declared double precision,         -- [unit]
    declared_tce double precision,
    invoiced_share double precision,   -- (invoiced - bought) / bought
    declared_share double precision,   -- (declared - metered) / metered
    declared_invoiced_share double precision,  -- (declared - invoiced) / invoiced
    most text CHECK (most IN ('metered_invoiced', 'metered_declared', 'invoiced_declared')),
    synthetic boolean NOT NULL,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, medium, period_from, period_to)
);
ALTER TABLE reconciliation_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON reconciliation_period FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));

-- EnPIs with an official target by declared totals: what the authority will compute (F15).
CREATE TABLE declared_enpi_period (
    site_id integer NOT NULL REFERENCES site,
    enpi_id integer NOT NULL REFERENCES enpi,
    period_kind text NOT NULL CHECK (period_kind IN ('month', 'year_to_date')),
    period_from date NOT NULL,
    period_to date NOT NULL,           -- exclusive
    energy double precision NOT NULL,
    energy_unit text NOT NULL,
    output double precision NOT NULL,
    output_unit text NOT NULL,
    intensity double precision NOT NULL,
    base_intensity double precision,   -- by declared totals too
    target_intensity double precision,
    progress_ratio double precision,
    cumulative_progress double precision,
    status text NOT NULL CHECK (status IN ('on_track', 'slow', 'behind', 'base', 'no_target',
                                           'no_base', 'joint')),
    synthetic boolean NOT NULL,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (enpi_id, period_kind, period_from, period_to)
);
ALTER TABLE declared_enpi_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON declared_enpi_period FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
