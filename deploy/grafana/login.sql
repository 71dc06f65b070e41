-- Grafana's login, for psql: GRAFANA_DATABASE_PASSWORD=... psql "$DATABASE_URL" --file=deploy/grafana/login.sql
-- It may read what an analyst may. Run again, it sets the password anew.

\set ON_ERROR_STOP on
\getenv password GRAFANA_DATABASE_PASSWORD

SELECT 'CREATE ROLE grafana LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'grafana') \gexec
ALTER ROLE grafana LOGIN PASSWORD :'password';
GRANT botpulse_analyst TO grafana;
