-- The registry's database and its two roles, run once by Patroni as superuser when the cluster is made.
--
-- pith_owner owns the tables: `pith init` and `pith database upgrade` use it, and nothing that serves. pith serves:
-- what it may do with each table is granted when the tables are made, and changing or removing an event is not
-- among it. Both passwords come from the environment, so that none stands in a file or a list of processes.
\set ON_ERROR_STOP on
\getenv owner_password PITH_OWNER_PASSWORD
\getenv serving_password PITH_SERVING_PASSWORD

SET log_statement = none;
SET log_min_error_statement = panic;

CREATE ROLE pith_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'owner_password';
CREATE ROLE pith LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'serving_password';
CREATE DATABASE pith OWNER pith_owner ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE pith FROM PUBLIC;
-- An audit compares in temporary tables.
GRANT CONNECT, TEMPORARY ON DATABASE pith TO pith;

\connect pith
REVOKE ALL ON SCHEMA public FROM PUBLIC;
