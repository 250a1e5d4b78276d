-- The tables of a LightcurveDB 3.1 as LightcurveDB's own code makes them (commit 4085b29). DataSets
-- have a key of four columns; dataset, datasethierarchy and target_specific_time are partitioned.
CREATE TABLE mission (id uuid PRIMARY KEY, time_epoch float8 NOT NULL, time_epoch_scale varchar NOT NULL,
  time_epoch_format varchar NOT NULL, time_format_name varchar NOT NULL UNIQUE, name varchar(64) NOT NULL UNIQUE,
  description varchar NOT NULL, created_on timestamp NOT NULL DEFAULT now());
CREATE TABLE mission_catalog (id serial PRIMARY KEY, host_mission_id uuid NOT NULL REFERENCES mission ON DELETE CASCADE,
  name varchar(64) NOT NULL, description varchar NOT NULL, created_on timestamp NOT NULL DEFAULT now(),
  UNIQUE (host_mission_id, name));
CREATE TABLE target (id bigserial PRIMARY KEY,
  catalog_id int NOT NULL REFERENCES mission_catalog ON UPDATE CASCADE ON DELETE CASCADE,
  name bigint NOT NULL, UNIQUE (catalog_id, name));
-- Two catalog entries of one star.
CREATE TABLE alias (id bigserial PRIMARY KEY,
  target_id bigint NOT NULL REFERENCES target ON UPDATE CASCADE ON DELETE CASCADE,
  counterpart_id bigint NOT NULL REFERENCES target ON UPDATE CASCADE ON DELETE CASCADE,
  CHECK (target_id <> counterpart_id));
CREATE UNIQUE INDEX ON alias (LEAST(target_id, counterpart_id), GREATEST(target_id, counterpart_id));
CREATE TABLE instrument (id uuid PRIMARY KEY, name varchar NOT NULL, properties jsonb NOT NULL,
  parent_id uuid REFERENCES instrument ON DELETE CASCADE);
CREATE INDEX ON instrument (parent_id);
CREATE TABLE observation (id serial PRIMARY KEY, type varchar NOT NULL, cadence_reference bigint[] NOT NULL,
  instrument_id uuid NOT NULL REFERENCES instrument ON DELETE CASCADE);
CREATE INDEX ON observation (type);
CREATE INDEX ON observation (cardinality(cadence_reference));
CREATE INDEX ON observation ((cadence_reference[1]));
CREATE INDEX ON observation ((cadence_reference[cardinality(cadence_reference)]));
CREATE TABLE fits_frame (id serial PRIMARY KEY, type varchar NOT NULL, cadence bigint NOT NULL,
  observation_id int NOT NULL REFERENCES observation ON DELETE CASCADE, simple boolean NOT NULL, bitpix int NOT NULL,
  bscale float8 NOT NULL, bzero float8 NOT NULL, naxis int NOT NULL, naxis_values int[] NOT NULL,
  extended boolean NOT NULL, file_path varchar, created_on timestamp NOT NULL DEFAULT now());
-- No sequence. Row 0 is named "Unspecified" and takes the place of NULL.
CREATE TABLE photometric_source (id int PRIMARY KEY, name varchar(64) NOT NULL, description varchar NOT NULL);
CREATE TABLE processing_method (id int PRIMARY KEY, name varchar(64) NOT NULL, description varchar NOT NULL);
CREATE TABLE dataset (observation_id int NOT NULL REFERENCES observation ON DELETE CASCADE,
  target_id bigint NOT NULL REFERENCES target ON DELETE CASCADE,
  photometric_method_id int NOT NULL REFERENCES photometric_source ON DELETE RESTRICT,
  processing_method_id int NOT NULL REFERENCES processing_method ON DELETE RESTRICT,
  "values" float8[] NOT NULL, errors float8[],
  PRIMARY KEY (observation_id, target_id, photometric_method_id, processing_method_id))
  PARTITION BY LIST (observation_id);
CREATE INDEX ON dataset (target_id);
-- Removed in 3.3.
CREATE TABLE datasethierarchy (source_observation_id int NOT NULL, source_target_id int NOT NULL,
  source_photometric_method_id int NOT NULL, source_processing_method_id int NOT NULL,
  child_observation_id int NOT NULL, child_target_id int NOT NULL, child_photometric_method_id int NOT NULL,
  child_processing_method_id int NOT NULL,
  PRIMARY KEY (source_observation_id, source_target_id, source_photometric_method_id, source_processing_method_id,
    child_observation_id, child_target_id, child_photometric_method_id, child_processing_method_id),
  FOREIGN KEY (source_observation_id, source_target_id, source_photometric_method_id, source_processing_method_id)
    REFERENCES dataset ON DELETE CASCADE,
  FOREIGN KEY (child_observation_id, child_target_id, child_photometric_method_id, child_processing_method_id)
    REFERENCES dataset ON DELETE CASCADE) PARTITION BY LIST (source_observation_id);
CREATE INDEX ON datasethierarchy (source_observation_id, source_target_id, source_photometric_method_id, source_processing_method_id);
CREATE INDEX ON datasethierarchy (child_observation_id, child_target_id, child_photometric_method_id, child_processing_method_id);
CREATE TABLE target_specific_time (observation_id int NOT NULL REFERENCES observation ON DELETE CASCADE,
  target_id bigint NOT NULL REFERENCES target ON DELETE CASCADE, barycentric_julian_dates float8[] NOT NULL,
  PRIMARY KEY (observation_id, target_id)) PARTITION BY LIST (observation_id);
CREATE INDEX ON target_specific_time (target_id);
CREATE TABLE quality_flag_array (id bigserial PRIMARY KEY, type varchar NOT NULL,
  observation_id int NOT NULL REFERENCES observation ON DELETE CASCADE, target_id bigint REFERENCES target ON DELETE CASCADE,
  quality_flags int[] NOT NULL, created_on timestamp NOT NULL DEFAULT now());
CREATE UNIQUE INDEX ON quality_flag_array (type, observation_id, COALESCE(target_id, -1));
