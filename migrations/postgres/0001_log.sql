-- One row: what belongs to the database as a whole.
CREATE TABLE meta (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    epoch      uuid NOT NULL,
    -- Signs what only the servers of this database must recognize: tickets and development tokens.
    server_key uuid NOT NULL
);
INSERT INTO meta (epoch, server_key) VALUES (gen_random_uuid(), gen_random_uuid());

CREATE TABLE drawings (
    drawing_id uuid PRIMARY KEY,
    title      text NOT NULL,
    created_by text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    -- Set once and for ever: the id of a deleted drawing is never given again.
    deleted_at bigint,
    -- Whether the ops of a deleted drawing are gone.
    purged     boolean NOT NULL DEFAULT false
);
CREATE INDEX drawings_to_purge_idx ON drawings (drawing_id) WHERE deleted_at IS NOT NULL AND NOT purged;

-- The hot row of each drawing, apart from its metadata so that it stays small: a commit locks it,
-- numbers from it and updates it in place. A drawing without a head takes no ops.
CREATE TABLE heads (
    drawing_id uuid PRIMARY KEY REFERENCES drawings,
    revision   bigint NOT NULL DEFAULT 0,
    -- Whether the drawing ever had an object of kind fog, so that the others pay nothing for the rule.
    has_fog    boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);

CREATE TABLE ops (
    drawing_id uuid NOT NULL,
    revision   bigint NOT NULL,
    op_id      uuid NOT NULL,
    unit       uuid NOT NULL,
    actor      text COLLATE "C" NOT NULL,
    ts         bigint NOT NULL,
    body       text NOT NULL,
    CONSTRAINT ops_pkey PRIMARY KEY (drawing_id, revision),
    CONSTRAINT ops_op_id_key UNIQUE (drawing_id, op_id)
);

CREATE TABLE fog (
    drawing_id uuid NOT NULL,
    object_id  text COLLATE "C" NOT NULL,
    PRIMARY KEY (drawing_id, object_id)
);

CREATE TABLE members (
    drawing_id uuid NOT NULL REFERENCES drawings,
    user_id    text COLLATE "C" NOT NULL,
    role       text NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
    PRIMARY KEY (drawing_id, user_id)
);
CREATE INDEX members_user_id_idx ON members (user_id);

CREATE TABLE links (
    link_id    uuid PRIMARY KEY,
    token_hash text NOT NULL UNIQUE,
    drawing_id uuid NOT NULL REFERENCES drawings,
    role       text NOT NULL CHECK (role IN ('editor', 'viewer')),
    created_by text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint
);
CREATE INDEX links_drawing_id_idx ON links (drawing_id);

-- Appends one batch in which nothing is out of the ordinary, in one round trip. Whatever is (a
-- duplicate, a closed unit, a deleted drawing …) raises, nothing is written, and the caller takes
-- the road that looks at each op.
--
--   drawing_ids, counts, guarded   one entry a drawing, ascending by id: how many ops it gets, and
--                                  whether some of them may not touch fog
--   op_*                           one entry an op; op_drawing is an index into drawing_ids, op_nth
--                                  counts from 1 within the drawing
--   named_*                        one entry a unit that must be in the log already, begun by that actor
--   heads_before                   one entry a drawing: the head that the batch was appended to
CREATE FUNCTION append_ops(
    drawing_ids uuid[], counts bigint[], guarded boolean[],
    op_drawing int[], op_nth bigint[], op_ids uuid[], op_units uuid[], op_actors text[], op_bodies text[],
    named_drawing int[], named_units uuid[], named_actors text[],
    now_ms bigint,
    OUT epoch uuid, OUT heads_before bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    needs_care boolean;
BEGIN
    -- One look-up a drawing, in the order of the array: LATERAL with FOR UPDATE is neither reordered
    -- nor turned into a scan of all heads.
    SELECT array_agg(head.revision ORDER BY batch.nth),
           count(*) <> cardinality(drawing_ids) OR bool_or(head.has_fog AND batch.guarded)
      INTO heads_before, needs_care
      FROM unnest(drawing_ids, guarded) WITH ORDINALITY AS batch (drawing_id, guarded, nth)
     CROSS JOIN LATERAL (SELECT h.revision, h.has_fog
                           FROM heads h WHERE h.drawing_id = batch.drawing_id FOR UPDATE) AS head;

    IF NOT needs_care AND cardinality(named_units) > 0 THEN
        SELECT bool_or(o.op_id IS NULL OR o.unit <> o.op_id OR o.actor <> coalesce(named.actor, o.actor)
                       OR o.revision <= 1024 * greatest(0, (heads_before[named.drawing] + counts[named.drawing]) / 1024 - 1))
          INTO needs_care
          FROM unnest(named_drawing, named_units, named_actors) AS named (drawing, unit, actor)
          LEFT JOIN ops o ON o.drawing_id = drawing_ids[named.drawing] AND o.op_id = named.unit;
    END IF;

    IF needs_care THEN
        RAISE EXCEPTION 'the batch needs care' USING ERRCODE = 'RC001';
    END IF;

    INSERT INTO ops (drawing_id, revision, op_id, unit, actor, ts, body)
    SELECT drawing_ids[op.drawing], heads_before[op.drawing] + op.nth, op.op_id, op.unit, op.actor, now_ms, op.body
      FROM unnest(op_drawing, op_nth, op_ids, op_units, op_actors, op_bodies)
           AS op (drawing, nth, op_id, unit, actor, body);

    UPDATE heads h SET revision = batch.before + batch.n
      FROM unnest(drawing_ids, heads_before, counts) AS batch (drawing_id, before, n)
     WHERE h.drawing_id = batch.drawing_id;

    SELECT m.epoch INTO epoch FROM meta m;
END
$$;
