-- Who may write over HTTP: a token for one site, with scopes and an end. Only its hash is kept.
CREATE TABLE api_token (
    token_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id integer NOT NULL REFERENCES site,
    name text NOT NULL CHECK (name <> ''),
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['output', 'readings']),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    valid_to timestamptz NOT NULL CHECK (valid_to > created_at),
    revoked_by text,
    revoked_at timestamptz,
    last_used_at timestamptz,             -- to the minute
    CHECK ((revoked_by IS NULL) = (revoked_at IS NULL))
);
