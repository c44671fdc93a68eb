-- The tables are those of migrations/postgres, where each is explained.
CREATE TABLE meta (
    singleton  INTEGER PRIMARY KEY DEFAULT 1 CHECK (singleton = 1),
    epoch      BLOB NOT NULL,
    server_key BLOB NOT NULL
) STRICT;
-- Random bytes with the version and variant of a UUID v4: 4 and 8 in the leading bits of bytes 6 and 8.
INSERT INTO meta (epoch, server_key)
SELECT unhex(substr(a, 1, 12) || '4' || substr(a, 14, 3) || '8' || substr(a, 18)),
       unhex(substr(b, 1, 12) || '4' || substr(b, 14, 3) || '8' || substr(b, 18))
  FROM (SELECT hex(randomblob(16)) AS a, hex(randomblob(16)) AS b);

CREATE TABLE drawings (
    drawing_id BLOB PRIMARY KEY NOT NULL,
    title      TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    deleted_at INTEGER,
    purged     INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX drawings_to_purge_idx ON drawings (drawing_id) WHERE deleted_at IS NOT NULL AND NOT purged;

CREATE TABLE heads (
    drawing_id BLOB PRIMARY KEY NOT NULL REFERENCES drawings,
    revision   INTEGER NOT NULL DEFAULT 0,
    has_fog    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE ops (
    drawing_id BLOB NOT NULL,
    revision   INTEGER NOT NULL,
    op_id      BLOB NOT NULL,
    unit       BLOB NOT NULL,
    actor      TEXT NOT NULL,
    ts         INTEGER NOT NULL,
    body       TEXT NOT NULL,
    CONSTRAINT ops_pkey PRIMARY KEY (drawing_id, revision),
    -- The op_id first: ids made at one time lie together, so that a batch over many drawings touches few pages.
    CONSTRAINT ops_op_id_key UNIQUE (op_id, drawing_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE fog (
    drawing_id BLOB NOT NULL,
    object_id  TEXT NOT NULL,
    PRIMARY KEY (drawing_id, object_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    drawing_id BLOB NOT NULL REFERENCES drawings,
    user_id    TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
    PRIMARY KEY (drawing_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_user_id_idx ON members (user_id);

CREATE TABLE links (
    link_id    BLOB PRIMARY KEY NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    drawing_id BLOB NOT NULL REFERENCES drawings,
    role       TEXT NOT NULL CHECK (role IN ('editor', 'viewer')),
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX links_drawing_id_idx ON links (drawing_id);
