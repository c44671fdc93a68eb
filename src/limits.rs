//! The sizes, counts and timeouts that clients meet or operators set, and those that several parts share, by name.
//!
//! Owns the figures that clients are told and the bounds behind them; what tunes one piece of code stands beside that
//! code. It never reads configuration: what an operator may change lives in `config` and starts from these values.

use std::time::Duration;

// --- What a client may send -------------------------------------------------------------------

/// Largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// Most ops in one `POST …/ops`.
pub const MAX_OPS_PER_REQUEST: usize = 500;
/// Largest op, in bytes of compact JSON.
pub const MAX_OP_BYTES: usize = 64 * 1024;
/// Most points in one stroke op.
pub const MAX_POINTS_PER_OP: usize = 2_000;
/// Most objects in one `object.delete`.
pub const MAX_OBJECT_IDS_PER_OP: usize = 1_000;
/// Largest `meta` of an op, in bytes of compact JSON.
pub const MAX_META_BYTES: usize = 1_024;
/// Deepest nesting of arrays and objects inside one op. Parsers of readers stop at 64 to 128
/// levels, and an op travels a few levels deep inside its frame.
pub const MAX_JSON_DEPTH: usize = 32;
/// Largest magnitude of an integer literal: beyond it an IEEE double loses whole numbers.
pub const MAX_INTEGER: u64 = 1 << 53;
/// Longest `object_id`, in characters of `A–Z a–z 0–9 _ -`.
pub const MAX_OBJECT_ID_CHARS: usize = 64;
/// Longest user id (`sub` of a token), in characters.
pub const MAX_USER_ID_CHARS: usize = 128;
/// Longest display name in a token, in characters.
pub const MAX_USER_NAME_CHARS: usize = 128;
/// Longest `kind`, `tool` and `<name>` of `custom.<name>`, in characters.
pub const MAX_NAME_CHARS: usize = 32;
/// Longest `client_id`, in characters.
pub const MAX_CLIENT_ID_CHARS: usize = 64;
/// Longest `z`, in characters: room for thousands of insertions between two neighbours.
pub const MAX_Z_CHARS: usize = 256;
/// Longest title of a drawing, in characters.
pub const MAX_TITLE_CHARS: usize = 200;
/// Most faulty ops described in one problem body.
pub const MAX_REPORTED_FAULTS: usize = 16;

// --- Reading ------------------------------------------------------------------------------------

/// Ops read first of a page: their size tells how many of the rest fit into it.
pub const PAGE_PROBE_OPS: u32 = 64;
/// Most ops in one page of `GET …/ops`.
pub const MAX_PAGE_OPS: u32 = 1_000;
/// Largest page of `GET …/ops`, in bytes of its JSON, unless it holds one op alone.
pub const MAX_PAGE_BYTES: usize = 1 << 20;
/// What a page says besides its ops, at most, in bytes of its JSON.
pub const PAGE_ENVELOPE_BYTES: usize = 288;
/// How often it is logged that the log of one drawing is damaged.
pub const LOG_DAMAGE_TOLD_EVERY: Duration = Duration::from_secs(60);
/// Drawings of which that is logged in the same time; of further ones it is only counted.
pub const LOG_DAMAGE_TOLD: usize = 1_024;
/// Longest id of a request that is taken over from a client.
pub const MAX_REQUEST_ID_BYTES: usize = 64;
/// Longest header `Host`.
pub const MAX_HOST_BYTES: usize = 300;
/// Longest name of a node.
pub const MAX_NODE_NAME_CHARS: usize = 64;
/// Longest `wait` of a long-poll, in seconds.
pub const MAX_LONG_POLL_SECONDS: u64 = 30;
/// Drawings in one page of `GET /drawings`, at most and by default.
pub const MAX_DRAWINGS_PAGE: u32 = 100;
/// Farthest behind the head that a subscription is filled up over the socket, in ops.
pub const RESUME_LIMIT: u64 = 1_000;
/// Responses larger than this are compressed, in bytes.
pub const COMPRESS_ABOVE_BYTES: u64 = 1_024;

// --- Verifying ----------------------------------------------------------------------------------

/// Findings that are told of one drawing; the others are counted.
pub const VERIFY_FINDINGS: usize = 1_000;

// --- Undo and folding -----------------------------------------------------------------------------

/// What the open history of a drawing may weigh before it is folded, in bytes, by default: twice its open writes as registers
/// spell them, and [`OPEN_UNIT_WEIGHT`] for each open unit.
pub const UNDO_BUDGET: u64 = 4 << 20;
/// What an open unit weighs beside its writes, in bytes.
pub const OPEN_UNIT_WEIGHT: u64 = 128;
/// Revisions that stay open below the head whatever they weigh, unless the hard bound is passed.
pub const FOLD_KEEPS_REVISIONS: u64 = 4_096;
/// How long a unit stays open that took an op, an undo or a redo.
pub const FOLD_KEEPS_TOUCHED: Duration = Duration::from_secs(600);
/// The hard bound: so many budgets …
pub const FOLD_HARD_BUDGETS: u64 = 4;
/// … or so many open units, from which on a unit stays open for [`FOLD_HARD_KEEPS`] only.
pub const FOLD_HARD_UNITS: usize = 65_536;
/// How long a unit stays open in any case.
pub const FOLD_HARD_KEEPS: Duration = Duration::from_secs(120);
/// From so many budgets on …
pub const FOLD_LAST_BUDGETS: u64 = 64;
/// … or so many open units, a unit that began more than [`FOLD_KEEPS_TOUCHED`] ago is held open no more by what it took
/// later: else one who touches an old unit time and again would keep all of the log open.
pub const FOLD_LAST_UNITS: usize = 262_144;
/// Open revisions at which the node that commits folds by itself, where no worker has looked at the drawing …
pub const FOLD_UNATTENDED_OPEN: u64 = 262_144;
/// … and how many of them it leaves open.
pub const FOLD_UNATTENDED_KEEPS: u64 = 131_072;
/// Revisions after which it looks again.
pub const FOLD_UNATTENDED_STEP: u64 = 4_096;
/// Drawings whose folding may wait on a node; what comes beyond that is found at the next snapshot, or the next step.
pub const FOLD_QUEUE: usize = 64;

/// Most requests that write that an address may be allowed each second.
pub const MAX_ADDRESS_RATE: u32 = 1_000_000;
/// Of how many such requests a new socket or event stream is worth as much: so many fewer may come.
pub const ADDRESS_WRITES_PER_CONNECTION: u32 = 4;
/// The same of a drawing that is made.
pub const ADDRESS_WRITES_PER_DRAWING: u32 = 20;
/// The same of a token that is not valid.
pub const ADDRESS_WRITES_PER_FAILURE: u32 = 20;
/// Addresses that are known at once.
pub const ADDRESSES: usize = 65_536;
/// Leading bits of an IPv6 address that count: a customer has all addresses that begin with them.
pub const ADDRESS_IPV6_BITS: u8 = 64;

/// Drawings that a user may have made and not deleted, by default.
pub const DRAWINGS_PER_USER: u32 = 10_000;

/// Bytes of ops that a drawing takes each second from all its users, by default, and how many seconds' worth may come at
/// once.
pub const DRAWING_BYTES_PER_SECOND: u32 = 1 << 20;
/// See [`DRAWING_BYTES_PER_SECOND`].
pub const DRAWING_BYTES_BURST: u32 = 16;
/// Undo units that may begin in a drawing each second, of all its users, by default, and how many seconds' worth at once.
pub const DRAWING_UNITS_PER_SECOND: u32 = 600;
/// See [`DRAWING_UNITS_PER_SECOND`].
pub const DRAWING_UNITS_BURST: u32 = 30;
/// Highest limit of a drawing that can be configured.
pub const MAX_DRAWING_RATE: i64 = 100_000_000;
/// How far the times of an imported log may be ahead of the clock, in milliseconds: a day.
pub const MAX_IMPORT_AHEAD_MS: i64 = 86_400_000;

// --- Canvases and snapshots ---------------------------------------------------------------------

/// Revisions by which a head is ahead of its newest snapshot when the next one is built, by default.
pub const SNAPSHOT_EVERY: u64 = 500;
/// How long the claim of a worker on a snapshot holds unless it is renewed.
pub const SNAPSHOT_LEASE: Duration = Duration::from_secs(60);
/// Newest snapshots of a drawing that are kept.
pub const SNAPSHOTS_KEPT: usize = 3;
/// Longest way from one snapshot that is kept to the next, and from the beginning to the first: older ones stay for that,
/// and on a longer way to the head a worker builds one after each. Only a damaged one makes it longer.
pub const SNAPSHOT_STRETCH: u64 = 10_000;
/// Snapshots that are looked at to find those that are superseded. Older ones have been looked at before.
pub const SNAPSHOT_RETENTION_LOOK: u32 = 64;
/// Pause of a worker after a snapshot that could not be built.
pub const SNAPSHOT_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Blobs removed at a time, and claims that have run out.
pub const SNAPSHOT_WASTE_BATCH: u32 = 100;
/// Age at which waste is forgotten that no node has found in a folder of its own.
pub const LOCAL_WASTE_MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// Level of compression of snapshots, 1 to 9: the fastest, which is also that of the wire.
pub const SNAPSHOT_GZIP_LEVEL: u32 = 1;
/// Largest snapshot that is read, in bytes of JSON.
pub const MAX_SNAPSHOT_JSON_BYTES: u64 = 2 << 30;
/// Longest log that is replayed from its first op while the snapshots cannot be read, in ops.
pub const REPLAY_WITHOUT_SNAPSHOT_OPS: u64 = 20_000;
/// Largest snapshot that is written or read, in bytes as it lies in the blob store.
pub const MAX_SNAPSHOT_BYTES: usize = 1 << 30;
/// Time for one call of the blob store, attempts included: the largest snapshot takes 34 MiB a second.
pub const BLOB_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for the blob store to begin its answer to a read, attempts included. A request that waits for it has time
/// left to do without.
pub const BLOB_ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
/// Longest time until a read that is not answered has shown whether the store as a whole is away, which a probe tells.
pub const BLOB_VERDICT_TIMEOUT: Duration = BLOB_ANSWER_TIMEOUT.saturating_add(BLOB_PROBE_TIMEOUT);
/// How long requests do without snapshots, after a read that the blob store did not answer, before one tries again.
pub const BLOB_READ_PAUSE: Duration = Duration::from_secs(1);
/// Time for the blob store to answer `/readyz`.
pub const BLOB_PROBE_TIMEOUT: Duration = READY_TIMEOUT;
/// Memory for canvases on one node, in bytes, by default. Half of it is for those that are kept, of which the least useful
/// goes and is loaded again, an eighth for pictures that are kept, the rest for what is being loaded, rendered and sent.
pub const CANVAS_MEMORY: u64 = 192 << 20;
/// Least memory for canvases that can be configured.
pub const MIN_CANVAS_MEMORY: u64 = 16 << 20;
/// How long a request waits for memory or for its turn to load a canvas before it is answered `503 overloaded`: longer than
/// whoever is at it waits for a blob store that does not answer, and shorter than it has for all of its answer.
pub const CANVAS_PATIENCE: Duration = Duration::from_secs(8);
const _: () = assert!(BLOB_VERDICT_TIMEOUT.as_secs() + 1 < CANVAS_PATIENCE.as_secs());
const _: () = assert!(CANVAS_PATIENCE.as_secs() + 1 < REQUEST_TIMEOUT.as_secs());
/// How long a canvas or a picture is kept that nobody asks for.
pub const CANVAS_IDLE: Duration = Duration::from_secs(60);
/// What the allocator is taken to add to a canvas, as a part of its weight: one byte of so many.
pub const CANVAS_OVERHEAD: u64 = 4;
/// Canvases that one node is expected to keep; sizes the tables of the caches.
pub const CANVAS_CACHE_ENTRIES: usize = 10_000;
/// What the place of a drawing counts for beside its canvas, in bytes: its locks, its histories, its entry.
pub const SLOT_WEIGHT: u64 = 1_024;
/// Canvases that are loaded from nothing at the same time; others wait.
pub const CANVAS_LOADS: usize = 4;
/// Canvases of the past that are loaded at the same time.
pub const PAST_LOADS: usize = 2;
/// Requests for canvases of the past that are loaded or wait for that; further ones are answered `503 overloaded`.
pub const PAST_QUEUE: usize = 64;
/// Pictures that are drawn for exports at the same time; others wait.
pub const EXPORT_DRAWINGS: usize = 2;

// --- Writing ------------------------------------------------------------------------------------

/// Requests that may wait for one writer; further ones are answered `503 overloaded`.
pub const COMMIT_QUEUE_REQUESTS: usize = 4_096;
/// Bytes of ops that may wait for all writers together.
pub const COMMIT_QUEUE_BYTES: usize = 64 << 20;
/// Most requests in one batch.
pub const MAX_BATCH_REQUESTS: usize = 512;
/// Ops at which a batch is full; the request that crosses it still belongs to it.
pub const MAX_BATCH_OPS: usize = 2_000;
/// Attempts to write one batch when the store breaks the connection or reports a deadlock.
pub const COMMIT_ATTEMPTS: u32 = 3;
/// Age at which a batch is not attempted again: its clients are better told to come back.
pub const COMMIT_PATIENCE: Duration = Duration::from_secs(2);
/// Writes a user may send each second, by default: requests.
pub const WRITE_REQUESTS_PER_SECOND: u32 = 100;
/// Writes a user may send each second, by default: ops.
pub const WRITE_OPS_PER_SECOND: u32 = 2_000;

// --- Identity -----------------------------------------------------------------------------------

/// How long a ticket opens a socket.
pub const TICKET_TTL: Duration = Duration::from_secs(60);
/// How long a role may be served from the cache of a node.
pub const ROLE_CACHE_TTL: Duration = Duration::from_secs(1);
/// Between two looks at the roles of all readers, so that one who lost theirs hears no more within a second, whatever
/// became of the message that says so.
pub const ROLE_CHECK_INTERVAL: Duration = Duration::from_millis(700);
/// Roles one node remembers.
pub const ROLE_CACHE_ENTRIES: usize = 100_000;
/// Verified tokens one node remembers.
pub const TOKEN_CACHE_ENTRIES: usize = 20_000;
/// Longest bearer token or ticket that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Life of a development token, by default and at most.
pub const DEV_TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);
/// Tolerated difference between the clocks of the token's issuer and ours.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(10);
/// Shortest time between two reads of the JWKS document, however many unknown `kid`s arrive.
pub const JWKS_MIN_REFRESH: Duration = Duration::from_secs(10);
/// Age at which the JWKS document is read again. A token that was verified before its key was withdrawn
/// stays verified until it expires.
pub const JWKS_MAX_AGE: Duration = Duration::from_secs(600);
/// Time to fetch the JWKS document, from the connection to its last byte.
pub const JWKS_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest JWKS document, in bytes.
pub const MAX_JWKS_BYTES: usize = 1 << 20;
/// Most keys in it, of whatever kind.
pub const MAX_JWKS_KEYS: usize = 256;
/// Shortest HS256 secret that is accepted, in bytes (RFC 7518 §3.2).
pub const MIN_SECRET_BYTES: usize = 32;

// --- Bus and rooms ------------------------------------------------------------------------------

/// Messages that may wait to be published; further ones are dropped and counted.
pub const PUBLISH_QUEUE_MESSAGES: usize = 2_048;
/// Largest bus message; a larger range is published as its revisions alone. With the queue above it
/// bounds what waits for a slow bus to 256 MiB; NATS itself takes 1 MiB.
pub const MAX_BUS_MESSAGE_BYTES: usize = 128 * 1024;
/// Messages one subscription may hold before it is told that it lagged.
pub const SUBSCRIPTION_MESSAGES: usize = 4_096;
/// How long a room waits for the bus to confirm its subscription before it goes on without.
pub const BUS_CONFIRM_TIMEOUT: Duration = Duration::from_millis(500);
/// Roles of live readers that are looked up in one query.
pub const ROLE_CHECK_BATCH: usize = 4_096;
/// Time for the first connection to NATS; the server starts degraded after it.
pub const NATS_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a node reads the heads of its live rooms, by default.
pub const HEARTBEAT: Duration = Duration::from_secs(2);
/// Age at which what a room told its readers is forgotten, at the next heartbeat.
pub const RING_MAX_AGE: Duration = Duration::from_secs(60);
/// Ops that a room reads at once, to close a hole or to fill up those who join.
pub const ROOM_READ_OPS: u32 = 2_000;
/// Most bytes of ops in such a read, unless it is one op alone.
pub const ROOM_READ_BYTES: usize = 2 << 20;
/// Readers that are told by the first broadcaster of a room before the next one helps.
pub const BROADCAST_ALONE: usize = 128;
/// Broadcasters of one room, at most: as many as there are cores, up to this.
pub const BROADCASTERS_MAX: usize = 8;
/// Readers that a broadcaster tells before it lets other tasks run.
pub const BROADCAST_STRIDE: usize = 64;
/// Readers that are told of presence before a broadcaster looks for ops, which go first.
pub const PRESENCE_STRIDE: usize = 16;
/// The share of its readers, one in so many, that a broadcaster tells of presence after each round of ops,
/// however many ops there are.
pub const PRESENCE_SHARE: usize = 8;
/// How often a broadcaster without news looks for readers that are gone.
pub const BROADCAST_PURGE: Duration = Duration::from_secs(5);
/// Age at which a hole in a room is read from the store.
pub const HOLE_PATIENCE: Duration = Duration::from_millis(50);
/// Pause after a failed read of a room before the next attempt.
pub const REPAIR_RETRY: Duration = Duration::from_millis(200);
/// How long a room takes a hole in the log for unmended, and asks the store no more for what lies before it.
pub const LOG_DAMAGE_MEMORY: Duration = Duration::from_secs(10);
/// Ops that may wait behind a hole; beyond it they are dropped and read from the store instead.
pub const MAX_PENDING_OPS: usize = 1_000;
/// Bytes of sealed frames one room keeps; a reader behind them is told `reset {lagged}`.
pub const ROOM_RING_BYTES: usize = 4 << 20;
/// Size at which a frame is sealed, in bytes.
pub const MAX_FRAME_BYTES: usize = 256 * 1024;
/// Size up to which small frames are joined for a reader that catches up, in bytes.
pub const GATHERED_BYTES: usize = 64 * 1024;
/// Frames so joined that a room keeps for the next reader at the same place.
pub const GATHERED_FRAMES: usize = 4;
/// Drawings that a node follows at once, by default.
pub const MAX_ROOMS: u32 = 50_000;
/// Rooms without readers that end at once when a node is full and somebody wants another one.
pub const ROOM_EVICTIONS: usize = 64;
/// How long nobody looks for such after none was found.
pub const ROOM_EVICTION_PAUSE: Duration = Duration::from_millis(100);
/// How long a room without readers keeps following its drawing.
pub const ROOM_LINGER: Duration = Duration::from_secs(10);

// --- Presence -----------------------------------------------------------------------------------

/// Largest presence state of one connection, in bytes of compact JSON.
pub const MAX_PRESENCE_STATE_BYTES: usize = 1_024;
/// Presence states a user may post over HTTP each second.
pub const PRESENCE_POSTS_PER_SECOND: u32 = 60;
/// Presence states of one connection that can be told each second, at most; the last one counts.
pub const PRESENCE_PER_SECOND: u32 = 60;
/// How often the readers of a room hear of presence, by the larger of its numbers of present connections
/// and of readers on the node: up to so many, so often. A diff goes to every reader and may hold everybody,
/// so the work of a second grows with the square of the room; longer pauses take a part of that back.
pub const PRESENCE_INTERVALS: [(usize, Duration); 5] = [
    (100, Duration::from_millis(33)),
    (500, Duration::from_millis(66)),
    (2_000, Duration::from_millis(125)),
    (5_000, Duration::from_millis(250)),
    (usize::MAX, Duration::from_millis(500)),
];
/// Presences that one node keeps for one room; further ones are refused.
pub const PRESENCE_MAX_LOCAL: usize = 10_000;
/// How long a connection stays present after its socket has dropped.
pub const PRESENCE_GRACE: Duration = Duration::from_secs(10);
/// How long a state that was posted over HTTP lasts.
pub const PRESENCE_HTTP_TTL: Duration = Duration::from_secs(30);
/// How often a lane looks for what has expired.
pub const PRESENCE_TICK: Duration = Duration::from_secs(1);
/// How often a node with present connections tells the others that it lives.
pub const PRESENCE_ALIVE: Duration = Duration::from_secs(3);
/// Silence after which a node and its presences are taken for gone.
pub const PRESENCE_NODE_TTL: Duration = Duration::from_secs(10);
/// Shortest time between two questions to one node for all its presences.
pub const PRESENCE_ASK_EVERY: Duration = Duration::from_secs(1);
/// Shortest time between two answers of a node with all its presences of one room.
pub const PRESENCE_FULL_EVERY: Duration = Duration::from_secs(1);
/// Most bus messages that such an answer may take. `PRESENCE_MAX_LOCAL` presences, all with the longest
/// user id, name and state, are cut into some 420.
pub const PRESENCE_MAX_PARTS: u32 = 512;
/// Departures a room remembers; a reader that lacks older ones needs the whole roster.
pub const PRESENCE_TOMBSTONES: usize = 8_192;
/// Diffs to the latest state that a room keeps rendered, for readers that stand at different versions.
pub const PRESENCE_CACHED_DIFFS: usize = 8;
/// Present connections up to which every reader is told of all of them, whatever its viewport.
pub const PRESENCE_VIEWPORT_ABOVE: usize = 200;
/// Connections outside its viewport that a reader is told of: the nearest.
pub const PRESENCE_NEAREST: usize = 50;
/// How long a new lane waits for other nodes before it answers for all of them.
pub const PRESENCE_SYNC_WAIT: Duration = Duration::from_millis(150);
/// Longest wait of a request for the roster to be complete; it is answered with what is there then.
pub const PRESENCE_SYNC_TIMEOUT: Duration = Duration::from_secs(1);

// --- Sockets ------------------------------------------------------------------------------------

/// Drawings one socket may follow.
pub const MAX_SUBSCRIPTIONS: usize = 64;
/// Subscriptions of one socket that may wait for their place, those included that were given up meanwhile.
pub const MAX_JOINS: usize = 4 * MAX_SUBSCRIPTIONS;
/// Largest message a client may send, in bytes: the sum of its frames, and inflated.
pub const MAX_CLIENT_FRAME_BYTES: usize = 64 * 1024;
/// Most frames that one message of a client may come in: empty ones would never end it.
pub const MAX_CLIENT_FRAGMENTS: u16 = 1_024;
/// Time for a client to send one message, from its first byte to its last, whatever control frames come in between.
pub const CLIENT_MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages a client may send each second, presence aside.
pub const CLIENT_MESSAGES_PER_SECOND: u32 = 200;
/// How often the server pings a socket.
pub const PING_INTERVAL: Duration = Duration::from_secs(25);
/// Time for a client to be heard after a ping: with the interval above, the 60 s of silence after which a
/// socket is closed.
pub const PONG_TIMEOUT: Duration = Duration::from_secs(35);
/// How long a socket may take nothing, while there is something for it, before it is closed as too slow.
pub const SOCKET_STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a socket may stay behind after it was told that it lagged, before it is closed as too slow.
pub const SOCKET_LAG_TIMEOUT: Duration = Duration::from_secs(10);
/// What a socket that is behind is sent in one turn, in bytes, before other tasks run.
pub const SOCKET_TURN_BYTES: usize = 1 << 20;
/// Answers that may wait for a socket that is behind; with as many its client is not read from.
pub const SOCKET_ANSWERS: usize = 64;
/// The same in bytes.
pub const SOCKET_ANSWER_BYTES: usize = 128 * 1024;
/// Largest roster that `subscribed` bears, in bytes; a larger one follows as the first `presence`, whose
/// bytes are shared.
pub const MAX_ROSTER_BYTES: usize = 16 * 1024;
/// Send buffer of the kernel for one socket, in bytes: what a stalled reader holds there.
pub const SOCKET_SEND_BUFFER_BYTES: usize = 256 * 1024;
/// What a client may send each second, presence and control frames included: each frame counts 1, and so
/// does each KiB.
pub const CLIENT_FRAMES_PER_SECOND: u32 = 1_000;
/// Open sockets, event streams and waiting long-polls of one user on one node, by default.
pub const CONNECTIONS_PER_USER: u32 = 100;
/// Handshakes a node takes each second, by default; as many may come at once.
pub const HANDSHAKES_PER_SECOND: u32 = 10_000;
/// Size of a message above which it is compressed for those who negotiated it, in bytes.
pub const DEFLATE_ABOVE_BYTES: usize = 256;
/// How often all connections are looked at: pings, expiry, silence, slowness.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// How often an event stream without events bears a comment at least.
pub const EVENTS_COMMENT_INTERVAL: Duration = Duration::from_secs(15);
/// When a browser opens an event stream again that ended.
pub const EVENTS_RETRY: Duration = Duration::from_secs(1);
/// How long a connection may take to become a socket once that was agreed on.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a closing socket may take to say goodbye.
pub const SOCKET_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Buffer for reading from sockets, in bytes; each thread has one.
pub const SOCKET_READ_BUFFER_BYTES: usize = 16 * 1024;
/// Longest window over which the clients of a stopping node may be asked to leave, and longest notice before it.
pub const MAX_DRAIN_WINDOW: Duration = Duration::from_secs(60);

// --- Process ------------------------------------------------------------------------------------

/// Shortest and longest period that a flag may give.
pub const MIN_PERIOD: Duration = Duration::from_millis(10);
/// See [`MIN_PERIOD`]: ten years.
pub const MAX_PERIOD: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Connections waiting to be accepted by the listener (a reconnect storm overflows the usual 1,024).
pub const LISTEN_BACKLOG: u32 = 4_096;
/// Connections one node serves at once, at most, and as far as its descriptors go; further ones are told that it is
/// overloaded.
pub const MAX_CONNECTIONS: usize = 50_000;
/// The same, at least, however few descriptors there are.
pub const MIN_CONNECTIONS: usize = 16;
/// Connections beyond those that are served, which are told so; further ones wait in the backlog.
pub const SPARE_CONNECTIONS: usize = 16;
/// Time for a request on such a connection and its answer.
pub const SPARE_TIMEOUT: Duration = Duration::from_secs(4);
/// Connections to the listener for operators at once; further ones wait in the backlog.
pub const ADMIN_CONNECTIONS: usize = 16;
/// Descriptors kept for what is no connection of a client and no connection to the database: standard streams, listeners,
/// the event loop, logs, NATS, the issuer's keys, and blobs being read and written.
pub const RESERVED_DESCRIPTORS: usize = 40;
/// Time for a client to send the head of a request, once it has begun it; for the first one, once it has connected.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may rest between two requests, by default. Load balancers end theirs after 60 s, most of them: whoever ends
/// it first must not be the server, or requests meet the end.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(75);
/// Longest such rest that can be configured.
pub const MAX_KEEP_ALIVE: Duration = Duration::from_secs(3600);
/// How long a browser may remember the answer to a CORS preflight.
pub const CORS_MAX_AGE: Duration = Duration::from_secs(3600);
/// How long a client may take nothing of an answer.
pub const ANSWER_STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Pieces in which answers are compressed and written, which takes a fraction of a millisecond each.
pub const ANSWER_SLICE_BYTES: usize = 16 * 1024;
/// Time to answer one request, a long-poll's `wait` aside.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one statement in the store.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for one call of the store as its callers count it: a connection whose other end has vanished
/// says nothing at all.
pub const STORE_CALL_TIMEOUT: Duration = Duration::from_secs(9);
/// Time to get a connection to the store.
pub const STORE_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A pooled connection idle for longer is probed before it is used.
pub const STORE_PROBE_AFTER: Duration = Duration::from_secs(1);
/// Time in which a connection that has idled has to answer before it is used.
pub const STORE_PING_TIMEOUT: Duration = Duration::from_secs(1);
/// Time after which a call casts doubt on the store, and is given up if its connection turns out to be dead.
pub const STORE_SLOW_CALL: Duration = Duration::from_secs(1);
/// Time to connect to one host of the store, outside of the pool, in an outage.
pub const STORE_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Time for a host of the store to write, outside of the pool: a commit may wait for a standby.
pub const STORE_SCOUT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a write proves that the store takes writes.
pub const STORE_PROOF_MAX_AGE: Duration = Duration::from_secs(1);
/// Time for the write by which it is proved, after which the store is told to be unavailable.
pub const STORE_PROBE_TIMEOUT: Duration = READY_TIMEOUT;
/// Pause between two such writes while they fail.
pub const STORE_PROBE_PAUSE: Duration = Duration::from_millis(500);
/// Bytes that such a write has after one that found no room.
pub const STORE_PROBE_ROOM: usize = 64 * 1024;
/// Pause between two lines of the log that say that the store is busy.
pub const STORE_CONTENTION_LOG_PAUSE: Duration = Duration::from_secs(10);
/// How long the process waits for the store at start.
pub const STORE_START_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for the store to answer `/readyz`.
pub const READY_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause suggested to a client whose request met an overload or an outage.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The part of a graceful stop in which requests under way may end.
pub const DRAIN_REQUESTS_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest graceful stop, besides the window in which sockets leave; what is still open then is dropped.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// Ops of deleted drawings, or of imports that came to nothing, removed in one statement.
pub const PURGE_OPS: u32 = 1_000;
/// Longest line of a log that is imported, in bytes: an op, what the server adds to it, and some white space.
pub const MAX_IMPORT_LINE_BYTES: u64 = 4 * MAX_OP_BYTES as u64;
/// Age at which an unfinished import has come to nothing.
pub const IMPORT_MAX_AGE: Duration = Duration::from_hours(24);
