-- Folding becomes an op of the log, and epochs get a lineage. All nodes have to be stopped: those of the version before
-- fold by another rule, and find no `append_ops` of theirs any more.

-- The epoch before, if this one goes on with its line: positions of it up to `base` (below) are good still. And the
-- timeline of Postgres to which the epoch belongs; NULL as long as nobody could tell it.
ALTER TABLE meta ADD COLUMN previous_epoch uuid, ADD COLUMN timeline integer;
-- Positions under the old rule of folding are no positions under the new one.
UPDATE meta SET epoch = gen_random_uuid();

ALTER TABLE heads
    -- The floor of the latest fold: units that began at or below it are closed.
    ADD COLUMN floor bigint NOT NULL DEFAULT 0,
    -- The epoch of the latest append; NULL before the first one.
    ADD COLUMN epoch uuid,
    -- The revision that the drawing had before the first append in `epoch`. Where `epoch` is not that of `meta`, nothing has
    -- been appended since that began, and the base is the head.
    ADD COLUMN base bigint NOT NULL DEFAULT 0,
    -- The time of the latest op: none is earlier than the one before.
    ADD COLUMN ts bigint NOT NULL DEFAULT 0,
    -- The bytes of all ops as they came, from which it follows when a snapshot is due.
    ADD COLUMN bytes bigint NOT NULL DEFAULT 0;
UPDATE heads h SET ts = log.ts, bytes = log.bytes
  FROM (SELECT drawing_id, max(ts) AS ts, sum(octet_length(body)) AS bytes FROM ops GROUP BY drawing_id) AS log
 WHERE log.drawing_id = h.drawing_id;

-- Snapshots of the old format are given up.
INSERT INTO snapshot_waste (snapshot_id, drawing_id)
SELECT snapshot_id, drawing_id FROM snapshots UNION ALL SELECT snapshot_id, drawing_id FROM snapshot_claims;
DELETE FROM snapshots;
DELETE FROM snapshot_claims;
-- What `heads.bytes` was at the revision of the snapshot.
ALTER TABLE snapshots ADD COLUMN log_bytes bigint NOT NULL;

-- The timeline of the current WAL position, which grows with each promotion. NULL where this role may not ask, or this
-- Postgres does not tell. Not `pg_control_checkpoint`, which tells the one before until the first checkpoint.
CREATE FUNCTION current_timeline() RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    RETURN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer;
EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_function
            OR object_not_in_prerequisite_state THEN
    RETURN NULL;
END
$$;

-- The epoch in which whatever numbers something does so, in its transaction. After a promotion it is a new one that goes
-- on with the line, made by whoever comes first; the others wait for that one and find it done.
CREATE FUNCTION current_epoch(OUT epoch uuid, OUT previous_epoch uuid) LANGUAGE plpgsql AS $$
DECLARE
    timeline_now integer := current_timeline();
    timeline_known integer;
BEGIN
    SELECT m.epoch, m.previous_epoch, m.timeline INTO epoch, previous_epoch, timeline_known FROM meta m;
    IF timeline_now IS NULL OR timeline_now = timeline_known THEN
        RETURN;
    END IF;
    SELECT m.timeline INTO timeline_known FROM meta m FOR UPDATE;
    IF timeline_known IS NULL THEN
        UPDATE meta SET timeline = timeline_now;
    ELSIF timeline_known <> timeline_now THEN
        UPDATE meta m SET previous_epoch = m.epoch, epoch = gen_random_uuid(), timeline = timeline_now;
    END IF;
    SELECT m.epoch, m.previous_epoch INTO epoch, previous_epoch FROM meta m;
END
$$;

DROP FUNCTION append_ops(uuid[], bigint[], boolean[], int[], bigint[], uuid[], uuid[], text[], text[], int[], uuid[], text[], bigint);

-- Appends one batch in which nothing is out of the ordinary, in one round trip. Whatever is (a
-- duplicate, a closed unit, a deleted drawing …) raises, nothing is written, and the caller takes
-- the road that looks at each op.
--
--   drawing_ids, counts, sizes, guarded   one entry a drawing, ascending by id: how many ops it gets, how
--                                  many bytes these have, and whether some of them may not touch fog
--   op_*                           one entry an op; op_drawing is an index into drawing_ids, op_nth
--                                  counts from 1 within the drawing
--   named_*                        one entry a unit that must be in the log already, begun by that actor
--   epochs                         those that some of the requests insist on
--   heads_before, floors, times    one entry a drawing: the head that the batch was appended to, the floor
--                                  there, and the time of the ops
CREATE FUNCTION append_ops(
    drawing_ids uuid[], counts bigint[], sizes bigint[], guarded boolean[],
    op_drawing int[], op_nth bigint[], op_ids uuid[], op_units uuid[], op_actors text[], op_bodies text[],
    named_drawing int[], named_units uuid[], named_actors text[],
    epochs uuid[], now_ms bigint,
    OUT log_epoch uuid, OUT heads_before bigint[], OUT floors bigint[], OUT times bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    needs_care boolean;
BEGIN
    -- One look-up a drawing, in the order of the array: LATERAL with FOR UPDATE is neither reordered
    -- nor turned into a scan of all heads.
    SELECT array_agg(head.revision ORDER BY batch.nth), array_agg(head.floor ORDER BY batch.nth),
           array_agg(greatest(head.ts, now_ms) ORDER BY batch.nth),
           count(*) <> cardinality(drawing_ids) OR bool_or(head.has_fog AND batch.guarded)
      INTO heads_before, floors, times, needs_care
      FROM unnest(drawing_ids, guarded) WITH ORDINALITY AS batch (drawing_id, guarded, nth)
     CROSS JOIN LATERAL (SELECT h.revision, h.has_fog, h.floor, h.ts
                           FROM heads h WHERE h.drawing_id = batch.drawing_id FOR UPDATE) AS head;

    IF NOT needs_care AND cardinality(named_units) > 0 THEN
        SELECT bool_or(o.op_id IS NULL OR o.unit <> o.op_id OR o.actor <> coalesce(named.actor, o.actor)
                       OR o.revision <= floors[named.drawing])
          INTO needs_care
          FROM unnest(named_drawing, named_units, named_actors) AS named (drawing, unit, actor)
          LEFT JOIN ops o ON o.drawing_id = drawing_ids[named.drawing] AND o.op_id = named.unit;
    END IF;

    SELECT now.epoch INTO log_epoch FROM current_epoch() AS now;

    IF needs_care OR log_epoch <> ANY (epochs) THEN
        RAISE EXCEPTION 'the batch needs care' USING ERRCODE = 'RC001';
    END IF;

    INSERT INTO ops (drawing_id, revision, op_id, unit, actor, ts, body)
    SELECT drawing_ids[op.drawing], heads_before[op.drawing] + op.nth, op.op_id, op.unit, op.actor, times[op.drawing],
           op.body
      FROM unnest(op_drawing, op_nth, op_ids, op_units, op_actors, op_bodies)
           AS op (drawing, nth, op_id, unit, actor, body);

    UPDATE heads h
       SET revision = batch.before + batch.n, ts = batch.ts, bytes = h.bytes + batch.size,
           base = CASE WHEN h.epoch = log_epoch THEN h.base ELSE h.revision END, epoch = log_epoch
      FROM unnest(drawing_ids, heads_before, counts, times, sizes) AS batch (drawing_id, before, n, ts, size)
     WHERE h.drawing_id = batch.drawing_id;
END
$$;
