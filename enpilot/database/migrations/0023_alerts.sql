-- Alerts of many kinds (F38): rules with subjects, escalation, quiet times, and messages to send.

ALTER TABLE alert_rule_record DROP CONSTRAINT alert_rule_record_kind_check;
ALTER TABLE alert_rule_record ALTER COLUMN series_id DROP NOT NULL;
ALTER TABLE alert_rule_record
    ADD CHECK (kind IN ('threshold', 'enpi', 'target_path', 'demand', 'cost', 'expected',
                        'data_quality', 'finding', 'silent', 'gateway', 'deadline', 'output_missing',
                        'correction')),
    ADD CHECK ((kind = 'threshold') = (series_id IS NOT NULL)),
    ADD COLUMN watch jsonb NOT NULL DEFAULT '{}',  -- what is watched, by kind; see docs/reference
    ADD COLUMN period_s integer NOT NULL DEFAULT 1 CHECK (period_s > 0),
    ADD COLUMN schedule jsonb NOT NULL DEFAULT '{}',         -- local hours, days, shifts
    ADD COLUMN mute_in_shutdown boolean NOT NULL DEFAULT true,
    ADD COLUMN escalation jsonb NOT NULL DEFAULT '[]',       -- after_min, severity, recipients
    ADD COLUMN remind_s integer NOT NULL DEFAULT 14400 CHECK (remind_s >= 0),
    ADD COLUMN flaps integer NOT NULL DEFAULT 3 CHECK (flaps > 0),
    ADD COLUMN flap_s integer NOT NULL DEFAULT 1800 CHECK (flap_s >= 0),
    ADD COLUMN owner text NOT NULL DEFAULT '',
    ADD COLUMN recipients text NOT NULL DEFAULT '',
    ADD COLUMN runbook_zh text NOT NULL DEFAULT '',
    ADD COLUMN runbook_en text NOT NULL DEFAULT '',
    ADD COLUMN page text NOT NULL DEFAULT '',
    ADD COLUMN origin text NOT NULL DEFAULT 'plant' CHECK (origin IN ('plant', 'preset'));

-- What a plant file says of a preset: that it is off, or another limit.
CREATE TABLE alert_preset_record (
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    enabled boolean NOT NULL,
    changes jsonb NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    CHECK (valid_to > valid_from),
    EXCLUDE USING gist (site_id WITH =, code WITH =, tstzrange(valid_from, valid_to) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

-- Whether a preset is on at a site, and why not; what it says here.
CREATE TABLE alert_preset (
    site_id integer NOT NULL REFERENCES site,
    code text NOT NULL,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    kind text NOT NULL,
    severity text NOT NULL,
    comparison text NOT NULL,
    threshold numeric NOT NULL,
    state text NOT NULL CHECK (state IN ('on', 'off', 'not_applicable')),
    reason_zh text NOT NULL,
    reason_en text NOT NULL,
    checked_at timestamptz NOT NULL,
    PRIMARY KEY (site_id, code)
);

-- Times in which nobody wants to hear of a site, a rule or a subject.
CREATE TABLE alert_mute (
    mute_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    alert_rule_id integer REFERENCES alert_rule,   -- NULL: every rule
    subject text,                                  -- NULL: every subject
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL CHECK (to_ts > from_ts),
    author text NOT NULL CHECK (author <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    commit_no bigint NOT NULL,
    superseded_commit_no bigint
);
CREATE INDEX alert_mute_site ON alert_mute (site_id, to_ts);

-- Up to which due instant a rule was evaluated.
CREATE TABLE alert_progress (
    alert_rule_id integer PRIMARY KEY REFERENCES alert_rule,
    evaluated_through timestamptz NOT NULL,
    error text                                     -- why the last evaluation did not come about
);

-- A rule has a state for each of its subjects: a meter, a gateway, an account.
ALTER TABLE alert_state DROP CONSTRAINT alert_state_pkey;
ALTER TABLE alert_state DROP CONSTRAINT alert_state_state_check;
ALTER TABLE alert_state
    ADD COLUMN subject text NOT NULL DEFAULT '',
    ADD COLUMN subject_zh text NOT NULL DEFAULT '',
    ADD COLUMN subject_en text NOT NULL DEFAULT '',
    ADD COLUMN threshold double precision,         -- [unit], the rule's own where NULL
    ADD COLUMN unit text,
    ADD COLUMN synthetic boolean NOT NULL DEFAULT false,     -- the value, wholly or in part
    ADD COLUMN muted boolean NOT NULL DEFAULT false,
    ADD COLUMN back_since timestamptz,             -- back, while the state waits for calm
    ADD COLUMN fired timestamptz[] NOT NULL DEFAULT '{}',    -- of late, for the damping of flaps
    ADD COLUMN opened_at timestamptz,              -- when people were told first, and last
    ADD COLUMN told_at timestamptz,
    ADD COLUMN escalated integer NOT NULL DEFAULT 0,
    ADD COLUMN event_id bigint,                    -- of the firing
    ADD COLUMN acknowledged_by text,
    ADD COLUMN note text,
    ADD PRIMARY KEY (alert_rule_id, subject),
    ADD CHECK (state IN ('ok', 'pending', 'firing', 'acknowledged', 'resolved')),
    ADD CHECK (state <> 'acknowledged' OR acknowledged_by IS NOT NULL);

ALTER TABLE alert_event
    ADD COLUMN subject text NOT NULL DEFAULT '',
    ADD COLUMN unit text,
    ADD COLUMN author text,                        -- who acknowledged
    ADD COLUMN note text,
    ADD COLUMN recorded_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE alert_event ALTER COLUMN threshold TYPE double precision;
CREATE INDEX alert_event_rule ON alert_event (alert_rule_id, subject, at_ts);

-- States and events so far are of thresholds: each is about the point of its series.
UPDATE alert_state s SET subject = p.code, subject_zh = n.name_zh, subject_en = n.name_en,
        opened_at = CASE s.state WHEN 'firing' THEN s.since END,
        told_at = CASE s.state WHEN 'firing' THEN s.since END
    FROM alert_rule_record r JOIN series USING (series_id) JOIN point p USING (point_id)
    JOIN point_record n USING (point_id)
    WHERE r.alert_rule_id = s.alert_rule_id
      AND r.superseded_commit_no IS NULL AND r.valid_to IS NULL
      AND n.superseded_commit_no IS NULL AND n.valid_to IS NULL;
UPDATE alert_event e SET subject = s.subject FROM alert_state s
    WHERE s.alert_rule_id = e.alert_rule_id;
UPDATE alert_state s SET event_id = (SELECT max(event_id) FROM alert_event e
                                     WHERE e.alert_rule_id = s.alert_rule_id)
    WHERE state = 'firing';

-- What is to be sent; written in the transaction that changes the state.
CREATE TABLE alert_message (
    message_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    kind text NOT NULL CHECK (kind IN ('firing', 'resolved', 'reminder', 'escalation', 'morning',
                                       'test')),
    alert_rule_id integer REFERENCES alert_rule,
    event_ids bigint[] NOT NULL DEFAULT '{}',
    severity text NOT NULL CHECK (severity IN ('note', 'warning', 'fault')),
    recipients text NOT NULL DEFAULT '',
    facts jsonb NOT NULL,
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    notified_at timestamptz,
    notify_error text
);
CREATE INDEX alert_message_due ON alert_message (due_at) WHERE notified_at IS NULL;
CREATE INDEX alert_message_rule ON alert_message (alert_rule_id, kind, created_at);

-- Events that nobody was told of go out as messages.
INSERT INTO alert_message (site_id, kind, alert_rule_id, event_ids, severity, facts, due_at)
    SELECT e.site_id, e.to_state, e.alert_rule_id, ARRAY[e.event_id], r.severity,
           jsonb_build_object('name_zh', r.name_zh, 'name_en', r.name_en, 'value', e.value,
               'limit', e.threshold, 'at', to_char(e.at_ts AT TIME ZONE 'UTC',
                                                   'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
               'group_size', 1, 'subjects', '[]'::jsonb, 'synthetic', false),
           now()
    FROM alert_event e JOIN alert_rule_record r USING (alert_rule_id)
    WHERE e.notified_at IS NULL AND r.superseded_commit_no IS NULL AND r.valid_to IS NULL
      AND e.to_state IN ('firing', 'resolved')
    ORDER BY e.event_id;
ALTER TABLE alert_event DROP COLUMN notified_at, DROP COLUMN notify_error;

ALTER TABLE alert_preset_record ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON alert_preset_record FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE alert_preset ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON alert_preset FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE alert_progress ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON alert_progress FOR SELECT
    USING (alert_rule_id IN (SELECT alert_rule_id FROM alert_rule JOIN granted_site USING (site_id)));
ALTER TABLE alert_mute ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON alert_mute FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
ALTER TABLE alert_message ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON alert_message FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
