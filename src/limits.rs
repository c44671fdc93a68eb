//! The sizes, counts and timeouts that clients meet or operators set, and those that several parts share, by name.
//!
//! Owns the figures that clients are told and the bounds behind them; what tunes one piece of code stands beside that
//! code. It never reads configuration: what an operator may change lives in `config` and starts from these values.
//!
//! The comment of a limit says what it counts, with its unit, and after `At the bound:` what happens there. The second part
//! is for limits that bound something. `docs/reference.md` is made from both.

use std::time::Duration;

#[macro_use]
mod table;

pub use table::{Limit, Section, Value};

limits! { requests, "Requests and ops";

/// Largest request body, in bytes.
/// At the bound: `413 too_large`.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// Most ops in one `POST …/ops`.
/// At the bound: `413 too_large`.
pub const MAX_OPS_PER_REQUEST: usize = 500;
/// Largest op, in bytes of compact JSON.
/// At the bound: `413 too_large`.
pub const MAX_OP_BYTES: usize = 64 * 1024;
/// Most points in one stroke op.
/// At the bound: `422 invalid_op`.
pub const MAX_POINTS_PER_OP: usize = 2_000;
/// Most objects in one `object.delete`.
/// At the bound: `422 invalid_op`.
pub const MAX_OBJECT_IDS_PER_OP: usize = 1_000;
/// Largest `meta` of an op, in bytes of compact JSON.
/// At the bound: `422 invalid_op`.
pub const MAX_META_BYTES: usize = 1_024;
/// Deepest nesting of arrays and objects inside one op. Parsers of readers stop at 64 to 128
/// levels, and an op travels a few levels deep inside its frame.
/// At the bound: `422 invalid_op`.
pub const MAX_JSON_DEPTH: usize = 32;
/// Largest magnitude of an integer literal: beyond it an IEEE double loses whole numbers.
/// At the bound: `422 invalid_op`.
pub const MAX_INTEGER: u64 = 1 << 53;
/// Longest `object_id`, in characters of `A–Z a–z 0–9 _ -`.
/// At the bound: `422 invalid_op`.
pub const MAX_OBJECT_ID_CHARS: usize = 64;
/// Longest user id (`sub` of a token), in characters.
/// At the bound: `401 unauthenticated`.
pub const MAX_USER_ID_CHARS: usize = 128;
/// Longest display name in a token, in characters.
/// At the bound: the name is cut.
pub const MAX_USER_NAME_CHARS: usize = 128;
/// Longest `kind`, `tool` and `<name>` of `custom.<name>`, in characters.
/// At the bound: `422 invalid_op`.
pub const MAX_NAME_CHARS: usize = 32;
/// Longest `client_id`, in characters.
/// At the bound: `422 invalid_op`.
pub const MAX_CLIENT_ID_CHARS: usize = 64;
/// Longest `z`, in characters: room for thousands of insertions between two neighbours.
/// At the bound: `422 invalid_op`.
pub const MAX_Z_CHARS: usize = 256;
/// Longest title of a drawing, in characters.
/// At the bound: `422 invalid_field`.
pub const MAX_TITLE_CHARS: usize = 200;
/// Most faulty ops described in one problem body.
/// At the bound: the others are not named.
pub const MAX_REPORTED_FAULTS: usize = 16;
}

limits! { reading, "Reading";

/// Ops read first of a page: their size tells how many of the rest fit into it.
pub const PAGE_PROBE_OPS: u32 = 64;
/// Most ops in one page of `GET …/ops`.
/// At the bound: the page ends there, with `complete: false`.
pub const MAX_PAGE_OPS: u32 = 1_000;
/// Largest page of `GET …/ops`, in bytes of its JSON. One op fits always.
/// At the bound: the page ends there, with `complete: false`.
pub const MAX_PAGE_BYTES: usize = 1 << 20;
/// Room in a page for all but its ops, in bytes of its JSON.
pub const PAGE_ENVELOPE_BYTES: usize = 288;
/// Longest id of a request that is taken over from a client, in bytes.
/// At the bound: the request gets an id of the server.
pub const MAX_REQUEST_ID_BYTES: usize = 64;
/// Longest header `Host`, in bytes.
/// At the bound: `400 invalid_request`.
pub const MAX_HOST_BYTES: usize = 300;
/// Longest name of a node, in characters.
/// At the bound: the process does not start.
pub const MAX_NODE_NAME_CHARS: usize = 64;
/// Longest `wait` of a long-poll, in seconds.
/// At the bound: `400 invalid_request`; a wait that ends without an op is answered with an empty page.
pub const MAX_LONG_POLL_SECONDS: u64 = 30;
/// Drawings in one page of `GET /drawings`, at most and by default.
/// At the bound: the rest is on the next page; a larger `limit` is `400 invalid_request`.
pub const MAX_DRAWINGS_PAGE: u32 = 100;
/// Farthest behind the head that a subscription is filled up over the socket, in ops.
/// At the bound: `reset {too_far_behind}`.
pub const RESUME_LIMIT: u64 = 1_000;
/// Responses larger than this are compressed, in bytes.
pub const COMPRESS_ABOVE_BYTES: u64 = 1_024;
}

limits! { verifying, "Verifying";

/// Findings that `revcast verify` prints of one drawing.
/// At the bound: the others are counted.
pub const VERIFY_FINDINGS: usize = 1_000;
}

limits! { folding, "Undo and folding";

/// Weight of the open history of a drawing, in bytes, by default (`--undo-budget`): twice its open writes as
/// registers spell them, and [`OPEN_UNIT_WEIGHT`] for each open unit.
/// At the bound: the drawing is folded to half of it, but for the last [`FOLD_KEEPS_REVISIONS`] and what was touched
/// within
/// [`FOLD_KEEPS_TOUCHED`].
pub const UNDO_BUDGET: u64 = 4 << 20;
/// Weight of an open unit beside its writes, in bytes.
pub const OPEN_UNIT_WEIGHT: u64 = 128;
/// Revisions below the head that stay open whatever they weigh, unless the hard bound is passed.
pub const FOLD_KEEPS_REVISIONS: u64 = 4_096;
/// Time for which a unit stays open that took an op, an undo or a redo.
pub const FOLD_KEEPS_TOUCHED: Duration = Duration::from_secs(600);
/// Hard bound of the open history, in budgets.
/// At the bound: units stay open for [`FOLD_HARD_KEEPS`] only.
pub const FOLD_HARD_BUDGETS: u64 = 4;
/// The same in open units.
/// At the bound: units stay open for [`FOLD_HARD_KEEPS`] only.
pub const FOLD_HARD_UNITS: usize = 65_536;
/// Time for which a unit stays open beyond the hard bound.
pub const FOLD_HARD_KEEPS: Duration = Duration::from_secs(120);
/// Last bound of the open history, in budgets. Otherwise one client that touches an old unit time and again would keep
/// the whole log open.
/// At the bound: a unit that began more than [`FOLD_KEEPS_TOUCHED`] ago is no longer kept open by later ops.
pub const FOLD_LAST_BUDGETS: u64 = 64;
/// The same in open units.
/// At the bound: a unit that began more than [`FOLD_KEEPS_TOUCHED`] ago is no longer kept open by later ops.
pub const FOLD_LAST_UNITS: usize = 262_144;
/// Open revisions of a drawing that no worker looks after.
/// At the bound: the node folds all but the newest [`FOLD_UNATTENDED_KEEPS`].
pub const FOLD_UNATTENDED_OPEN: u64 = 262_144;
/// Revisions that stay open in such a drawing.
pub const FOLD_UNATTENDED_KEEPS: u64 = 131_072;
/// Revisions after which such a drawing is looked at again.
pub const FOLD_UNATTENDED_STEP: u64 = 4_096;
/// Drawings that wait on a node to be folded.
/// At the bound: further ones are forgotten, and found again at the next snapshot or step.
pub const FOLD_QUEUE: usize = 64;
}

limits! { shares, "Addresses and drawings";

/// Highest rate of `--limit-by-address`, in requests that write each second.
/// At the bound: the process does not start.
pub const MAX_ADDRESS_RATE: u32 = 1_000_000;
/// Requests that write which a new socket or event stream of an address counts for.
pub const ADDRESS_WRITES_PER_CONNECTION: u32 = 4;
/// Requests that write which a new drawing of an address counts for.
pub const ADDRESS_WRITES_PER_DRAWING: u32 = 20;
/// Requests that write which a token of an address that is not valid counts for.
pub const ADDRESS_WRITES_PER_FAILURE: u32 = 20;
/// Addresses that a node remembers for `--limit-by-address`.
/// At the bound: the quietest is forgotten.
pub const ADDRESSES: usize = 65_536;
/// Leading bits of an IPv6 address that count: a customer has all addresses that begin with them.
pub const ADDRESS_IPV6_BITS: u8 = 64;

/// Drawings that a user may have made and not deleted, by default (`--drawings-per-user`).
/// At the bound: `403 too_many_drawings`.
pub const DRAWINGS_PER_USER: u32 = 10_000;

/// Bytes of ops that a drawing takes each second from all its users on one node, by default
/// (`--drawing-bytes-per-second`).
/// At the bound: `429 rate_limited` with `Retry-After`.
pub const DRAWING_BYTES_PER_SECOND: u32 = 1 << 20;
/// Seconds' worth of these bytes that may come at once.
pub const DRAWING_BYTES_BURST: u32 = 16;
/// Undo units that may begin in a drawing each second on one node, by default (`--drawing-units-per-second`).
/// At the bound: `429 rate_limited` with `Retry-After`.
pub const DRAWING_UNITS_PER_SECOND: u32 = 600;
/// Seconds' worth of these units that may begin at once.
pub const DRAWING_UNITS_BURST: u32 = 30;
/// Highest limit of a drawing that can be configured, each second.
/// At the bound: the process does not start.
pub const MAX_DRAWING_RATE: i64 = 100_000_000;
/// Lead of the times of an imported log over the clock, in milliseconds.
/// At the bound: the import is refused.
pub const MAX_IMPORT_AHEAD_MS: i64 = 86_400_000;
}

limits! { canvases, "Canvases and snapshots";

/// Revisions by which a head is ahead of its newest snapshot, by default (`--snapshot-every`).
/// At the bound: a snapshot is due, once the ops since weigh half of the newest one or are [`SNAPSHOT_STRETCH`].
pub const SNAPSHOT_EVERY: u64 = 500;
/// Newest snapshots of a drawing that are kept.
/// At the bound: the others go, but for one in each [`SNAPSHOT_STRETCH`].
pub const SNAPSHOTS_KEPT: usize = 3;
/// Revisions between one snapshot that is kept and the next, and from the beginning to the first, at most. Older ones
/// stay for that, and on a longer way to the head a worker builds one after each. Only a damaged one makes it longer.
pub const SNAPSHOT_STRETCH: u64 = 10_000;
/// Snapshots that are looked at to find those that are superseded. Older ones have been looked at before.
pub const SNAPSHOT_RETENTION_LOOK: u32 = 64;
/// Pause of a worker after a snapshot that could not be built.
pub const SNAPSHOT_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Blobs removed at a time, and claims that have run out.
/// At the bound: the next batch or sweep goes on.
pub const SNAPSHOT_WASTE_BATCH: u32 = 100;
/// Level of compression of snapshots, 1 to 9: the fastest, which is also that of the wire.
pub const SNAPSHOT_GZIP_LEVEL: u32 = 1;
/// Largest snapshot that is read, in bytes of JSON.
/// At the bound: the snapshot is not used.
pub const MAX_SNAPSHOT_JSON_BYTES: u64 = 2 << 30;
/// Longest log that is replayed from its first op while the snapshots cannot be read, in ops.
/// At the bound: `503 snapshots_unavailable`.
pub const REPLAY_WITHOUT_SNAPSHOT_OPS: u64 = 20_000;
/// Largest snapshot that is written or read, in bytes as it lies in the blob store.
/// At the bound: the snapshot is not used.
pub const MAX_SNAPSHOT_BYTES: usize = 1 << 30;
/// Time for one call of the blob store, attempts included. The largest snapshot takes 34 MiB a second.
/// At the bound: the build is given up and tried again.
pub const BLOB_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for the blob store to begin its answer to a read, attempts included. A request that waits for it has time
/// left to do without.
/// At the bound: the request does without snapshots.
pub const BLOB_ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
/// Longest time until a read that is not answered has shown whether the store as a whole is away, which a probe tells.
pub const BLOB_VERDICT_TIMEOUT: Duration = BLOB_ANSWER_TIMEOUT.saturating_add(BLOB_PROBE_TIMEOUT);
/// Time for the blob store to answer `/readyz`.
/// At the bound: `/readyz` says `degraded`.
pub const BLOB_PROBE_TIMEOUT: Duration = READY_TIMEOUT;
/// Memory for canvases on one node, in bytes, by default (`--canvas-memory`): half for those that are kept, an eighth
/// for pictures that are kept, the rest for what is being loaded, rendered and sent.
/// At the bound: kept canvases go and are loaded again; requests that need more wait for [`CANVAS_PATIENCE`]; a
/// canvas that needs more than there is is loaded alone.
pub const CANVAS_MEMORY: u64 = 192 << 20;
/// Least memory for canvases that can be configured, in bytes.
/// At the bound: the process does not start.
pub const MIN_CANVAS_MEMORY: u64 = 16 << 20;
/// Wait of a request for memory, or for its turn to load a canvas: longer than a blob store that does not answer is
/// waited for, and shorter than the time for the whole answer.
/// At the bound: `503 overloaded`.
pub const CANVAS_PATIENCE: Duration = Duration::from_secs(8);
/// Bytes of a canvas for which the allocator is taken to add one.
pub const CANVAS_OVERHEAD: u64 = 4;
/// Weight of the place of a drawing beside its canvas, in bytes: its locks, its histories, its entry.
pub const SLOT_WEIGHT: u64 = 1_024;
/// Canvases that are loaded from nothing at the same time.
/// At the bound: others wait for [`CANVAS_PATIENCE`].
pub const CANVAS_LOADS: usize = 4;
/// Canvases of the past that are loaded at the same time.
/// At the bound: others wait for [`CANVAS_PATIENCE`].
pub const PAST_LOADS: usize = 2;
/// Requests for canvases of the past that are being loaded or wait for that.
/// At the bound: `503 overloaded`.
pub const PAST_QUEUE: usize = 64;
/// SVG exports that are drawn at the same time.
/// At the bound: others wait for [`CANVAS_PATIENCE`]; those who want the same picture share it.
pub const EXPORT_DRAWINGS: usize = 2;
}

limits! { writing, "Writing";

/// Requests that may wait for one writer.
/// At the bound: `503 overloaded` with `Retry-After`.
pub const COMMIT_QUEUE_REQUESTS: usize = 4_096;
/// Ops that may wait for all writers together, in bytes.
/// At the bound: `503 overloaded` with `Retry-After`.
pub const COMMIT_QUEUE_BYTES: usize = 64 << 20;
/// Most requests in one batch.
/// At the bound: the rest is the next batch.
pub const MAX_BATCH_REQUESTS: usize = 512;
/// Attempts to write one batch when the store breaks the connection or reports a deadlock.
/// At the bound: `503 store_unavailable`.
pub const COMMIT_ATTEMPTS: u32 = 3;
/// Age up to which a batch is attempted again. Its clients are better told to come back.
/// At the bound: `503 store_unavailable`.
pub const COMMIT_PATIENCE: Duration = Duration::from_secs(2);
/// Requests that a user may write each second on one node, by default (`--write-requests-per-second`).
/// At the bound: `429 rate_limited` with `Retry-After`.
pub const WRITE_REQUESTS_PER_SECOND: u32 = 100;
/// Ops that a user may write each second on one node, by default (`--write-ops-per-second`).
/// At the bound: `429 rate_limited` with `Retry-After`.
pub const WRITE_OPS_PER_SECOND: u32 = 2_000;
}

limits! { identity, "Identity";

/// Time in which a ticket opens a socket or an event stream.
/// At the bound: `401 unauthenticated`; close code 4101 on a socket.
pub const TICKET_TTL: Duration = Duration::from_secs(60);
/// Time for which a role may be served from the cache of a node.
/// At the bound: the role is looked up again.
pub const ROLE_CACHE_TTL: Duration = Duration::from_secs(1);
/// Between two looks at the roles of all readers, so that one who lost theirs hears no more within a second, whatever
/// became of the message that says so.
pub const ROLE_CHECK_INTERVAL: Duration = Duration::from_millis(700);
/// Longest bearer token or ticket that is looked at, in bytes.
/// At the bound: `401 unauthenticated`.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Life of a guest token, by default and at most.
/// At the bound: a longer one is shortened.
pub const DEV_TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);
/// Tolerated difference between the clocks of the token's issuer and ours.
/// At the bound: `401 unauthenticated`; open connections end with 4100.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(10);
/// Pause between two reads of the JWKS document, however many unknown `kid`s arrive.
/// At the bound: the keys that were read last count.
pub const JWKS_MIN_REFRESH: Duration = Duration::from_secs(10);
/// Age at which the JWKS document is read again. A token that was verified before its key was withdrawn
/// stays verified until it expires.
pub const JWKS_MAX_AGE: Duration = Duration::from_secs(600);
/// Time to fetch the JWKS document, from the connection to its last byte.
/// At the bound: the keys that were read before stay in use; without any, `503 identity_unavailable`.
pub const JWKS_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest JWKS document, in bytes.
/// At the bound: the keys that were read before stay in use; without any, `503 identity_unavailable`.
pub const MAX_JWKS_BYTES: usize = 1 << 20;
/// Most keys in it, of whatever kind.
/// At the bound: the keys that were read before stay in use; without any, `503 identity_unavailable`.
pub const MAX_JWKS_KEYS: usize = 256;
/// Shortest HS256 secret that is accepted, in bytes (RFC 7518 §3.2).
/// At the bound: the process does not start.
pub const MIN_SECRET_BYTES: usize = 32;
}

limits! { rooms, "Bus and rooms";

/// Messages that may wait to be published.
/// At the bound: further ones are dropped and counted; rooms read the store.
pub const PUBLISH_QUEUE_MESSAGES: usize = 2_048;
/// Largest bus message, in bytes. With the queue above it bounds what waits for a slow bus to 256 MiB; NATS itself
/// takes
/// 1 MiB.
/// At the bound: ops are published as their revisions alone, and rooms read the store; presence is cut into several
/// messages.
pub const MAX_BUS_MESSAGE_BYTES: usize = 128 * 1024;
/// Messages that one subscription to the bus may hold.
/// At the bound: ops are dropped, and the room reads the store; presence is dropped, and asked for again; control
/// messages are dropped, and cached roles expire.
pub const SUBSCRIPTION_MESSAGES: usize = 4_096;
/// Wait of a room for the bus to confirm its subscription.
/// At the bound: the room goes on without the confirmation.
pub const BUS_CONFIRM_TIMEOUT: Duration = Duration::from_millis(500);
/// Time for the first connection to NATS.
/// At the bound: the server starts, and is `degraded`.
pub const NATS_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time between two looks of a node at the heads of its live rooms, by default.
pub const HEARTBEAT: Duration = Duration::from_secs(2);
/// Largest read of a room, in bytes of ops, unless it is one op alone.
/// At the bound: another read follows; whoever joins and lacks more than two reads bring is told `reset
/// {too_far_behind}`.
pub const ROOM_READ_BYTES: usize = 2 << 20;
/// Readers that a broadcaster tells before it lets other tasks run.
/// At the bound: other work runs first.
pub const BROADCAST_STRIDE: usize = 64;
/// Age of a hole in what a room has received.
/// At the bound: the missing ops are read from the store.
pub const HOLE_PATIENCE: Duration = Duration::from_millis(50);
/// Pause after a failed read of a room before the next attempt.
pub const REPAIR_RETRY: Duration = Duration::from_millis(200);
/// Time for which a room takes a hole in the log for unmended, and asks the store no more for what lies before it.
pub const LOG_DAMAGE_MEMORY: Duration = Duration::from_secs(10);
/// Memory of a room of what it told its readers, in bytes of sealed frames.
/// At the bound: the oldest is forgotten; readers that still need it are told `reset {lagged}`.
pub const ROOM_RING_BYTES: usize = 4 << 20;
/// Size at which a frame is sealed, in bytes.
/// At the bound: the next frame begins; the op that crosses the size is still in this one.
pub const MAX_FRAME_BYTES: usize = 256 * 1024;
/// Drawings that a node follows at once, by default (`--max-rooms`), and drawings whose presence it keeps for others.
/// At the bound: those that nobody uses end at once; then `503 overloaded`, on a socket an `error`.
pub const MAX_ROOMS: u32 = 50_000;
/// Time for which a room without readers keeps following its drawing.
/// At the bound: the room ends.
pub const ROOM_LINGER: Duration = Duration::from_secs(10);
}

limits! { presence, "Presence";

/// Largest presence state of one connection, in bytes of compact JSON.
/// At the bound: `422 invalid_field`; the same `error` on a socket.
pub const MAX_PRESENCE_STATE_BYTES: usize = 1_024;
/// Presence states that a user may post over HTTP each second on one node.
/// At the bound: `429 rate_limited` with `Retry-After`.
pub const PRESENCE_POSTS_PER_SECOND: u32 = 60;
/// Presence states of one connection that are told each second.
/// At the bound: further ones are merged.
pub const PRESENCE_PER_SECOND: u32 = 60;
/// Pause between two diffs of presence to the readers of a room, by the larger of its numbers of present connections and
/// of readers on the node. A diff goes to every reader and may hold everybody, so the work of a second grows with the
/// square of the room; longer pauses take a part of that back.
/// At the bound: changes are merged until the next diff.
pub const PRESENCE_INTERVALS: [(usize, Duration); 5] = [
    (100, Duration::from_millis(33)),
    (500, Duration::from_millis(66)),
    (2_000, Duration::from_millis(125)),
    (5_000, Duration::from_millis(250)),
    (usize::MAX, Duration::from_millis(500)),
];
/// Presences that one node keeps for one room.
/// At the bound: `503 overloaded`; the same `error` on a socket.
pub const PRESENCE_MAX_LOCAL: usize = 10_000;
/// Time for which a connection stays present after its socket has dropped.
/// At the bound: the connection leaves.
pub const PRESENCE_GRACE: Duration = Duration::from_secs(10);
/// Life of a state that was posted over HTTP.
/// At the bound: the connection leaves.
pub const PRESENCE_HTTP_TTL: Duration = Duration::from_secs(30);
/// Time between two looks of a lane for what has expired.
pub const PRESENCE_TICK: Duration = Duration::from_secs(1);
/// Time between two messages by which a node with present connections tells the others that it lives.
pub const PRESENCE_ALIVE: Duration = Duration::from_secs(3);
/// Silence of a node.
/// At the bound: the node is forgotten with all that it held.
pub const PRESENCE_NODE_TTL: Duration = Duration::from_secs(10);
/// Shortest time between two questions to one node for all its presences.
/// At the bound: those that come too early are answered together.
pub const PRESENCE_ASK_EVERY: Duration = Duration::from_secs(1);
/// Shortest time between two answers of a node with all its presences of one room.
/// At the bound: those that come too early are answered together.
pub const PRESENCE_FULL_EVERY: Duration = Duration::from_secs(1);
/// Departures that a room remembers.
/// At the bound: a reader that lacks older ones is told `reset {lagged}`, and gets the roster when it is back.
pub const PRESENCE_TOMBSTONES: usize = 8_192;
/// Present connections up to which every reader is told of all of them.
/// At the bound: readers with a `viewport` are told of those in it and of the [`PRESENCE_NEAREST`] nearest.
pub const PRESENCE_VIEWPORT_ABOVE: usize = 200;
/// Connections outside its viewport that a reader is told of: the nearest.
pub const PRESENCE_NEAREST: usize = 50;
}

limits! { sockets, "Sockets";

/// Drawings one socket may follow.
/// At the bound: `error too_many_subscriptions`.
pub const MAX_SUBSCRIPTIONS: usize = 64;
/// Subscriptions of one socket that may wait for their place, those included that were given up meanwhile.
/// At the bound: `error too_many_subscriptions`.
pub const MAX_JOINS: usize = 4 * MAX_SUBSCRIPTIONS;
/// Largest message a client may send, in bytes: the sum of its frames, and inflated.
/// At the bound: close code 4202.
pub const MAX_CLIENT_FRAME_BYTES: usize = 64 * 1024;
/// Most frames that one message of a client may come in: empty ones would never end it.
/// At the bound: close code 4202.
pub const MAX_CLIENT_FRAGMENTS: u16 = 1_024;
/// Time for a client to send one message, from its first byte to its last, whatever control frames come in between.
/// At the bound: close code 4001.
pub const CLIENT_MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages a client may send each second, presence aside.
/// At the bound: close code 4203.
pub const CLIENT_MESSAGES_PER_SECOND: u32 = 200;
/// Time between two pings of a socket by the server.
pub const PING_INTERVAL: Duration = Duration::from_secs(25);
/// Silence of a client after a ping: with [`PING_INTERVAL`], 60 s in all.
/// At the bound: close code 4002.
pub const PONG_TIMEOUT: Duration = Duration::from_secs(35);
/// Time for which a socket takes nothing while there is something for it.
/// At the bound: close code 4001; an event stream is cut after 45 to 60 s.
pub const SOCKET_STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for which a socket stays behind after it was told `reset {lagged}`.
/// At the bound: close code 4001.
pub const SOCKET_LAG_TIMEOUT: Duration = Duration::from_secs(10);
/// Answers that may wait for a socket that is behind.
/// At the bound: the client is not read from until it has taken some.
pub const SOCKET_ANSWERS: usize = 64;
/// Largest roster that `subscribed` bears, in bytes.
/// At the bound: the roster in `subscribed` is empty, and comes as the first `presence`.
pub const MAX_ROSTER_BYTES: usize = 16 * 1024;
/// Frames that a client may send each second, presence and control frames included. Each KiB counts as one more.
/// At the bound: close code 4203.
pub const CLIENT_FRAMES_PER_SECOND: u32 = 1_000;
/// Open sockets, event streams and waiting long-polls of one user on one node, by default (`--connections-per-user`).
/// At the bound: `429 too_many_connections`; close code 4003 on a socket.
pub const CONNECTIONS_PER_USER: u32 = 100;
/// Handshakes that a node takes each second, by default (`--handshakes-per-second`). As many may come at once.
/// At the bound: `503 overloaded` with `Retry-After`.
pub const HANDSHAKES_PER_SECOND: u32 = 10_000;
/// Size of a message above which it is compressed for those who negotiated it, in bytes.
pub const DEFLATE_ABOVE_BYTES: usize = 256;
/// Longest time without a line in an event stream: a comment is sent where there is no event.
pub const EVENTS_COMMENT_INTERVAL: Duration = Duration::from_secs(15);
/// When a browser opens an event stream again that ended.
pub const EVENTS_RETRY: Duration = Duration::from_secs(1);
/// Time for a connection to become a socket once that was agreed on.
/// At the bound: the connection is dropped.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a closing socket to say goodbye.
/// At the bound: the connection is dropped.
pub const SOCKET_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest window over which the clients of a stopping node may be asked to leave, and longest notice before it.
/// At the bound: the process does not start.
pub const MAX_DRAIN_WINDOW: Duration = Duration::from_secs(60);
}

limits! { process, "Process";

/// Shortest period that a flag may give.
/// At the bound: the process does not start.
pub const MIN_PERIOD: Duration = Duration::from_millis(10);
/// Longest period that a flag may give: ten years.
/// At the bound: the process does not start.
pub const MAX_PERIOD: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Connections that one node serves at once, and as far as its descriptors go.
/// At the bound: the next [`SPARE_CONNECTIONS`] are told `503 overloaded`, or how the node is.
pub const MAX_CONNECTIONS: usize = 50_000;
/// Connections that one node serves, however few descriptors there are.
pub const MIN_CONNECTIONS: usize = 16;
/// Connections beyond those that are served, which are told so.
/// At the bound: further ones wait in the backlog.
pub const SPARE_CONNECTIONS: usize = 16;
/// Connections to the listener for operators at once.
/// At the bound: further ones wait in the backlog.
pub const ADMIN_CONNECTIONS: usize = 16;
/// Descriptors kept for what is no connection of a client and no connection to the database: standard streams,
/// listeners,
/// the event loop, logs, NATS, the issuer's keys, and blobs being read and written.
pub const RESERVED_DESCRIPTORS: usize = 40;
/// Time for a client to send the head of a request, once it has begun it; for the first one, once it has connected.
/// At the bound: the connection is closed.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Rest of a connection between two requests, by default (`--keep-alive`). Most load balancers end theirs after 60 s.
/// The one that ends it first must not be the server, or requests meet the end.
/// At the bound: the connection is closed.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(75);
/// Longest such rest that can be configured.
/// At the bound: the process does not start.
pub const MAX_KEEP_ALIVE: Duration = Duration::from_secs(3600);
/// Time for which a browser may remember the answer to a CORS preflight.
pub const CORS_MAX_AGE: Duration = Duration::from_secs(3600);
/// Time for which a client takes nothing of an answer.
/// At the bound: the connection is closed.
pub const ANSWER_STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Pieces in which answers are compressed and written, which takes a fraction of a millisecond each.
pub const ANSWER_SLICE_BYTES: usize = 16 * 1024;
/// Time to answer one request, a long-poll's `wait` aside.
/// At the bound: `503 timeout`.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one statement in the store.
/// At the bound: the statement is cancelled: `503 store_unavailable`.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for one call of the store as its callers count it. A connection whose other end has vanished says nothing at
/// all.
/// At the bound: `503 store_unavailable`; a room tries again.
pub const STORE_CALL_TIMEOUT: Duration = Duration::from_secs(9);
/// Time to get a connection to the store.
/// At the bound: `503 store_unavailable`.
pub const STORE_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Time after which a call casts doubt on the store.
/// At the bound: the store is probed, and the call given up if its connection is lost.
pub const STORE_SLOW_CALL: Duration = Duration::from_secs(1);
/// Time to connect to one host of the store, outside of the pool, in an outage.
/// At the bound: the host counts as away.
pub const STORE_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Time for the write by which it is proved.
/// At the bound: `/readyz` says `unavailable`.
pub const STORE_PROBE_TIMEOUT: Duration = READY_TIMEOUT;
/// Pause between two such writes while they fail.
pub const STORE_PROBE_PAUSE: Duration = Duration::from_millis(500);
/// Wait of the process for the store at the start.
/// At the bound: the process ends.
pub const STORE_START_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for the store to answer `/readyz`.
/// At the bound: `/readyz` says `unavailable`.
pub const READY_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause suggested to a client whose request met an overload or an outage.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The part of a graceful stop in which requests under way may end.
/// At the bound: the stop goes on without them.
pub const DRAIN_REQUESTS_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest graceful stop, besides the window in which sockets leave.
/// At the bound: open connections are dropped.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// Ops of deleted drawings, or of imports that came to nothing, removed in one statement.
/// At the bound: the next round follows after a pause.
pub const PURGE_OPS: u32 = 1_000;
/// Longest line of a log that is imported, in bytes: an op, what the server adds to it, and some white space.
/// At the bound: the import is refused.
pub const MAX_IMPORT_LINE_BYTES: u64 = 4 * MAX_OP_BYTES as u64;
/// Age at which an unfinished import has come to nothing.
/// At the bound: a worker removes it.
pub const IMPORT_MAX_AGE: Duration = Duration::from_hours(24);
}

const _: () = assert!(BLOB_VERDICT_TIMEOUT.as_secs() + 1 < CANVAS_PATIENCE.as_secs());
const _: () = assert!(CANVAS_PATIENCE.as_secs() + 1 < REQUEST_TIMEOUT.as_secs());

/// All limits, in sections.
#[must_use]
pub fn sections() -> Vec<Section> {
    vec![
        requests(),
        reading(),
        verifying(),
        folding(),
        shares(),
        canvases(),
        writing(),
        identity(),
        rooms(),
        presence(),
        sockets(),
        process(),
    ]
}
