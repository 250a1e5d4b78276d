-- The tables of a LightcurveDB 2 as LightcurveDB's own code makes them (commit 9619689). They differ
-- from those of this package: no mission.time_unit, no columns of mission classes, varchar and jsonb
-- columns, catalog names unique within a mission, names of sources and methods not unique.
CREATE TABLE mission (id uuid PRIMARY KEY, time_epoch float8 NOT NULL, time_epoch_scale varchar NOT NULL,
  time_epoch_format varchar NOT NULL, time_format_name varchar NOT NULL UNIQUE, name varchar(64) NOT NULL UNIQUE,
  description varchar NOT NULL, created_on timestamp NOT NULL DEFAULT now());
CREATE TABLE mission_catalog (id serial PRIMARY KEY, host_mission_id uuid NOT NULL REFERENCES mission ON DELETE CASCADE,
  name varchar(64) NOT NULL, description varchar NOT NULL, created_on timestamp NOT NULL DEFAULT now(),
  UNIQUE (host_mission_id, name));
CREATE TABLE target (id bigserial PRIMARY KEY,
  catalog_id int NOT NULL REFERENCES mission_catalog ON UPDATE CASCADE ON DELETE CASCADE,
  name bigint NOT NULL, UNIQUE (catalog_id, name));
CREATE TABLE instrument (id uuid PRIMARY KEY, name varchar NOT NULL, properties jsonb NOT NULL,
  parent_id uuid REFERENCES instrument ON DELETE CASCADE);
CREATE INDEX ON instrument (parent_id);
CREATE TABLE observation (id serial PRIMARY KEY, type varchar NOT NULL, cadence_reference bigint[] NOT NULL,
  instrument_id uuid NOT NULL REFERENCES instrument ON DELETE CASCADE);
CREATE INDEX ON observation (type);
CREATE TABLE fits_frame (id serial PRIMARY KEY, type varchar NOT NULL, cadence bigint NOT NULL,
  observation_id int NOT NULL REFERENCES observation ON DELETE CASCADE, simple boolean NOT NULL, bitpix int NOT NULL,
  naxis int NOT NULL, naxis_values int[] NOT NULL, extended boolean NOT NULL, bscale float8 NOT NULL,
  bzero float8 NOT NULL, file_path varchar, created_on timestamp NOT NULL DEFAULT now(), UNIQUE (type, cadence));
CREATE TABLE photometric_source (id serial PRIMARY KEY, name varchar(64) NOT NULL, description varchar NOT NULL);
CREATE TABLE processing_method (id serial PRIMARY KEY, name varchar(64) NOT NULL, description varchar NOT NULL);
CREATE TABLE dataset (id serial PRIMARY KEY, target_id bigint NOT NULL REFERENCES target ON DELETE CASCADE,
  observation_id int NOT NULL REFERENCES observation ON DELETE CASCADE,
  photometric_method_id int REFERENCES photometric_source ON DELETE CASCADE,
  processing_method_id int REFERENCES processing_method ON DELETE CASCADE,
  "values" float8[] NOT NULL, errors float8[]);
CREATE INDEX ON dataset (target_id);
CREATE INDEX ON dataset (observation_id);
CREATE INDEX ON dataset (photometric_method_id);
CREATE INDEX ON dataset (processing_method_id);
CREATE TABLE datasethierarchy (id serial PRIMARY KEY, source_dataset_id int NOT NULL REFERENCES dataset ON DELETE CASCADE,
  child_dataset_id int NOT NULL REFERENCES dataset ON DELETE CASCADE);
CREATE INDEX ON datasethierarchy (source_dataset_id);
CREATE INDEX ON datasethierarchy (child_dataset_id);
CREATE TABLE target_specific_time (id bigserial PRIMARY KEY, target_id bigint NOT NULL REFERENCES target ON DELETE CASCADE,
  observation_id int NOT NULL REFERENCES observation ON DELETE CASCADE, barycentric_julian_dates float8[] NOT NULL);
CREATE UNIQUE INDEX ON target_specific_time (target_id, observation_id);
CREATE TABLE quality_flag_array (id bigserial PRIMARY KEY, type varchar NOT NULL,
  observation_id int NOT NULL REFERENCES observation ON DELETE CASCADE, target_id bigint REFERENCES target ON DELETE CASCADE,
  quality_flags int[] NOT NULL, created_on timestamp NOT NULL DEFAULT now());
CREATE UNIQUE INDEX ON quality_flag_array (type, observation_id, COALESCE(target_id, -1));
