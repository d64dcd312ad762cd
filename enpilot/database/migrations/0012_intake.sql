-- What ingest says about itself, for those who may see the site: gateways, other publishers, what was
-- refused (without the payloads), and what never came.

-- Which site a source of other publishers writes to; its counters stand under source:NAME.
CREATE TABLE publisher (
    name text PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    kind text NOT NULL,
    simulated boolean NOT NULL,
    cycle_s double precision NOT NULL CHECK (cycle_s > 0),  -- how often it says that it sends
    seen_at timestamptz NOT NULL DEFAULT now()
);

-- due_s: how often a reading is due, by the fastest series that it may send.
CREATE VIEW visible_intake WITH (security_barrier) AS
    SELECT w.site_id, w.counted_as, w.name, w.kind, w.simulated, w.due_s, s.state, s.since,
           s.received_at AS said_at, s.held_batches, s.held_readings, s.oldest_held_ts,
           s.units_down, c.batches_received, c.batches_stored, c.batches_duplicated,
           c.batches_refused, c.births_needed, c.readings_stored, c.readings_duplicated,
           c.readings_refused, c.last_received_at, c.last_reading_ts, c.reading_lag_ms,
           c.sent_lag_ms, c.group_batches, c.group_readings,
           (SELECT coalesce(sum(q.messages), 0) FROM quarantine_count q
            WHERE q.agent_id = w.counted_as)::bigint AS messages_refused,
           -- What was given up as lost and came after all is in the ledger, or folded out of it.
           (SELECT coalesce(sum(
                l.to_seq - l.from_seq + 1
                - (SELECT count(*) FROM batch_ledger b WHERE b.stream_no = l.stream_no
                   AND b.seq BETWEEN l.from_seq AND l.to_seq)
                - (SELECT coalesce(sum(least(f.to_seq, l.to_seq)
                                       - greatest(f.from_seq, l.from_seq) + 1), 0)
                   FROM batch_fold f WHERE f.stream_no = l.stream_no
                   AND f.from_seq <= l.to_seq AND f.to_seq >= l.from_seq)), 0)
            FROM stream x JOIN lost_range l USING (stream_no)
            WHERE x.agent_id = w.counted_as)::bigint AS batches_lost
    FROM (SELECT a.site_id, a.agent_id AS counted_as, a.agent_id AS name, 'gateway' AS kind,
                 a.simulated,
                 (SELECT min(e.period_s) FROM agent_grant g JOIN series USING (point_id)
                  JOIN series_epoch e USING (series_id)
                  WHERE g.agent_id = a.agent_id AND g.superseded_commit_no IS NULL
                  AND g.valid_from <= now() AND (g.valid_to IS NULL OR g.valid_to > now())
                  AND e.superseded_commit_no IS NULL
                  AND e.valid_from <= now() AND (e.valid_to IS NULL OR e.valid_to > now())
                 )::double precision AS due_s
          FROM agent a
          UNION ALL
          SELECT site_id, 'source:' || name, name, kind, simulated, cycle_s FROM publisher) w
    LEFT JOIN agent_status s ON s.agent_id = w.counted_as
    LEFT JOIN ingest_count c ON c.agent_id = w.counted_as
    WHERE w.site_id IN (SELECT site_id FROM granted_site);

-- kept: payloads that are still there and were not stored by trying them again.
CREATE VIEW visible_refusal WITH (security_barrier) AS
    SELECT v.site_id, q.agent_id AS counted_as, v.name, q.code, q.messages, q.last_at,
           (SELECT sentence FROM quarantine k WHERE k.agent_id = q.agent_id AND k.code = q.code
            ORDER BY k.quarantine_id DESC LIMIT 1) AS sentence,
           (SELECT count(*) FROM quarantine k WHERE k.agent_id = q.agent_id AND k.code = q.code
            AND coalesce(k.outcome, 'refused') = 'refused') AS kept
    FROM quarantine_count q
    JOIN (SELECT site_id, agent_id AS counted_as, agent_id AS name FROM agent
          UNION ALL SELECT site_id, 'source:' || name, name FROM publisher) v
        ON v.counted_as = q.agent_id
    WHERE v.site_id IN (SELECT site_id FROM granted_site);

-- The platform's own speed says nothing of any site.
CREATE VIEW ingest_speed AS
    SELECT row_number() OVER (ORDER BY started_at, worker)::integer AS number, started_at,
           last_commit_at, groups, batches, readings, group_batches, group_readings, commit_ms,
           direct_compress
    FROM ingest_worker;
