-- Periods close (F13, F18): figures that people signed stay as they were signed, and what would
-- change them waits as a pending difference.

-- What was done about a period: append-only, each row hashed together with the one before.
CREATE TABLE period_closing (
    closing_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    kind text NOT NULL CHECK (kind IN ('month', 'year')),
    period_from date NOT NULL,
    period_to date NOT NULL CHECK (period_to > period_from),    -- exclusive
    version integer NOT NULL CHECK (version >= 1),
    action text NOT NULL CHECK (action IN ('prepared', 'withdrawn', 'closed', 'reopened')),
    author text NOT NULL CHECK (author <> ''),
    reason text NOT NULL,
    self_approved boolean NOT NULL DEFAULT false,
    accepted_findings bigint[] NOT NULL DEFAULT '{}',
    data_version bigint NOT NULL,
    code_version text NOT NULL,
    inputs_sha256 bytea NOT NULL,
    snapshot_sha256 bytea NOT NULL,
    previous_sha256 bytea,
    sha256 bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    UNIQUE (site_id, kind, period_from, version, action)
);
CREATE TRIGGER period_closing_stays BEFORE UPDATE OR DELETE ON period_closing
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The figures of a version, as they were prepared.
CREATE TABLE closed_figure (
    closing_id bigint NOT NULL REFERENCES period_closing,
    kind text NOT NULL,                -- the table of the figure
    figure_key jsonb NOT NULL,
    content jsonb NOT NULL,
    PRIMARY KEY (closing_id, kind, figure_key)
);
CREATE TRIGGER closed_figure_stays BEFORE UPDATE OR DELETE ON closed_figure
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The last word about each period.
CREATE VIEW period_state WITH (security_barrier) AS
    SELECT DISTINCT ON (site_id, kind, period_from)
           closing_id, site_id, kind, period_from, period_to, version, action, author, reason,
           self_approved, data_version, recorded_at
    FROM period_closing
    WHERE site_id IN (SELECT site_id FROM granted_site)
    ORDER BY site_id, kind, period_from, closing_id DESC;

-- Figures of closed periods, with the version that holds.
CREATE VIEW closed_content AS
    SELECT s.site_id, s.kind AS period_kind, s.period_from, s.period_to, s.version,
           s.closing_id, f.kind, f.figure_key, f.content
    FROM (SELECT DISTINCT ON (site_id, kind, period_from) * FROM period_closing
          ORDER BY site_id, kind, period_from, closing_id DESC) s
    JOIN period_closing p ON p.site_id = s.site_id AND p.kind = s.kind
        AND p.period_from = s.period_from AND p.version = s.version AND p.action = 'prepared'
    JOIN closed_figure f ON f.closing_id = p.closing_id
    WHERE s.action = 'closed';

-- What data that came later would make of a closed figure; nothing, if the figure would be gone.
CREATE TABLE pending_difference (
    difference_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    closing_id bigint NOT NULL REFERENCES period_closing,
    kind text NOT NULL,
    figure_key jsonb NOT NULL,
    closed jsonb NOT NULL,
    computed jsonb,
    causes jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'accepted', 'refused', 'gone')),
    decided_by text,
    reason text,
    found_at timestamptz NOT NULL DEFAULT now(),
    decided_at timestamptz,
    data_version bigint NOT NULL,
    CHECK ((state IN ('accepted', 'refused')) = (decided_by IS NOT NULL))
);
CREATE UNIQUE INDEX pending_difference_current
    ON pending_difference (closing_id, kind, figure_key) WHERE state IN ('pending', 'refused');
ALTER TABLE pending_difference ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON pending_difference FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));

ALTER TABLE enpi_period ADD COLUMN closing_version integer;   -- set: signed, and not provisional
ALTER TABLE energy_period ADD COLUMN closing_version integer;
ALTER TABLE scheme_energy_period ADD COLUMN closing_version integer;
ALTER TABLE carbon_period ADD COLUMN closing_version integer;
ALTER TABLE product_energy_period ADD COLUMN closing_version integer;
