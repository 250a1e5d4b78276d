-- The sector and orbit of an observation, as QLP stores them: a joined-table class over a table of orbits.
CREATE TABLE orbit (id serial PRIMARY KEY, sector int NOT NULL, orbit_number int NOT NULL UNIQUE);
CREATE INDEX ON orbit (sector);
CREATE TABLE tess_orbit_observation (id int PRIMARY KEY REFERENCES observation, orbit_id int NOT NULL REFERENCES orbit);
CREATE INDEX ON tess_orbit_observation (orbit_id);
