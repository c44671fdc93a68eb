-- The tables are those of migrations/postgres, where each is explained.
CREATE TABLE snapshots (
    drawing_id  BLOB NOT NULL REFERENCES drawings,
    revision    INTEGER NOT NULL,
    snapshot_id BLOB NOT NULL,
    checksum    TEXT NOT NULL,
    bytes       INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    CONSTRAINT snapshots_pkey PRIMARY KEY (drawing_id, revision),
    CONSTRAINT snapshots_snapshot_id_key UNIQUE (snapshot_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshot_claims (
    drawing_id  BLOB PRIMARY KEY NOT NULL REFERENCES drawings,
    snapshot_id BLOB NOT NULL,
    until       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshot_waste (
    snapshot_id BLOB PRIMARY KEY NOT NULL,
    drawing_id  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE drawings ADD COLUMN importing_since INTEGER;
CREATE INDEX drawings_importing_idx ON drawings (importing_since) WHERE importing_since IS NOT NULL;
