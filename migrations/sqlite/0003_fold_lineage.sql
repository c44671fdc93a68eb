-- Folding becomes an op of the log, and epochs get a lineage: migrations/postgres explains each column. An SQLite file
-- has no timeline; its epoch changes by `revcast new-epoch` alone.
ALTER TABLE meta ADD COLUMN previous_epoch BLOB;
UPDATE meta
   SET epoch = (SELECT unhex(substr(a, 1, 12) || '4' || substr(a, 14, 3) || '8' || substr(a, 18))
                  FROM (SELECT hex(randomblob(16)) AS a));

ALTER TABLE heads ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;
ALTER TABLE heads ADD COLUMN epoch BLOB;
ALTER TABLE heads ADD COLUMN base INTEGER NOT NULL DEFAULT 0;
ALTER TABLE heads ADD COLUMN ts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE heads ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE heads
   SET ts = coalesce((SELECT max(o.ts) FROM ops o WHERE o.drawing_id = heads.drawing_id), 0),
       bytes = coalesce((SELECT sum(octet_length(o.body)) FROM ops o WHERE o.drawing_id = heads.drawing_id), 0);

INSERT INTO snapshot_waste (snapshot_id, drawing_id)
SELECT snapshot_id, drawing_id FROM snapshots UNION ALL SELECT snapshot_id, drawing_id FROM snapshot_claims;
DELETE FROM snapshots;
DELETE FROM snapshot_claims;
ALTER TABLE snapshots ADD COLUMN log_bytes INTEGER NOT NULL DEFAULT 0;
