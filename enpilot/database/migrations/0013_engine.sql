-- What was shown (F36). Figures are overwritten as they are computed anew; every content that one has
-- had stays here with the data version it was computed of, so that it can be computed again and
-- compared. Nothing is changed or deleted: what replaced a row is the next one of the same key.
CREATE TABLE figure_version (
    figure_version_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    kind text NOT NULL,                -- the table of the figure
    figure_key jsonb NOT NULL,         -- what names the figure there
    content jsonb,                     -- its row, but for data_version and computed_at; none: it went
    data_version bigint NOT NULL,
    code_version text NOT NULL,
    computed_at timestamptz NOT NULL
);
CREATE INDEX figure_version_key ON figure_version (site_id, kind, figure_key, figure_version_id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% keeps what was: rows are added, never changed or deleted', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER figure_version_stays BEFORE UPDATE OR DELETE ON figure_version
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- At COMMIT, since figures are deleted and written again: what counts is what is there then.
-- The arguments are the columns that name a figure of the table.
CREATE FUNCTION keep_figure_version() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    said jsonb := CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
    key jsonb;
    present jsonb;
    held jsonb;
BEGIN
    SELECT jsonb_object_agg(name, said -> name) INTO key FROM unnest(TG_ARGV) name;
    EXECUTE format(
        'SELECT to_jsonb(t) FROM %1$I.%2$I t'
        ' JOIN jsonb_populate_record(NULL::%1$I.%2$I, $1) k USING (%3$s)',
        TG_TABLE_SCHEMA, TG_TABLE_NAME,
        (SELECT string_agg(quote_ident(name), ', ') FROM unnest(TG_ARGV) name))
        INTO present USING key;
    SELECT content INTO held FROM figure_version
    WHERE site_id = (said ->> 'site_id')::integer AND kind = TG_TABLE_NAME AND figure_key = key
    ORDER BY figure_version_id DESC LIMIT 1;
    IF present - 'data_version' - 'computed_at' IS DISTINCT FROM held THEN
        INSERT INTO figure_version
            (site_id, kind, figure_key, content, data_version, code_version, computed_at)
        VALUES (
            (said ->> 'site_id')::integer, TG_TABLE_NAME, key,
            present - 'data_version' - 'computed_at',
            coalesce((present ->> 'data_version')::bigint,
                     nullif(current_setting('enpilot.data_version', true), '')::bigint,
                     (SELECT last_value FROM commit_no_seq)),
            coalesce(nullif(current_setting('enpilot.code_version', true), ''), 'by hand'), now());
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER enpi_period_kept AFTER INSERT OR UPDATE OR DELETE ON enpi_period
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    EXECUTE FUNCTION keep_figure_version('enpi_id', 'period_kind', 'period_from', 'period_to');
-- Days of single meters come from intervals at any time; months are what is reported.
CREATE CONSTRAINT TRIGGER energy_month_kept AFTER INSERT OR UPDATE ON energy_period
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.period_kind = 'month')
    EXECUTE FUNCTION
        keep_figure_version('point_id', 'quantity', 'channel', 'period_kind', 'period_from');
CREATE CONSTRAINT TRIGGER energy_month_gone AFTER DELETE ON energy_period
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.period_kind = 'month')
    EXECUTE FUNCTION
        keep_figure_version('point_id', 'quantity', 'channel', 'period_kind', 'period_from');

-- What is shown now begins the record.
INSERT INTO figure_version
    (site_id, kind, figure_key, content, data_version, code_version, computed_at)
SELECT f.site_id, 'enpi_period',
       jsonb_build_object('enpi_id', enpi_id, 'period_kind', period_kind, 'period_from', period_from,
                          'period_to', period_to),
       to_jsonb(f) - 'data_version' - 'computed_at', f.data_version,
       coalesce(c.code_version, ''), f.computed_at
FROM enpi_period f LEFT JOIN computation c USING (site_id);
INSERT INTO figure_version
    (site_id, kind, figure_key, content, data_version, code_version, computed_at)
SELECT f.site_id, 'energy_period',
       jsonb_build_object('point_id', point_id, 'quantity', quantity, 'channel', channel,
                          'period_kind', period_kind, 'period_from', period_from),
       to_jsonb(f) - 'data_version' - 'computed_at', f.data_version,
       coalesce(c.code_version, ''), f.computed_at
FROM energy_period f LEFT JOIN computation c USING (site_id) WHERE period_kind = 'month';

ALTER TABLE figure_version ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON figure_version FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
