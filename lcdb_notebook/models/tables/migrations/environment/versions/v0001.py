"""Version 0001: the twelve tables of the specification in their first version.

Do not change this file: databases of the first version are recognised by it, and later steps are
tested on it. New databases are not created by these statements but from the models.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = """
CREATE TABLE instrument (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    properties JSON NOT NULL,
    parent_id UUID,
    CONSTRAINT pk_instrument PRIMARY KEY (id),
    CONSTRAINT fk_instrument_parent_id_instrument FOREIGN KEY(parent_id) REFERENCES instrument (id)
);
CREATE INDEX ix_instrument_parent_id ON instrument (parent_id);
CREATE INDEX ix_instrument_name ON instrument (name);

CREATE TABLE mission (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    time_unit TEXT NOT NULL,
    time_epoch NUMERIC NOT NULL,
    time_epoch_scale TEXT NOT NULL,
    time_epoch_format TEXT NOT NULL,
    time_format_name TEXT NOT NULL,
    CONSTRAINT pk_mission PRIMARY KEY (id),
    CONSTRAINT uq_mission_name UNIQUE (name),
    CONSTRAINT uq_mission_time_format_name UNIQUE (time_format_name)
);

CREATE TABLE photometric_source (
    id SERIAL NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    CONSTRAINT pk_photometric_source PRIMARY KEY (id),
    CONSTRAINT uq_photometric_source_name UNIQUE (name)
);

CREATE TABLE processing_method (
    id SERIAL NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    CONSTRAINT pk_processing_method PRIMARY KEY (id),
    CONSTRAINT uq_processing_method_name UNIQUE (name)
);

CREATE TABLE mission_catalog (
    id SERIAL NOT NULL,
    host_mission_id UUID NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    CONSTRAINT pk_mission_catalog PRIMARY KEY (id),
    CONSTRAINT fk_mission_catalog_host_mission_id_mission
        FOREIGN KEY(host_mission_id) REFERENCES mission (id),
    CONSTRAINT uq_mission_catalog_name UNIQUE (name)
);
CREATE INDEX ix_mission_catalog_host_mission_id ON mission_catalog (host_mission_id);

CREATE TABLE observation (
    id SERIAL NOT NULL,
    type TEXT NOT NULL,
    cadence_reference BIGINT[] NOT NULL,
    instrument_id UUID NOT NULL,
    sector INTEGER,
    orbit_number INTEGER,
    spacecraft_quaternion JSON,
    cosmic_ray_mitigation BOOLEAN,
    author TEXT,
    exptime INTEGER,
    quarter INTEGER,
    campaign INTEGER,
    CONSTRAINT pk_observation PRIMARY KEY (id),
    CONSTRAINT fk_observation_instrument_id_instrument
        FOREIGN KEY(instrument_id) REFERENCES instrument (id),
    CONSTRAINT ck_observation_tess_observation_sector
        CHECK (type != 'tess_observation' OR sector IS NOT NULL),
    CONSTRAINT ck_observation_kepler_observation_quarter
        CHECK (type != 'kepler_observation' OR quarter IS NOT NULL),
    CONSTRAINT ck_observation_k2_observation_campaign
        CHECK (type != 'k2_observation' OR campaign IS NOT NULL)
);
CREATE INDEX ix_observation_type ON observation (type);
CREATE INDEX ix_observation_instrument_id ON observation (instrument_id);
CREATE INDEX ix_observation_sector ON observation (sector);

CREATE TABLE fits_frame (
    id SERIAL NOT NULL,
    type TEXT NOT NULL,
    cadence BIGINT NOT NULL,
    observation_id INTEGER NOT NULL,
    simple BOOLEAN NOT NULL,
    bitpix INTEGER NOT NULL,
    naxis INTEGER NOT NULL,
    naxis_values INTEGER[] NOT NULL,
    extended BOOLEAN NOT NULL,
    bscale DOUBLE PRECISION NOT NULL,
    bzero DOUBLE PRECISION NOT NULL,
    file_path TEXT,
    CONSTRAINT pk_fits_frame PRIMARY KEY (id),
    CONSTRAINT uq_fits_frame_type_cadence UNIQUE (type, cadence),
    CONSTRAINT fk_fits_frame_observation_id_observation
        FOREIGN KEY(observation_id) REFERENCES observation (id) ON DELETE CASCADE
);
CREATE INDEX ix_fits_frame_cadence ON fits_frame (cadence);
CREATE INDEX ix_fits_frame_type ON fits_frame (type);
CREATE INDEX ix_fits_frame_observation_id ON fits_frame (observation_id);

CREATE TABLE target (
    id BIGSERIAL NOT NULL,
    catalog_id INTEGER NOT NULL,
    name BIGINT NOT NULL,
    CONSTRAINT pk_target PRIMARY KEY (id),
    CONSTRAINT uq_target_catalog_id_name UNIQUE (catalog_id, name),
    CONSTRAINT fk_target_catalog_id_mission_catalog
        FOREIGN KEY(catalog_id) REFERENCES mission_catalog (id)
);
CREATE INDEX ix_target_name ON target (name);

CREATE TABLE dataset (
    id SERIAL NOT NULL,
    target_id BIGINT NOT NULL,
    observation_id INTEGER NOT NULL,
    photometric_method_id INTEGER,
    processing_method_id INTEGER,
    values DOUBLE PRECISION[] NOT NULL,
    errors DOUBLE PRECISION[],
    CONSTRAINT pk_dataset PRIMARY KEY (id),
    CONSTRAINT fk_dataset_target_id_target
        FOREIGN KEY(target_id) REFERENCES target (id) ON DELETE CASCADE,
    CONSTRAINT fk_dataset_observation_id_observation
        FOREIGN KEY(observation_id) REFERENCES observation (id) ON DELETE CASCADE,
    CONSTRAINT fk_dataset_photometric_method_id_photometric_source
        FOREIGN KEY(photometric_method_id) REFERENCES photometric_source (id) ON DELETE CASCADE,
    CONSTRAINT fk_dataset_processing_method_id_processing_method
        FOREIGN KEY(processing_method_id) REFERENCES processing_method (id) ON DELETE CASCADE
);
CREATE INDEX ix_dataset_photometric_method_id ON dataset (photometric_method_id);
CREATE INDEX ix_dataset_observation_id ON dataset (observation_id);
CREATE INDEX ix_dataset_processing_method_id ON dataset (processing_method_id);
CREATE INDEX ix_dataset_target_id_observation_id ON dataset (target_id, observation_id);

CREATE TABLE quality_flag_array (
    id BIGSERIAL NOT NULL,
    type TEXT NOT NULL,
    observation_id INTEGER NOT NULL,
    target_id BIGINT,
    quality_flags INTEGER[] NOT NULL,
    created_on TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_quality_flag_array PRIMARY KEY (id),
    CONSTRAINT uq_quality_flag_array_type_observation_id_target_id
        UNIQUE NULLS NOT DISTINCT (type, observation_id, target_id),
    CONSTRAINT fk_quality_flag_array_observation_id_observation
        FOREIGN KEY(observation_id) REFERENCES observation (id) ON DELETE CASCADE,
    CONSTRAINT fk_quality_flag_array_target_id_target
        FOREIGN KEY(target_id) REFERENCES target (id) ON DELETE CASCADE
);
CREATE INDEX ix_quality_flag_array_target_id ON quality_flag_array (target_id);
CREATE INDEX ix_quality_flag_array_observation_id_target_id
        ON quality_flag_array (observation_id, target_id);

CREATE TABLE target_specific_time (
    id BIGSERIAL NOT NULL,
    target_id BIGINT NOT NULL,
    observation_id INTEGER NOT NULL,
    barycentric_julian_dates DOUBLE PRECISION[] NOT NULL,
    CONSTRAINT pk_target_specific_time PRIMARY KEY (id),
    CONSTRAINT fk_target_specific_time_target_id_target
        FOREIGN KEY(target_id) REFERENCES target (id) ON DELETE CASCADE,
    CONSTRAINT fk_target_specific_time_observation_id_observation
        FOREIGN KEY(observation_id) REFERENCES observation (id) ON DELETE CASCADE
);
CREATE INDEX ix_target_specific_time_observation_id ON target_specific_time (observation_id);
CREATE INDEX ix_target_specific_time_target_id_observation_id
        ON target_specific_time (target_id, observation_id);

CREATE TABLE datasethierarchy (
    id SERIAL NOT NULL,
    source_dataset_id INTEGER NOT NULL,
    child_dataset_id INTEGER NOT NULL,
    CONSTRAINT pk_datasethierarchy PRIMARY KEY (id),
    CONSTRAINT fk_datasethierarchy_source_dataset_id_dataset
        FOREIGN KEY(source_dataset_id) REFERENCES dataset (id) ON DELETE CASCADE,
    CONSTRAINT fk_datasethierarchy_child_dataset_id_dataset
        FOREIGN KEY(child_dataset_id) REFERENCES dataset (id) ON DELETE CASCADE
);
CREATE INDEX ix_datasethierarchy_child_dataset_id ON datasethierarchy (child_dataset_id);
CREATE INDEX ix_datasethierarchy_source_dataset_id ON datasethierarchy (source_dataset_id);
ALTER TABLE observation ALTER COLUMN cadence_reference SET STORAGE EXTERNAL;
ALTER TABLE observation ALTER COLUMN cadence_reference SET STATISTICS 0;
ALTER TABLE fits_frame ALTER COLUMN naxis_values SET STORAGE EXTERNAL;
ALTER TABLE fits_frame ALTER COLUMN naxis_values SET STATISTICS 0;
ALTER TABLE dataset ALTER COLUMN values SET STORAGE EXTERNAL;
ALTER TABLE dataset ALTER COLUMN values SET STATISTICS 0;
ALTER TABLE dataset ALTER COLUMN errors SET STORAGE EXTERNAL;
ALTER TABLE dataset ALTER COLUMN errors SET STATISTICS 0;
ALTER TABLE quality_flag_array ALTER COLUMN quality_flags SET STORAGE EXTERNAL;
ALTER TABLE quality_flag_array ALTER COLUMN quality_flags SET STATISTICS 0;
ALTER TABLE target_specific_time ALTER COLUMN barycentric_julian_dates SET STORAGE EXTERNAL;
ALTER TABLE target_specific_time ALTER COLUMN barycentric_julian_dates SET STATISTICS 0;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(STATEMENTS)
