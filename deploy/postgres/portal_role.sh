#!/bin/sh
# Runs once, when the database is created: the role that the portal signs in with. It knows who may
# sign in, and reads figures only as the person who asks (docs/reference/access.md).
set -eu
: "${ENPILOT_PORTAL_DATABASE_PASSWORD:?set it in deploy/.env}"
psql -v ON_ERROR_STOP=1 -v password="$ENPILOT_PORTAL_DATABASE_PASSWORD" \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE enpilot_portal NOLOGIN NOINHERIT;
CREATE ROLE portal LOGIN PASSWORD :'password' IN ROLE enpilot_portal CONNECTION LIMIT 20;
ALTER ROLE portal SET statement_timeout = '30s';
SQL
