-- Other publishers: devices and SCADA systems that speak plain JSON (F33, D16).

-- What a source has sent of late, by content: sha256(tag, its own time, value, quality). A payload
-- that comes again within 72 hours is a duplicate.
CREATE TABLE source_content (
    source text NOT NULL,
    key bytea NOT NULL CHECK (octet_length(key) = 16),
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, key)
);
CREATE INDEX source_content_seen ON source_content (seen_at);

-- Since when a source repeats the same number for a series: beyond its limit that is stale.
CREATE TABLE source_value (
    series_id integer PRIMARY KEY REFERENCES series,
    value text NOT NULL,
    since_ts timestamptz NOT NULL,
    last_ts timestamptz NOT NULL
);

-- A source that says no time of its own: its readings carry the time of arrival, and a payload that
-- comes twice is stored twice, since nothing tells it from a second one that says the same.
ALTER TABLE stream ADD COLUMN stamped_on_arrival boolean NOT NULL DEFAULT false;

-- What became of a payload that was tried again.
ALTER TABLE quarantine ADD COLUMN outcome text
    CHECK (outcome IN ('stored', 'present', 'refused'));
ALTER TABLE quarantine ADD COLUMN outcome_sentence text;
