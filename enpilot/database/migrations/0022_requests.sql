-- What a person asks a service to do: a portal writes the request, the room that owns the work does
-- it with its own rights and says what came of it. Request and effect are one transaction, so that
-- a request has its effect once, whatever is killed when.

CREATE TABLE request_kind (
    kind text PRIMARY KEY,
    permission text NOT NULL,          -- what the person must be allowed at the site
    room text NOT NULL CHECK (room IN ('ingest', 'analytics'))
);
INSERT INTO request_kind (kind, permission, room) VALUES
    ('output.enter', 'enter_output', 'ingest'),
    ('correction.propose', 'propose_correction', 'ingest'),
    ('correction.approve', 'approve_correction', 'ingest'),
    ('correction.reject', 'approve_correction', 'ingest'),
    ('correction.revoke', 'approve_correction', 'ingest'),
    ('correction.preview', 'propose_correction', 'analytics'),
    ('plant.check', 'manage_plant', 'ingest'),
    ('plant.apply', 'manage_plant', 'ingest'),
    ('closing.check', 'see', 'analytics'),
    ('closing.prepare', 'close_period', 'analytics'),
    ('closing.approve', 'close_period', 'analytics'),
    ('closing.withdraw', 'close_period', 'analytics'),
    ('closing.reopen', 'close_period', 'analytics'),
    ('closing.decide', 'close_period', 'analytics'),
    ('waste.decide', 'decide_waste', 'analytics'),
    ('alert.acknowledge', 'acknowledge_alert', 'analytics'),
    ('alert.mute', 'acknowledge_alert', 'analytics'),
    ('alert.unmute', 'acknowledge_alert', 'analytics'),
    ('alert.replay', 'edit_rules', 'analytics');

CREATE TABLE work_request (
    request_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_key uuid NOT NULL UNIQUE,  -- the asker's: the same request sent again is the same one
    site_id integer NOT NULL REFERENCES site,
    person_id integer REFERENCES person,
    asked_by text NOT NULL CHECK (asked_by <> ''),  -- the login: author of what follows
    kind text NOT NULL REFERENCES request_kind,
    arguments jsonb NOT NULL CHECK (jsonb_typeof(arguments) = 'object'),
    asked_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'refused', 'failed')),
    finished_at timestamptz,
    outcome jsonb,                     -- of one that is done
    refusal text,                      -- why one had no effect
    CHECK ((state = 'waiting') = (finished_at IS NULL)),
    CHECK ((state = 'done') = (outcome IS NOT NULL)),
    CHECK ((state IN ('refused', 'failed')) = (refusal IS NOT NULL))
);
CREATE INDEX work_request_waiting ON work_request (request_id) WHERE state = 'waiting';
CREATE INDEX work_request_site ON work_request (site_id, asked_at);

CREATE FUNCTION tell_of_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('enpilot_request', NEW.request_id || ' ' || NEW.state);
    RETURN NULL;
END $$;
CREATE TRIGGER work_request_told AFTER INSERT OR UPDATE ON work_request
    FOR EACH ROW EXECUTE FUNCTION tell_of_request();

CREATE OR REPLACE VIEW acting_person AS
    SELECT p.person_id,
           nullif(current_setting('enpilot.only_site_id', true), '')::integer AS only_site_id,
           p.login
    FROM person p
    WHERE current_user = 'enpilot_person' AND p.disabled_at IS NULL
      AND p.person_id = nullif(current_setting('enpilot.person_id', true), '')::integer;

-- A person asks in her own name, at a site where she is allowed what the request needs.
ALTER TABLE work_request ENABLE ROW LEVEL SECURITY;
-- What was asked may hold secrets of the trade: seen by the asker, and by who may ask the same.
CREATE POLICY granted ON work_request FOR SELECT
    USING (person_id IN (SELECT a.person_id FROM acting_person a)
           OR (kind, site_id) IN (SELECT k.kind, g.site_id FROM request_kind k
                                  JOIN granted_permission g USING (permission)));
CREATE POLICY asked ON work_request FOR INSERT TO PUBLIC
    WITH CHECK (
        state = 'waiting'
        AND (person_id, asked_by) IN (SELECT a.person_id, a.login FROM acting_person a)
        AND EXISTS (SELECT FROM request_kind k JOIN granted_permission g USING (permission)
                    WHERE k.kind = work_request.kind AND g.site_id = work_request.site_id));

-- What was done about each period, with its hashes; figures as signed stay in closed_figure.
CREATE VIEW visible_closing WITH (security_barrier) AS
    SELECT closing_id, site_id, kind, period_from, period_to, version, action, author, reason,
           self_approved, accepted_findings, data_version, code_version, snapshot_sha256, sha256,
           recorded_at
    FROM period_closing WHERE site_id IN (SELECT site_id FROM granted_site);

-- Which device stands at which point.
CREATE VIEW visible_installation WITH (security_barrier) AS
    SELECT i.installation_id, d.site_id, i.point_id, d.code AS device, d.maker, d.model, d.serial,
           d.accuracy_class, d.simulated, i.ct_ratio, i.pt_ratio, i.sign, i.phase_map,
           i.valid_from, i.valid_to, i.author, i.reason
    FROM installation i JOIN device d USING (device_id)
    WHERE i.superseded_commit_no IS NULL AND d.site_id IN (SELECT site_id FROM granted_site);
