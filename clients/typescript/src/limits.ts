// Every size, count and time that the client keeps to. Times are in milliseconds.

/**
 * For an answer to begin, and then for each further part of it: one that comes slowly is one that comes. The server's own
 * limit is 10 s.
 */
export const REQUEST_TIMEOUT = 15_000;

/** Full-jitter backoff: the ceiling doubles from the first to the last. */
export const BACKOFF_FIRST = 500;
export const BACKOFF_LAST = 30_000;

// Presence

/** Between two states that are sent. The server tells no more than 60 a second. */
export const PRESENCE_INTERVAL = 33;
/** After a state that could not be sent, because the socket is behind or there is none. */
export const PRESENCE_RETRY = 500;

// Strokes

/** Points of one op, by the server's limit; appends are merged up to it. */
export const MAX_POINTS = 2_000;
/** Bytes of the points of one op, so that there is room for the rest of it. The server takes 64 KiB an op. */
export const MAX_POINTS_BYTES = 48 * 1024;
/** Objects that one op deletes. The server takes 1,000; so many of the longest ids are below 64 KiB. */
export const MAX_DELETED = 900;

/** Undo units that were asked for and not begun; the oldest are forgotten. */
export const MAX_FRESH_UNITS = 1_000;

// Before the user is known

/** Ops that are kept in memory until a token could be had. */
export const MAX_EARLY_OPS = 10_000;
/** Points up to which appends are merged there: far below the size of an op, whatever their digits. */
export const MAX_EARLY_POINTS = 200;

// Outbox

/** How long updates and appends wait for more of their kind before they are stored. */
export const COALESCE_WINDOW = 80;
/** Bytes up to which ops are merged. The server takes 64 KiB an op. */
export const MAX_MERGED_BYTES = 60 * 1024;
/** Ops that are stored in one call, unless the page is about to go: a call of many holds up the page. */
export const STORE_AT_ONCE = 500;
/** Ops in a request. The server takes as many. */
export const MAX_BATCH_OPS = 500;
/** Bytes of a request, unless it is of one op. The server takes 1 MiB. */
export const MAX_BATCH_BYTES = 900_000;
/** Bytes of a request that outlives its page. Browsers allow 64 KiB for all of them together. */
export const MAX_LEAVE_BYTES = 60 * 1024;
/** The newest ops of which one may so grow: no hand draws more strokes at once. */
export const REOPEN_AMONG = 100;
/** Characters of the ops that a page leaves in the local storage when it goes; browsers give a site 5 million. */
export const MAX_WILL_BYTES = 256 * 1024;
/** What may be pending; further ops are refused with `outbox_full`. */
export const MAX_PENDING_OPS = 100_000;
/** The same in bytes. */
export const MAX_PENDING_BYTES = 64 * 1024 * 1024;
/**
 * Rejected ops that are kept until they are dismissed: several gestures of thousands. The oldest go first, each with its
 * whole unit; the newest unit is kept for as much as may be pending.
 */
export const MAX_REJECTED_OPS = 20_000;
/** The same in bytes. */
export const MAX_REJECTED_BYTES = 16 * 1024 * 1024;
/** Ids of settled ops that are remembered, so that a late look into the storage does not bring them back. */
export const MAX_SETTLED_IDS = 10_000;
/** Acknowledged ops that are kept in case that a failover has lost them; the oldest go first. */
export const MAX_RECEIPTS = 5_000;
/** The same in bytes. */
export const MAX_RECEIPT_BYTES = 8 * 1024 * 1024;
/** For how long they are kept: longer than a failover takes, and than a person takes to restore a small backup. */
export const KEEP_RECEIPTS_FOR = 600_000;
/** Epochs that are over, and remembered so that a late answer of one of them is taken for none. */
export const MAX_PAST_EPOCHS = 16;
/** Refusals in a row for the epoch of a request, after which one goes without it: the reader may not get to know another. */
export const MAX_EPOCH_REFUSALS = 3;
/** Closed units of which it is remembered as what they go on; the oldest are forgotten. */
export const MAX_CONTINUED_UNITS = 1_000;
/** Points up to which the newest append of a stroke grows while nothing can be sent: seconds of a fast pen. */
export const MAX_OFFLINE_POINTS = 500;
/** Pause after an answer that a person has to do something about, such as a lost role. */
export const SLOW_RETRY = 30_000;
/** Longest `Retry-After` that is obeyed in full. */
export const MAX_RETRY_AFTER = 3_600_000;
/** For one call of the storage; after that the outbox goes on in memory. */
export const STORE_TIMEOUT = 5_000;
/** From a failure of the storage to the next attempt at least; a backoff is added. */
export const STORE_RETRY = 1_000;
/** After which a tab that has something pending, and does not send, looks again for what became of it. */
export const LOOK_AGAIN = 10_000;
/** How long the answer to a request is waited for once all its ops were seen in the log. */
export const ECHO_GRACE = 1_000;
/** A request that is older when the page wakes up may never be answered, and is made again. */
export const RESTART_AFTER = 3_000;

// Feed

/** Attempts of one transport in a row that never follow the drawing, before the next transport is taken. */
export const MISSES = 2;
/** From falling back to the next attempt with a socket; spread by a quarter either way. */
export const CLIMB_INTERVAL = 30_000;
/** A transport that has brought something, or has followed for so long, has worked: its end begins the backoff anew. */
export const STEADY_AFTER = 1_000;
/** So many links in a row that lived for less, and brought something, are each followed by another one soon. */
export const SHORT_LINKS = 20;
/** Between attempts while the user has no role; spread by a quarter either way. */
export const DENIED_INTERVAL = 30_000;
/** Between attempts while ops are missing in the log of the server; spread by a quarter either way. */
export const DAMAGED_INTERVAL = 30_000;
/** Resets in a row, without following in between, that a transport survives. */
export const RESETS_LAST = 3;
/** From an attempt to the answer that the drawing is followed. */
export const SUBSCRIBE_TIMEOUT = 8_000;
/** Heartbeats that a socket or an event stream may miss, and the least time that they are taken for. */
export const HEARTBEATS_MISSED = 3;
export const SILENCE_LEAST = 6_000;
/** Between pings, and from a ping in doubt to its answer. */
export const PING_INTERVAL = 10_000;
export const PING_TIMEOUT = 5_000;
/** A timer that is so late tells of a page that was frozen, not of a silent server. */
export const TIMER_LATE = 1_000;
/** The part of what is left of an identity after which a socket renews it, and the least time before its end. */
export const RENEW_AT = 0.8;
export const RENEW_BEFORE = 5_000;
/** Between two renewals at least. */
export const RENEW_PAUSE = 1_000;
/** The longest time that `setTimeout` takes (a longer one would end at once): about 25 days. */
export const TIMER_LAST = 2 ** 31 - 1;
/** Silence of an event stream whose server does not tell its heartbeat: such a one comments every 15 s. */
export const EVENTS_SILENCE = 40_000;
/** Characters of an event that is not whole yet. */
export const EVENTS_BUFFER = 16 * 1024 * 1024;
/** Of a long-poll: what the server is asked to wait (in seconds), and how long it may be silent. */
export const POLL_WAIT = 5;
export const POLL_TIMEOUT = 8_000;
/** After a long-poll that has brought nothing sooner than this. */
export const POLL_PAUSE = 1_000;
/** Between readings of the roster, and of the role, while polling. */
export const ROSTER_INTERVAL = 5_000;
export const ROLE_INTERVAL = 30_000;
/** A reader that is more ops behind takes a snapshot instead of them. */
export const FAR_BEHIND = 5_000;
/** Ops kept beyond a gap; further ones are read again over REST. */
export const HELD_OPS = 1_000;
/** 410 answers that one catch-up survives. */
export const RESTARTS_LAST = 3;
/** A request that is older when the page wakes up may be cut off, and is made again. */
export const WAKE_FRESH = 1_000;
/** How long a committed op may take to come by itself before it is read. */
export const EXPECT_WITHIN = 1_000;
/** What may wait in a socket before presence is dropped, in bytes. */
export const PRESENCE_BUFFERED = 64 * 1024;
/** Between posts of presence at least; and while nothing changes, since the server forgets them after 30 s. */
export const PRESENCE_POST_INTERVAL = 1_000;
export const PRESENCE_POST_REPEAT = 15_000;

// Cache

/** Drawings of which the canvas is kept on the device. */
export const MAX_CACHED_CANVASES = 20;
/** Without a new op before the canvas is kept: it takes a moment where much is drawn. */
export const CACHE_QUIET = 3_000;
/** Of changes without a pause: the canvas is kept so often at least. */
export const CACHE_LATEST = 15_000;
/** How long a drawing waits, as it is opened, for what was kept of it. */
export const CACHE_WAIT = 1_000;
