#!/bin/sh
# PostgreSQL's image runs this once, when its volume is empty: MLflow gets a role and two databases of its
# own (its server's and its users'), and neither it nor the ledger's role can open the other's.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv password MLFLOW_DB_PASSWORD
CREATE ROLE mlflow LOGIN PASSWORD :'password';
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE mlflow_auth OWNER mlflow;
REVOKE CONNECT ON DATABASE mlflow, mlflow_auth, :"DBNAME" FROM PUBLIC;
SQL
