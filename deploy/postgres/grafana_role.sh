#!/bin/sh
# Runs once, when the database is created: the role that Grafana reads with. It sees nothing until
# `INSERT INTO role_grant` names its sites (deploy/README.md).
set -eu
: "${ENPILOT_GRAFANA_DATABASE_PASSWORD:?set it in deploy/.env}"
psql -v ON_ERROR_STOP=1 -v password="$ENPILOT_GRAFANA_DATABASE_PASSWORD" \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE enpilot_reader NOLOGIN;
CREATE ROLE grafana LOGIN PASSWORD :'password' IN ROLE enpilot_reader CONNECTION LIMIT 20;
ALTER ROLE grafana SET search_path = enpilot, public;
ALTER ROLE grafana SET timezone = 'UTC';
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
SQL
