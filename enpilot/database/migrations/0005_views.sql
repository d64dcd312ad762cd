-- What readers see: guarded by database role, through views for the big tables and policies for
-- the others, because TimescaleDB's columnstore and row-level security exclude each other (D19).

CREATE TABLE role_grant (
    role_name name NOT NULL,
    site_id integer NOT NULL REFERENCES site,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CHECK (valid_to > valid_from)
);

-- current_user in a view is the reader, while its tables are read with the owner's rights.
CREATE VIEW granted_site AS
    SELECT site_id FROM role_grant
    WHERE role_name = current_user AND now() >= valid_from
      AND (valid_to IS NULL OR now() < valid_to)
    UNION
    SELECT site_id FROM site
    WHERE pg_has_role(current_user,
                      (SELECT relowner FROM pg_class WHERE oid = 'role_grant'::regclass), 'USAGE');

CREATE VIEW visible_reading WITH (security_barrier) AS
    SELECT ts, series_id, raw_int, raw_real, quality, late_ms, batch FROM reading
    WHERE series_id = ANY (ARRAY(
        SELECT s.series_id FROM series s JOIN granted_site g USING (site_id)));

CREATE VIEW visible_interval_advance WITH (security_barrier) AS
    SELECT series_id, ts, epoch_id, advance_micro, estimated_micro, measured_s, readings,
           simulated, data_version
    FROM interval_advance
    WHERE series_id = ANY (ARRAY(
        SELECT s.series_id FROM series s JOIN granted_site g USING (site_id)));

-- Charts filter ts and series here, sum advance_micro, and multiply by scale once (D18).
CREATE VIEW current_epoch AS
    SELECT e.epoch_id, e.series_id, s.site_id, s.point_id, s.quantity, s.channel, e.scale,
           e."offset", e.unit, e.counter_kind, e.rated_max_per_h, e.modulus, e.period_s,
           e.raw_type, e.origin, e.valid_from, e.valid_to
    FROM series_epoch e JOIN series s USING (series_id)
    WHERE e.superseded_commit_no IS NULL;

-- Latest level of gauges and advance counters, scaled; levels of counters are not energy (F3).
CREATE VIEW latest_value WITH (security_barrier) AS
    SELECT s.site_id, s.point_id, l.series_id, s.quantity, s.channel, l.ts,
           coalesce(l.raw_int::double precision, l.raw_real) * e.scale::double precision
               + e."offset"::double precision AS value,
           e.unit, e.counter_kind, l.quality
    FROM latest l
    JOIN series s USING (series_id)
    JOIN series_epoch e ON e.series_id = l.series_id AND e.superseded_commit_no IS NULL
        AND l.ts >= e.valid_from AND (e.valid_to IS NULL OR l.ts < e.valid_to)
    WHERE s.site_id IN (SELECT site_id FROM granted_site);

ALTER TABLE output ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON output FOR SELECT USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE energy_ledger ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON energy_ledger FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE finding ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON finding FOR SELECT USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE energy_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON energy_period FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE enpi_period ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON enpi_period FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE alert_event ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON alert_event FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
-- Without a site of their own: a threshold or a target says as much as a figure.
ALTER TABLE alert_state ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON alert_state FOR SELECT
    USING (alert_rule_id IN (SELECT alert_rule_id FROM alert_rule JOIN granted_site USING (site_id)));
ALTER TABLE alert_rule_record ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON alert_rule_record FOR SELECT
    USING (alert_rule_id IN (SELECT alert_rule_id FROM alert_rule JOIN granted_site USING (site_id)));
ALTER TABLE target ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON target FOR SELECT
    USING (enpi_id IN (SELECT enpi_id FROM enpi JOIN granted_site USING (site_id)));
