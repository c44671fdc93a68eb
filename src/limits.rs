//! Every size, count and timeout of the service, by name.
//!
//! Owns the figures that clients are told and the internal bounds behind them. It never
//! reads configuration: what an operator may change lives in `config` and starts from these values.

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
/// Size at which a page of `GET …/ops` ends, in bytes of JSON; a page holds at least one op.
pub const MAX_PAGE_BYTES: usize = 1 << 20;
/// Longest `wait` of a long-poll; a longer one is shortened to it.
pub const MAX_LONG_POLL: Duration = Duration::from_secs(30);
/// Drawings in one page of `GET /drawings`, at most and by default.
pub const MAX_DRAWINGS_PAGE: u32 = 100;
/// Farthest behind the head that a subscription is filled up over the socket, in ops.
pub const RESUME_LIMIT: u64 = 1_000;
/// Responses larger than this are compressed, in bytes.
pub const COMPRESS_ABOVE_BYTES: u64 = 1_024;

// --- Undo horizon -------------------------------------------------------------------------------

/// Revisions in one step of the undo horizon.
pub const UNDO_HORIZON_STEP: u64 = 1_024;

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
/// Time to fetch the JWKS document.
pub const JWKS_TIMEOUT: Duration = Duration::from_secs(5);
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
/// The same inside one process, where the channel of each drawing allocates all its places.
pub const LOCAL_SUBSCRIPTION_MESSAGES: usize = 256;
/// How long a room waits for the bus to confirm its subscription before it goes on without.
pub const BUS_CONFIRM_TIMEOUT: Duration = Duration::from_millis(500);
/// How often a NATS connection is probed; two unanswered probes end it.
pub const NATS_PING_INTERVAL: Duration = Duration::from_secs(5);
/// Longest pause between attempts to reach NATS again.
pub const NATS_RECONNECT_MAX: Duration = Duration::from_secs(2);
/// Time for the first connection to NATS; the server starts degraded after it.
pub const NATS_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a node reads the heads of its live rooms, by default.
pub const HEARTBEAT: Duration = Duration::from_secs(2);
/// Age at which a hole in a room is read from the store.
pub const HOLE_PATIENCE: Duration = Duration::from_millis(50);
/// Pause after a failed read of a room before the next attempt.
pub const REPAIR_RETRY: Duration = Duration::from_millis(200);
/// Ops that may wait behind a hole; beyond it they are dropped and read from the store instead.
pub const MAX_PENDING_OPS: usize = 1_000;
/// Bytes of sealed frames one room keeps; a reader behind them is told `reset {lagged}`.
pub const ROOM_RING_BYTES: usize = 4 << 20;
/// Size at which a frame is sealed, in bytes.
pub const MAX_FRAME_BYTES: usize = 256 * 1024;
/// Joins and controls that may wait for one room.
pub const ROOM_COMMANDS: usize = 1_024;
/// How long a room without readers keeps following its drawing.
pub const ROOM_LINGER: Duration = Duration::from_secs(10);

// --- Sockets ------------------------------------------------------------------------------------

/// Drawings one socket may follow.
pub const MAX_SUBSCRIPTIONS: usize = 64;
/// Largest frame a client may send, in bytes.
pub const MAX_CLIENT_FRAME_BYTES: usize = 64 * 1024;
/// Messages a client may send each second.
pub const CLIENT_MESSAGES_PER_SECOND: u32 = 200;
/// How often the server pings a socket.
pub const PING_INTERVAL: Duration = Duration::from_secs(25);
/// Silence after which a socket is closed.
pub const SOCKET_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one frame may take to leave for a reader before the socket is closed as too slow.
pub const SOCKET_SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a closing socket may take to say goodbye.
pub const SOCKET_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Buffer for reading from one socket, in bytes.
pub const SOCKET_READ_BUFFER_BYTES: usize = 4 * 1024;
/// Window over which the clients of a draining node are asked to come back.
pub const GOAWAY_WINDOW: Duration = Duration::from_secs(5);

// --- Process ------------------------------------------------------------------------------------

/// Shortest and longest period that a flag may give.
pub const MIN_PERIOD: Duration = Duration::from_millis(10);
/// See [`MIN_PERIOD`]: ten years.
pub const MAX_PERIOD: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Connections waiting to be accepted by the listener (a reconnect storm overflows the usual 1,024).
pub const LISTEN_BACKLOG: u32 = 4_096;
/// Connections one node serves at once; further ones wait in the backlog.
pub const MAX_CONNECTIONS: usize = 50_000;
/// Time for a client to send the head of a request.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a browser may remember the answer to a CORS preflight.
pub const CORS_MAX_AGE: Duration = Duration::from_secs(3600);
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
/// How long the process waits for the store at start.
pub const STORE_START_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for the store to answer `/readyz`.
pub const READY_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause suggested to a client whose request met an overload or an outage.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The part of a graceful stop in which requests under way may end.
pub const DRAIN_REQUESTS_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest graceful stop; what is still open then is dropped.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// How often the worker looks for ops of deleted drawings.
pub const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(30);
/// How often rate limiters and metrics forget what is over.
pub const TIDY_INTERVAL: Duration = Duration::from_secs(5);
/// Pause after a connection could not be accepted.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// Pause between two removals while there is more: live writes come first.
pub const PURGE_PAUSE: Duration = Duration::from_millis(100);
/// Ops of deleted drawings removed in one statement.
pub const PURGE_OPS: u32 = 1_000;
