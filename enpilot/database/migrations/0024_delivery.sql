-- Messages reach people: each attempt to send one, and what a message needs for that (F38).

-- The worst value of a firing so far; what is over says it.
ALTER TABLE alert_state ADD COLUMN worst double precision;       -- [unit]

-- From then on a message is being sent, and its facts stay as they are.
ALTER TABLE alert_message ADD COLUMN taken_at timestamptz;
UPDATE alert_message SET taken_at = notified_at;

-- One morning message for each day of a site, whoever writes it and however often it begins anew.
CREATE UNIQUE INDEX alert_message_morning ON alert_message (site_id, (facts ->> 'day'))
    WHERE kind = 'morning';

-- One row an attempt. `sent`, `failed` and `skipped` are the last of a message on a channel.
CREATE TABLE alert_delivery (
    delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    message_id bigint NOT NULL REFERENCES alert_message,
    recipient_group text NOT NULL,
    channel text NOT NULL,
    attempt integer NOT NULL CHECK (attempt > 0),
    at_ts timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('sent', 'retry', 'failed', 'skipped')),
    next_at timestamptz,                         -- of a retry
    error text,                                  -- without secrets
    UNIQUE (message_id, recipient_group, channel, attempt),
    CHECK ((state = 'retry') = (next_at IS NOT NULL)),
    CHECK ((state = 'sent') = (error IS NULL))
);
CREATE INDEX alert_delivery_site ON alert_delivery (site_id, at_ts);
CREATE INDEX alert_delivery_channel ON alert_delivery (recipient_group, channel, delivery_id);

ALTER TABLE alert_delivery ENABLE ROW LEVEL SECURITY;
CREATE POLICY granted ON alert_delivery FOR SELECT
    USING (site_id IN (SELECT site_id FROM granted_site));
