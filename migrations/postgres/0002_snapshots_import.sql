-- The snapshots of each drawing: the state at `revision` is the blob named `snapshot_id`.
CREATE TABLE snapshots (
    drawing_id  uuid NOT NULL REFERENCES drawings,
    revision    bigint NOT NULL,
    snapshot_id uuid NOT NULL,
    checksum    text NOT NULL,
    bytes       bigint NOT NULL,
    created_at  bigint NOT NULL,
    CONSTRAINT snapshots_pkey PRIMARY KEY (drawing_id, revision),
    CONSTRAINT snapshots_snapshot_id_key UNIQUE (snapshot_id)
);

-- Who builds the next one: a lease, whose id is that of the snapshot and of its blob.
CREATE TABLE snapshot_claims (
    drawing_id  uuid PRIMARY KEY REFERENCES drawings,
    snapshot_id uuid NOT NULL,
    until       bigint NOT NULL
);

-- Blobs to be removed, if they are there. Whoever removed one forgets its row.
CREATE TABLE snapshot_waste (
    snapshot_id uuid PRIMARY KEY,
    drawing_id  uuid NOT NULL
);

-- When the import of the drawing began; 0 once it is being undone; absent when the drawing is whole.
ALTER TABLE drawings ADD COLUMN importing_since bigint;
CREATE INDEX drawings_importing_idx ON drawings (importing_since) WHERE importing_since IS NOT NULL;
