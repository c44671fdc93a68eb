//! The integration tests: one binary, real sockets, a real Postgres, a real NATS server and a
//! bucket that speaks S3, which the tests start and stop themselves.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there and then")]
#![allow(unreachable_pub, reason = "support has the shape of a crate")]

mod support;

mod asyncapi;
mod blob_outages;
mod blobs;
mod bus_contract;
mod bus_outages;
mod bus_presence;
mod canvas;
mod canvas_damaged;
mod canvas_random;
mod commit;
mod commit_failures;
mod commit_setup;
mod faults;
mod guarantees;
mod http_docs;
mod http_drawings;
mod http_edge;
mod http_export;
mod http_fuzz;
mod http_history;
mod http_hostile;
mod http_identity;
mod http_invalid;
mod http_limits;
mod http_members;
mod http_model;
mod http_ops;
mod http_presence;
mod http_read;
mod http_snapshot;
mod http_snapshot_cache;
mod http_undo;
mod http_whiteboard;
mod import;
mod import_failures;
mod interop;
mod late_join;
mod live;
mod live_drain;
mod live_events;
mod live_frames;
mod live_limits;
mod live_presence;
mod live_presence_nodes;
mod live_resume;
mod live_slow;
mod rfc6455;
mod rfc6455_handshake;
mod room_joins;
mod room_outages;
mod snapshot_builds;
mod snapshot_damage;
mod snapshot_faults;
mod snapshot_kills;
mod snapshot_outages;
mod snapshot_setup;
mod snapshot_stretches;
mod store_append;
mod store_claims;
mod store_contract;
mod store_directory;
mod store_import;
mod store_members;
mod store_read;
mod store_refusals;
mod store_schema;
mod store_snapshots;
mod store_undo;
mod vectors;
mod vectors_random;
