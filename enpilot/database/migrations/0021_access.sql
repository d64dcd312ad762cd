-- Who signs in, what they may, and where (D19, F14, F39). A user is a person: an account is an
-- electricity account. Grants are dated and revoked, never edited.

CREATE TABLE person (
    person_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login text NOT NULL CHECK (login ~ '^[a-z0-9][a-z0-9._@+-]{1,63}$'),
    name text NOT NULL CHECK (name <> ''),
    password_hash text CHECK (password_hash LIKE '$argon2id$%'),  -- none: only links sign in
    language text CHECK (language IN ('zh', 'en')),
    theme text CHECK (theme IN ('auto', 'light', 'dark')),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    disabled_at timestamptz,
    disabled_by text,
    CHECK ((disabled_at IS NULL) = (disabled_by IS NULL))
);
CREATE UNIQUE INDEX person_login ON person (login);

-- The most that a role may; the flags of a grant take secrets away.
CREATE TABLE role_permission (
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'energy_manager', 'regulator',
                                       'administrator')),
    permission text NOT NULL CHECK (permission IN (
        'see', 'see_trade_secrets', 'see_crew', 'acknowledge_alert', 'enter_output',
        'propose_correction', 'approve_correction', 'close_period', 'edit_rules', 'decide_waste',
        'manage_plant', 'manage_people', 'read_access_log')),
    PRIMARY KEY (role, permission)
);
INSERT INTO role_permission (role, permission)
SELECT role, unnest(permissions) FROM (VALUES
    ('viewer', ARRAY['see', 'see_trade_secrets', 'see_crew']),
    ('operator', ARRAY['see', 'see_trade_secrets', 'see_crew', 'acknowledge_alert', 'enter_output',
                       'propose_correction']),
    ('energy_manager', ARRAY['see', 'see_trade_secrets', 'see_crew', 'acknowledge_alert',
                             'enter_output', 'propose_correction', 'approve_correction',
                             'close_period', 'edit_rules', 'decide_waste', 'manage_plant']),
    ('regulator', ARRAY['see', 'see_trade_secrets', 'see_crew']),
    ('administrator', ARRAY['see', 'see_trade_secrets', 'see_crew', 'acknowledge_alert',
                            'enter_output', 'propose_correction', 'approve_correction',
                            'close_period', 'edit_rules', 'decide_waste', 'manage_plant',
                            'manage_people', 'read_access_log'])
) AS seed (role, permissions);

-- Everything, an enterprise (the sites that it owns now) or one site.
CREATE TABLE person_grant (
    person_grant_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person_id integer NOT NULL REFERENCES person,
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'energy_manager', 'regulator',
                                       'administrator')),
    everything boolean NOT NULL DEFAULT false,
    enterprise_id integer REFERENCES enterprise,
    site_id integer REFERENCES site,
    trade_secrets boolean NOT NULL DEFAULT false,  -- output, readings, load by the quarter hour
    crew_figures boolean NOT NULL DEFAULT false,   -- figures of single shifts
    valid_from timestamptz NOT NULL DEFAULT now(),
    valid_to timestamptz,
    author text NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    revoked_by text,
    revoked_at timestamptz,
    CHECK (valid_to > valid_from),
    CHECK (everything::integer + (enterprise_id IS NOT NULL)::integer
           + (site_id IS NOT NULL)::integer = 1),
    CHECK (role <> 'regulator' OR valid_to IS NOT NULL),  -- outsiders see for a time
    CHECK ((revoked_by IS NULL) = (revoked_at IS NULL))
);
CREATE INDEX person_grant_person ON person_grant (person_id);

-- Of tokens and links only the SHA-256 is kept: they are 256 random bits.
CREATE TABLE portal_session (
    session_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    person_id integer NOT NULL REFERENCES person,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),   -- to the minute
    idle_to timestamptz NOT NULL,
    valid_to timestamptz NOT NULL,
    address text NOT NULL,
    agent text NOT NULL,                          -- what the browser calls itself, shortened
    revoked_at timestamptz,
    CHECK (idle_to <= valid_to)
);
CREATE INDEX portal_session_person ON portal_session (person_id);

CREATE TABLE sign_in_link (
    link_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    purpose text NOT NULL CHECK (purpose IN ('first_start', 'invitation', 'reset', 'sign_in')),
    person_id integer REFERENCES person,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    valid_to timestamptz NOT NULL,
    used_at timestamptz,
    CHECK ((purpose = 'first_start') = (person_id IS NULL))
);

-- A login may be a password typed into the wrong field: its hash is enough to count by.
CREATE TABLE sign_in_attempt (
    attempt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ts timestamptz NOT NULL DEFAULT clock_timestamp(),
    login_sha256 bytea NOT NULL CHECK (octet_length(login_sha256) = 32),
    address text NOT NULL,
    succeeded boolean NOT NULL DEFAULT false
);
CREATE INDEX sign_in_attempt_login ON sign_in_attempt (login_sha256, at_ts);
CREATE INDEX sign_in_attempt_address ON sign_in_attempt (address, at_ts);

CREATE TABLE access_log (
    access_log_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ts timestamptz NOT NULL DEFAULT clock_timestamp(),
    event text NOT NULL CHECK (event IN (
        'sign_in', 'sign_out', 'sign_in_failed', 'locked', 'link_made', 'password_set',
        'person_made', 'person_disabled', 'person_enabled', 'granted', 'grant_revoked',
        'session_ended', 'token_made', 'token_revoked')),
    actor text NOT NULL,                 -- a login, or who called the command
    person_id integer REFERENCES person, -- whom it concerns, as far as known
    address text,
    detail text NOT NULL DEFAULT ''
);
CREATE INDEX access_log_at ON access_log (at_ts);
CREATE TRIGGER access_log_stays BEFORE UPDATE OR DELETE ON access_log
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER access_log_is_not_emptied BEFORE TRUNCATE ON access_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A person's tokens read, for every site that the person sees or one of them; the others write.
ALTER TABLE api_token
    ADD COLUMN person_id integer REFERENCES person,
    ALTER COLUMN site_id DROP NOT NULL,
    DROP CONSTRAINT api_token_scopes_check,
    ADD CONSTRAINT api_token_scopes_check CHECK (cardinality(scopes) > 0 AND
        scopes <@ CASE WHEN person_id IS NULL THEN ARRAY['output', 'readings']
                       ELSE ARRAY['read', 'export'] END),
    ADD CONSTRAINT api_token_site_check CHECK (person_id IS NOT NULL OR site_id IS NOT NULL);

-- Database roles are people with a data source: an enterprise's own sees its secrets.
ALTER TABLE role_grant
    ADD COLUMN trade_secrets boolean NOT NULL DEFAULT true,
    ADD COLUMN crew_figures boolean NOT NULL DEFAULT true,
    ADD CONSTRAINT role_grant_is_no_persons CHECK (role_name NOT IN ('enpilot_person',
                                                                    'enpilot_portal'));

-- The person that a transaction of enpilot_person is for; any other role may set the variable in
-- vain. only_site_id narrows it to one site: a token's.
CREATE VIEW acting_person AS
    SELECT p.person_id,
           nullif(current_setting('enpilot.only_site_id', true), '')::integer AS only_site_id
    FROM person p
    WHERE current_user = 'enpilot_person' AND p.disabled_at IS NULL
      AND p.person_id = nullif(current_setting('enpilot.person_id', true), '')::integer;

-- What each grant in force opens, whoever asks. Of the flags, the grant's own. Without correlated
-- parts: with them no query behind a policy would run in parallel.
CREATE VIEW person_permission AS
    SELECT g.person_id, g.place_id AS site_id, p.permission
    FROM (
        SELECT site_id AS place_id, * FROM person_grant WHERE site_id IS NOT NULL
        UNION ALL
        SELECT e.site_id, o.* FROM person_grant o JOIN site_enterprise e
            ON e.enterprise_id = o.enterprise_id AND e.superseded_commit_no IS NULL
            AND now() >= e.valid_from AND (e.valid_to IS NULL OR now() < e.valid_to)
        UNION ALL
        SELECT s.site_id, o.* FROM person_grant o CROSS JOIN site s WHERE o.everything
    ) g
    JOIN role_permission p ON p.role = g.role
        AND (p.permission <> 'see_trade_secrets' OR g.trade_secrets)
        AND (p.permission <> 'see_crew' OR g.crew_figures)
    WHERE g.revoked_at IS NULL AND now() >= g.valid_from
      AND (g.valid_to IS NULL OR now() < g.valid_to);

CREATE VIEW granted_permission AS
    SELECT p.site_id, p.permission
    FROM acting_person a JOIN person_permission p USING (person_id)
    WHERE a.only_site_id IS NULL OR a.only_site_id = p.site_id
    UNION
    SELECT g.site_id, p.permission
    FROM role_grant g JOIN (VALUES ('see', true, true), ('see_trade_secrets', false, true),
                                   ('see_crew', true, false))
        AS p (permission, without_secrets, without_crew)
        ON (p.without_secrets OR g.trade_secrets) AND (p.without_crew OR g.crew_figures)
    WHERE g.role_name = current_user AND now() >= g.valid_from
      AND (g.valid_to IS NULL OR now() < g.valid_to)
    UNION
    SELECT s.site_id, p.permission
    FROM site s CROSS JOIN (SELECT DISTINCT permission FROM role_permission) p
    WHERE pg_has_role(current_user,
                      (SELECT relowner FROM pg_class WHERE oid = 'role_grant'::regclass), 'USAGE');

CREATE OR REPLACE VIEW granted_site AS
    SELECT site_id FROM granted_permission WHERE permission = 'see';

-- Trade secrets (F39).
CREATE VIEW granted_secret AS
    SELECT site_id FROM granted_permission WHERE permission = 'see_trade_secrets';

CREATE OR REPLACE VIEW visible_reading WITH (security_barrier) AS
    SELECT ts, series_id, raw_int, raw_real, quality, late_ms, batch FROM reading
    WHERE series_id = ANY (ARRAY(
        SELECT s.series_id FROM series s JOIN granted_secret g USING (site_id)));

CREATE OR REPLACE VIEW visible_interval_advance WITH (security_barrier) AS
    SELECT series_id, ts, epoch_id, advance_micro, estimated_micro, measured_s, readings,
           simulated, data_version
    FROM interval_advance
    WHERE series_id = ANY (ARRAY(
        SELECT s.series_id FROM series s JOIN granted_secret g USING (site_id)));

CREATE OR REPLACE VIEW visible_chart_1m WITH (security_barrier) AS
    SELECT series_id, bucket, readings, sum_int, min_int, max_int, first_int, last_int, sum_real,
           min_real, max_real, first_real, last_real, lowest_batch, highest_batch
    FROM chart_1m
    WHERE series_id = ANY (ARRAY(
        SELECT s.series_id FROM series s JOIN granted_secret g USING (site_id)));

CREATE OR REPLACE VIEW visible_chart_15m WITH (security_barrier) AS
    SELECT series_id, bucket, readings, sum_int, min_int, max_int, first_int, last_int, sum_real,
           min_real, max_real, first_real, last_real, lowest_batch, highest_batch
    FROM chart_15m
    WHERE series_id = ANY (ARRAY(
        SELECT s.series_id FROM series s JOIN granted_secret g USING (site_id)));

CREATE OR REPLACE VIEW latest_value WITH (security_barrier) AS
    SELECT s.site_id, s.point_id, l.series_id, s.quantity, s.channel, l.ts,
           coalesce(l.raw_int::double precision, l.raw_real) * e.scale::double precision
               + e."offset"::double precision AS value,
           e.unit, e.counter_kind, l.quality
    FROM latest l
    JOIN series s USING (series_id)
    JOIN series_epoch e ON e.series_id = l.series_id AND e.superseded_commit_no IS NULL
        AND l.ts >= e.valid_from AND (e.valid_to IS NULL OR l.ts < e.valid_to)
    WHERE s.site_id IN (SELECT site_id FROM granted_secret);

ALTER POLICY granted ON output USING (site_id IN (SELECT site_id FROM granted_secret));
ALTER POLICY granted ON demand_day USING (site_id IN (SELECT site_id FROM granted_secret));
ALTER POLICY granted ON lot_energy USING (site_id IN (SELECT site_id FROM granted_secret));

-- Crew figures are personal (F39): what one shift used, and what was said of it before.
ALTER POLICY granted ON enpi_period
    USING (site_id IN (SELECT site_id FROM granted_site)
           AND (shift = '' OR site_id IN (
               SELECT site_id FROM granted_permission WHERE permission = 'see_crew')));
ALTER POLICY granted ON figure_version
    USING (site_id IN (SELECT site_id FROM granted_site)
           AND (coalesce(figure_key ->> 'shift', '') = '' OR site_id IN (
               SELECT site_id FROM granted_permission WHERE permission = 'see_crew')));
