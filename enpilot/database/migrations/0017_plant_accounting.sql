-- Where a scheme's total comes from, its carbon, in-house media and products that add up (F6, F11, F35).

-- What a point's energy is used for; schemes say which uses they leave out.
ALTER TABLE point_record ADD COLUMN use text NOT NULL DEFAULT 'production'
    CHECK (use IN ('production', 'living', 'construction', 'transport'));

ALTER TABLE scheme_record
    ADD COLUMN excluded_uses text[] NOT NULL DEFAULT '{living,construction}',
    ADD COLUMN grid_region text,  -- whose grid factor; none: no carbon
    -- As a plant file says without saying it, so that importing it again changes nothing.
    ADD COLUMN carbon_standard text NOT NULL DEFAULT 'MEE GHG guideline',
    ADD COLUMN carbon_edition text NOT NULL DEFAULT '2024';

-- Grid factors are of a region and of a year of data, and count from their publication on.
ALTER TABLE factor DROP CONSTRAINT factor_kind_standard_edition_medium_basis_per_unit_tstzran_excl;
ALTER TABLE factor
    ADD COLUMN region text NOT NULL DEFAULT '',
    ADD COLUMN data_year smallint NOT NULL DEFAULT 0,
    ADD CHECK ((kind = 'standard_coal') = (unit = 'kgce')),
    ADD CHECK ((kind = 'carbon') = (unit = 'kgCO2')),
    ADD CHECK ((region = '') = (data_year = 0)),
    ADD CONSTRAINT factor_once EXCLUDE USING gist (
        kind WITH =, standard WITH =, edition WITH =, medium WITH =, basis WITH =, per_unit WITH =,
        region WITH =, data_year WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL);

-- What a plant knows better than a standard's table: it comes before published factors.
CREATE TABLE site_factor (
    site_id integer NOT NULL REFERENCES site,
    kind text NOT NULL CHECK (kind IN ('standard_coal', 'carbon')),
    medium text NOT NULL,
    basis text NOT NULL CHECK (basis IN ('physical', 'primary')),
    per_unit text NOT NULL,
    value numeric NOT NULL CHECK (value >= 0),
    unit text NOT NULL,
    source text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    CHECK ((kind = 'standard_coal') = (unit = 'kgce')),
    CHECK ((kind = 'carbon') = (unit = 'kgCO2')),
    EXCLUDE USING gist (site_id WITH =, kind WITH =, medium WITH =, basis WITH =,
                        tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);
ALTER TABLE site_factor ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON site_factor FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));

CREATE TABLE area (
    area_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    UNIQUE (site_id, code)
);
CREATE TABLE area_record (
    area_id integer NOT NULL REFERENCES area,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('line', 'conversion', 'ancillary', 'auxiliary')),
    product_ids integer[] NOT NULL DEFAULT '{}',
    point_codes text[] NOT NULL DEFAULT '{}',
    point_signs smallint[] NOT NULL DEFAULT '{}',
    media text[] NOT NULL DEFAULT '{}',       -- what no other area has of these is its
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (area_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);
-- What an area makes of its input: a medium that other areas are charged for by what it took.
CREATE TABLE conversion (
    area_id integer NOT NULL REFERENCES area,
    medium text NOT NULL,
    point_codes text[] NOT NULL,
    point_signs smallint[] NOT NULL,
    input_share numeric CHECK (input_share > 0 AND input_share <= 1), -- NULL: by energy content
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (area_id WITH =, medium WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);
-- How an area's energy is shared among products.
CREATE TABLE allocation (
    area_id integer NOT NULL REFERENCES area,
    method text NOT NULL CHECK (method IN ('metered', 'equivalents', 'hours', 'batches', 'output')),
    stage text NOT NULL CHECK (stage IN ('counted', 'qualified', 'warehoused', 'shipped')),
    product_ids integer[] NOT NULL,
    coefficients numeric[] NOT NULL,
    point_codes text[] NOT NULL DEFAULT '{}', -- of each product, where the method is metered
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (area_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

-- How what stock-takes bracket lies inside their span: by output of a product; flat without one (F5).
CREATE TABLE ledger_shape (
    site_id integer NOT NULL REFERENCES site,
    medium text NOT NULL,
    product_id integer NOT NULL REFERENCES product,
    stage text NOT NULL CHECK (stage IN ('counted', 'qualified', 'warehoused', 'shipped')),
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

-- A scheme's total by carrier; their sum is the energy of an EnPI of the plant.
CREATE TABLE scheme_energy_period (
    site_id integer NOT NULL REFERENCES site,
    scheme_id integer NOT NULL REFERENCES scheme,
    period_kind text NOT NULL CHECK (period_kind IN ('month', 'quarter', 'year_to_date')),
    period_from date NOT NULL,
    period_to date NOT NULL,
    carrier text NOT NULL,             -- a medium; '' where the whole is withheld
    part text NOT NULL CHECK (part IN ('import', 'export', 'own_renewable', 'ledger', 'excluded',
                                       'withheld')),
    quantity double precision,         -- [quantity_unit] signed as it counts
    quantity_unit text,
    factor double precision,           -- [energy_unit per quantity_unit] quantity-weighted
    basis text,
    energy double precision,           -- [energy_unit]
    energy_unit text NOT NULL,
    share double precision,            -- of the scheme's total
    source text NOT NULL CHECK (source IN ('metered', 'ledger', 'none')),
    estimated_share double precision,
    coverage double precision,
    factor_verified boolean NOT NULL,
    synthetic boolean NOT NULL,
    withheld_code text,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scheme_id, period_kind, period_from, period_to, carrier, part),
    CHECK ((energy IS NULL) = (withheld_code IS NOT NULL))
);
ALTER TABLE scheme_energy_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON scheme_energy_period FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));

-- Carbon of a scheme's energy, location-based (F35).
CREATE TABLE carbon_period (
    site_id integer NOT NULL REFERENCES site,
    scheme_id integer NOT NULL REFERENCES scheme,
    period_kind text NOT NULL CHECK (period_kind IN ('month', 'quarter', 'year_to_date')),
    period_from date NOT NULL,
    period_to date NOT NULL,
    carrier text NOT NULL,
    carbon_kg double precision,        -- [kgCO2]
    factor double precision,           -- [kgCO2 per factor_unit]
    factor_unit text,
    region text NOT NULL DEFAULT '',
    data_year smallint,
    factor_verified boolean NOT NULL,
    withheld_code text,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scheme_id, period_kind, period_from, period_to, carrier),
    CHECK ((carbon_kg IS NULL) = (withheld_code IS NOT NULL))
);
ALTER TABLE carbon_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON carbon_period FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));

-- Products, ancillary use, losses of in-house media and what no area has: together the scheme's total.
CREATE TABLE product_energy_period (
    site_id integer NOT NULL REFERENCES site,
    scheme_id integer NOT NULL REFERENCES scheme,
    period_kind text NOT NULL CHECK (period_kind IN ('month', 'quarter', 'year_to_date')),
    period_from date NOT NULL,
    period_to date NOT NULL,
    part text NOT NULL CHECK (part IN ('product', 'ancillary', 'loss', 'unallocated',
                                       'unmetered')),
    code text NOT NULL,                -- of the product, area or medium
    direct double precision,           -- [energy_unit] at meters of its own lines
    media double precision,            -- in-house media its own lines took
    allocated double precision,        -- of shared areas
    energy double precision,           -- their sum
    energy_unit text NOT NULL,
    output double precision,           -- [output_unit] of a product
    output_unit text,
    estimated_share double precision,
    coverage double precision,
    rules bigint[] NOT NULL DEFAULT '{}',  -- commit_no of each allocation that was used
    synthetic boolean NOT NULL,
    withheld_code text,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scheme_id, period_kind, period_from, period_to, part, code),
    CHECK ((energy IS NULL) = (withheld_code IS NOT NULL))
);
ALTER TABLE product_energy_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON product_energy_period FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));

-- What an in-house medium really took: its input over its output, month by month.
CREATE TABLE medium_factor_period (
    site_id integer NOT NULL REFERENCES site,
    scheme_id integer NOT NULL REFERENCES scheme,
    period_from date NOT NULL,
    period_to date NOT NULL,
    medium text NOT NULL,
    input double precision NOT NULL,   -- [energy_unit]
    output double precision NOT NULL,  -- [output_unit] made, and bought beside it
    factor double precision,           -- [energy_unit per output_unit]; none if nothing came out
    used double precision NOT NULL,    -- [output_unit] measured at users
    energy_unit text NOT NULL,
    output_unit text NOT NULL,
    data_version bigint NOT NULL,
    computed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scheme_id, period_from, period_to, medium)
);
ALTER TABLE medium_factor_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON medium_factor_period FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));

-- Reports quote these rows: what they showed stays, see migration 0013.
CREATE CONSTRAINT TRIGGER scheme_energy_period_kept
    AFTER INSERT OR UPDATE OR DELETE ON scheme_energy_period
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION keep_figure_version('scheme_id', 'period_kind', 'period_from', 'period_to',
                                         'carrier', 'part');
CREATE CONSTRAINT TRIGGER carbon_period_kept
    AFTER INSERT OR UPDATE OR DELETE ON carbon_period
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION keep_figure_version('scheme_id', 'period_kind', 'period_from', 'period_to',
                                         'carrier');
CREATE CONSTRAINT TRIGGER product_energy_period_kept
    AFTER INSERT OR UPDATE OR DELETE ON product_energy_period
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION keep_figure_version('scheme_id', 'period_kind', 'period_from', 'period_to',
                                         'part', 'code');
