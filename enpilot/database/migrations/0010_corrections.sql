-- Corrections (F1-F3, F20): what a person says against the registers. Proposed, decided, revocable;
-- the rows that take effect are facts of their own, so that a past version stays computable.
-- What a correction does to the data stands in functions: ingest decides with them, and analytics
-- shows with the same ones, in a transaction that it rolls back, what a decision would change.

-- A plant that has one person only may let her approve her own proposals; figures then say so.
ALTER TABLE site_record ADD COLUMN self_approval boolean NOT NULL DEFAULT false;

CREATE TABLE correction (
    correction_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    series_id integer NOT NULL REFERENCES series,
    kind text NOT NULL CHECK (kind IN ('void', 'replace', 'substitute', 'meaning')),
    from_ts timestamptz NOT NULL,
    to_ts timestamptz,                    -- exclusive; open for a meaning that goes on to hold
    detail jsonb NOT NULL,                -- by kind, see docs/corrections.md
    evidence text NOT NULL CHECK (evidence <> ''),
    author text NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    proposed_at timestamptz NOT NULL DEFAULT now(),
    second_person text[] NOT NULL,        -- why somebody else has to approve; empty: nobody has to
    CHECK (to_ts > from_ts),
    CHECK (to_ts IS NOT NULL OR kind = 'meaning')
);
CREATE INDEX correction_series ON correction (series_id, from_ts);

-- proposed -> approved -> revoked, or proposed -> rejected.
CREATE TABLE correction_decision (
    correction_id integer NOT NULL REFERENCES correction,
    decision text NOT NULL CHECK (decision IN ('approved', 'rejected', 'revoked')),
    author text NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    decided_at timestamptz NOT NULL DEFAULT now(),
    self_approved boolean NOT NULL DEFAULT false,
    commit_no bigint NOT NULL,
    PRIMARY KEY (correction_id, decision)
);

-- Readings of a series in [from_ts, to_ts) that do not count.
CREATE TABLE reading_void (
    series_id integer NOT NULL REFERENCES series,
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL CHECK (to_ts > from_ts),
    correction_id integer NOT NULL REFERENCES correction,
    commit_no bigint NOT NULL,
    superseded_commit_no bigint
);
CREATE INDEX reading_void_series ON reading_void (series_id, from_ts)
    WHERE superseded_commit_no IS NULL;

-- What a span took, where its registers cannot say it; the span lies on the 15-minute grid.
CREATE TABLE energy_substitution (
    series_id integer NOT NULL REFERENCES series,
    from_ts timestamptz NOT NULL,
    to_ts timestamptz NOT NULL CHECK (to_ts > from_ts),
    amount numeric NOT NULL,              -- [unit]
    unit text NOT NULL,
    shape text NOT NULL CHECK (shape IN ('even', 'registers')),
    correction_id integer NOT NULL REFERENCES correction,
    commit_no bigint NOT NULL,
    superseded_commit_no bigint,
    EXCLUDE USING gist (series_id WITH =, tstzrange(from_ts, to_ts) WITH &&)
        WHERE (superseded_commit_no IS NULL)
);

-- A wrong type or word order is a dated recode of stored numbers (F3): read_type is what the number
-- was taken for when it was read, raw_type and decoding what it really is.
ALTER TABLE series_epoch ADD COLUMN read_type text;
ALTER TABLE series_epoch ADD COLUMN correction_id integer REFERENCES correction;
ALTER TABLE series_epoch ADD COLUMN replaces_epoch_id integer REFERENCES series_epoch;
ALTER TABLE series_epoch ADD CHECK (decoding IN ('big', 'words', 'bytes', 'words_and_bytes'));
ALTER TABLE series_epoch ADD CHECK ((correction_id IS NULL) = (replaces_epoch_id IS NULL));

-- What was noted of a register when a device came or went may be corrected too.
ALTER TABLE installation_register ADD COLUMN author text NOT NULL DEFAULT 'plant file';
ALTER TABLE installation_register ADD COLUMN recorded_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE installation_register ADD COLUMN commit_no bigint NOT NULL DEFAULT 0;
ALTER TABLE installation_register ADD COLUMN superseded_commit_no bigint;
ALTER TABLE installation_register DROP CONSTRAINT installation_register_pkey;
CREATE UNIQUE INDEX installation_register_current
    ON installation_register (installation_id, series_id) WHERE superseded_commit_no IS NULL;

-- Which decision put it in force; none for what an import superseded.
ALTER TABLE reading_correction ADD COLUMN decided_correction_id integer REFERENCES correction;

-- Insert an epoch with the facts of a row and the span and provenance given apart.
CREATE FUNCTION insert_epoch(e series_epoch, since timestamptz, until timestamptz,
                             by_whom text, why text, number bigint)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO series_epoch (series_id, installation_id, raw_type, read_type, decoding,
        register_scale, side, ratio, "offset", unit, modulus, counter_kind, rated_max_per_h,
        period_s, origin, birth_sha256, correction_id, replaces_epoch_id,
        valid_from, valid_to, author, reason, commit_no)
    SELECT e.series_id, e.installation_id, e.raw_type, e.read_type, e.decoding,
        e.register_scale, e.side, e.ratio, e."offset", e.unit, e.modulus, e.counter_kind,
        e.rated_max_per_h, e.period_s, e.origin, e.birth_sha256, e.correction_id,
        e.replaces_epoch_id, since, until, by_whom, why, number
$$;

-- Let another meaning hold in a span; what holds outside of it stays.
CREATE FUNCTION replace_meaning(c correction, number bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    old series_epoch;
    held series_epoch;
    found_any boolean := false;
BEGIN
    FOR old IN
        SELECT * FROM series_epoch
        WHERE series_id = c.series_id AND superseded_commit_no IS NULL
          AND tstzrange(valid_from, valid_to) && tstzrange(c.from_ts, c.to_ts)
        ORDER BY valid_from
    LOOP
        found_any := true;
        UPDATE series_epoch SET superseded_commit_no = number WHERE epoch_id = old.epoch_id;
        IF old.valid_from < c.from_ts THEN
            PERFORM insert_epoch(old, old.valid_from, c.from_ts, old.author, old.reason, number);
        END IF;
        IF c.to_ts < coalesce(old.valid_to, 'infinity') THEN
            PERFORM insert_epoch(old, c.to_ts, old.valid_to, old.author, old.reason, number);
        END IF;
        held := jsonb_populate_record(old, c.detail);
        held.read_type := coalesce(old.read_type, old.raw_type);
        held.origin := 'human';
        held.correction_id := c.correction_id;
        held.replaces_epoch_id := old.epoch_id;
        PERFORM insert_epoch(held, greatest(old.valid_from, c.from_ts),
                             least(old.valid_to, c.to_ts), c.author, c.reason, number);
    END LOOP;
    IF NOT found_any THEN
        RAISE EXCEPTION 'series % has no meaning in the span that could be corrected', c.series_id
            USING ERRCODE = 'no_data_found';
    END IF;
END $$;

-- Take back what a correction said of a meaning: its keys get the values that they replaced.
CREATE FUNCTION restore_meaning(c correction, number bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    piece series_epoch;
    old series_epoch;
    back series_epoch;
    later integer;
BEGIN
    SELECT e.correction_id INTO later
    FROM series_epoch e JOIN series_epoch b ON b.epoch_id = e.replaces_epoch_id
    WHERE e.superseded_commit_no IS NULL AND b.correction_id = c.correction_id
      AND e.correction_id <> c.correction_id LIMIT 1;
    IF later IS NOT NULL THEN
        RAISE EXCEPTION 'correction % rests on it', later USING ERRCODE = 'dependent_objects_still_exist';
    END IF;
    FOR piece IN
        SELECT * FROM series_epoch
        WHERE correction_id = c.correction_id AND superseded_commit_no IS NULL ORDER BY valid_from
    LOOP
        SELECT * INTO STRICT old FROM series_epoch WHERE epoch_id = piece.replaces_epoch_id;
        UPDATE series_epoch SET superseded_commit_no = number WHERE epoch_id = piece.epoch_id;
        back := jsonb_populate_record(piece, (
            SELECT jsonb_object_agg(key, to_jsonb(old) -> key) FROM jsonb_object_keys(c.detail) key));
        back.read_type := old.read_type;
        back.origin := old.origin;
        back.correction_id := old.correction_id;
        back.replaces_epoch_id := old.replaces_epoch_id;
        PERFORM insert_epoch(back, piece.valid_from, piece.valid_to, old.author, old.reason, number);
    END LOOP;
END $$;

CREATE FUNCTION put_correction_in_force(chosen integer, number bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE c correction;
BEGIN
    SELECT * INTO STRICT c FROM correction WHERE correction_id = chosen;
    CASE c.kind
    WHEN 'void' THEN
        INSERT INTO reading_void (series_id, from_ts, to_ts, correction_id, commit_no)
        VALUES (c.series_id, c.from_ts, c.to_ts, chosen, number);
    WHEN 'replace' THEN
        INSERT INTO reading_correction (kind, series_id, ts, batch, raw_int, raw_real, author,
            reason, origin, decided_correction_id, commit_no)
        VALUES ('replace', c.series_id, c.from_ts, (c.detail ->> 'batch')::bigint,
            (c.detail ->> 'raw_int')::bigint, (c.detail ->> 'raw_real')::float8, c.author,
            c.reason, 'human', chosen, number);
    WHEN 'substitute' THEN
        INSERT INTO energy_substitution (series_id, from_ts, to_ts, amount, unit, shape,
            correction_id, commit_no)
        VALUES (c.series_id, c.from_ts, c.to_ts, (c.detail ->> 'amount')::numeric,
            c.detail ->> 'unit', c.detail ->> 'shape', chosen, number);
    WHEN 'meaning' THEN
        PERFORM replace_meaning(c, number);
    END CASE;
    INSERT INTO dirty (series_id, from_ts, to_ts, commit_no)
    VALUES (c.series_id, c.from_ts, greatest(c.from_ts, coalesce(c.to_ts, now())), number);
END $$;

CREATE FUNCTION take_correction_out(chosen integer, number bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE c correction;
BEGIN
    SELECT * INTO STRICT c FROM correction WHERE correction_id = chosen;
    UPDATE reading_void SET superseded_commit_no = number
    WHERE correction_id = chosen AND superseded_commit_no IS NULL;
    UPDATE reading_correction SET superseded_commit_no = number
    WHERE decided_correction_id = chosen AND superseded_commit_no IS NULL;
    UPDATE energy_substitution SET superseded_commit_no = number
    WHERE correction_id = chosen AND superseded_commit_no IS NULL;
    IF c.kind = 'meaning' THEN
        PERFORM restore_meaning(c, number);
    END IF;
    INSERT INTO dirty (series_id, from_ts, to_ts, commit_no)
    VALUES (c.series_id, c.from_ts, greatest(c.from_ts, coalesce(c.to_ts, now())), number);
END $$;

-- Readings that no retraction, correction or void takes out.
CREATE OR REPLACE VIEW counted_reading AS
    SELECT r.ts, r.series_id, r.raw_int, r.raw_real, r.quality, r.late_ms, r.batch
    FROM reading r
    WHERE NOT EXISTS (
            SELECT FROM retraction x
            WHERE x.superseded_commit_no IS NULL AND x.stream_no = (r.batch >> 32)
              AND (r.batch & 4294967295) BETWEEN x.from_seq AND x.to_seq)
      AND NOT EXISTS (
            SELECT FROM reading_correction c
            WHERE c.superseded_commit_no IS NULL AND c.kind = 'void'
              AND c.series_id = r.series_id AND c.ts = r.ts
              AND (c.batch IS NULL OR c.batch = r.batch))
      AND NOT EXISTS (
            SELECT FROM reading_void v
            WHERE v.superseded_commit_no IS NULL AND v.series_id = r.series_id
              AND v.from_ts <= r.ts AND r.ts < v.to_ts);
CREATE OR REPLACE VIEW counted_kept_reading AS
    SELECT r.ts, r.series_id, r.raw_int, r.raw_real, r.quality, r.late_ms, r.batch
    FROM kept_reading r
    WHERE NOT EXISTS (
            SELECT FROM retraction x
            WHERE x.superseded_commit_no IS NULL AND x.stream_no = (r.batch >> 32)
              AND (r.batch & 4294967295) BETWEEN x.from_seq AND x.to_seq)
      AND NOT EXISTS (
            SELECT FROM reading_correction c
            WHERE c.superseded_commit_no IS NULL AND c.kind = 'void'
              AND c.series_id = r.series_id AND c.ts = r.ts
              AND (c.batch IS NULL OR c.batch = r.batch))
      AND NOT EXISTS (
            SELECT FROM reading_void v
            WHERE v.superseded_commit_no IS NULL AND v.series_id = r.series_id
              AND v.from_ts <= r.ts AND r.ts < v.to_ts);

-- Each correction with its state, and who approved what; what a figure names beside it.
CREATE VIEW correction_state WITH (security_barrier) AS
    SELECT c.correction_id, c.site_id, s.point_id, c.series_id, c.kind, c.from_ts, c.to_ts,
           c.detail, c.evidence, c.author, c.reason, c.proposed_at, c.second_person,
           CASE WHEN r.decision IS NOT NULL THEN 'revoked'
                WHEN a.decision IS NOT NULL THEN 'in_force'
                WHEN n.decision IS NOT NULL THEN 'rejected'
                ELSE 'proposed' END AS state,
           a.author AS approver, a.decided_at AS approved_at,
           coalesce(a.self_approved, false) AS self_approved
    FROM correction c JOIN series s USING (series_id)
    LEFT JOIN correction_decision a ON a.correction_id = c.correction_id
        AND a.decision = 'approved'
    LEFT JOIN correction_decision n ON n.correction_id = c.correction_id
        AND n.decision = 'rejected'
    LEFT JOIN correction_decision r ON r.correction_id = c.correction_id
        AND r.decision = 'revoked'
    WHERE c.site_id IN (SELECT site_id FROM granted_site);
