//! The faults: what can happen to a deployment, and to which part of it.
//!
//! Owns their names. A fault excuses nothing but errors and time: whatever was acknowledged, told or shown is judged as if
//! it had not happened. `inject` does them.

use std::{fmt, time::Duration};

use loadtest::{proxy::Way, services::Standby};

/// The number of a node, from 0.
pub type NodeId = usize;

/// A way between two parts of the deployment, which has a proxy of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// From the clients to a node.
    Clients(NodeId),
    /// From a node to Postgres.
    Store(NodeId),
    /// From a node to all NATS servers.
    Bus(NodeId),
    /// From a node to the bucket.
    Blobs(NodeId),
    /// From a node to the issuer of tokens.
    Keys(NodeId),
    /// From a standby to the primary.
    Standby(Standby),
}

/// The kind of harm that is done to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Connections break, and new ones are refused.
    Cut,
    /// Connections are taken and stay silent; in the end they break.
    Hang,
    /// Nothing comes in one direction, and nobody is told.
    HalfOpen(Way),
    /// All comes so many milliseconds later.
    Slow(u64),
    /// Only so many bytes a second pass.
    Narrow(u32),
    /// All connections are reset at once.
    Reset,
}

/// Something that happens, and is over after some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node is killed (`kill -9`), and starts again.
    Kill(NodeId),
    /// A node is stopped where it stands (`SIGSTOP`), and goes on.
    Freeze(NodeId),
    /// A node is asked to stop (`SIGTERM`), and starts again once it has.
    Terminate(NodeId),
    /// A node may open hardly any more files.
    Descriptors(NodeId),
    /// The clock of a node is wrong by so many seconds.
    Clock(NodeId, i64),
    /// Postgres breaks all connections, writes everything down and stops; it starts again.
    RestartFast,
    /// Postgres stops as in a crash, and starts again.
    RestartImmediate,
    /// All processes of Postgres are stopped where they stand, and go on.
    FreezeStore,
    /// All sessions of Postgres are ended.
    EndSessions,
    /// The primary is killed, and a standby takes its place.
    FailOver(Standby),
    /// No room is left on the disk of the tables.
    FullDisk,
    /// A NATS server is killed, and starts again.
    KillBus(usize),
    /// The issuer signs with its next key, which it has shown before, and shows the last one no more.
    RotateKeys,
    /// The issuer signs with a key that nobody has seen, and shows the last one no more.
    ReplaceKeys,
    /// The connections of all clients to all nodes are reset at once.
    DropClients,
    /// Something happens to a link.
    Link(Link, Trouble),
}

/// The part of a deployment that a fault acts upon. Two faults that overlap act upon different parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A node.
    Node(NodeId),
    /// Postgres.
    Store,
    /// A NATS server.
    Bus(usize),
    /// The issuer.
    Issuer,
    /// The ways of all clients.
    Clients,
    /// A link.
    Link(Link),
}

impl Fault {
    /// The part that it acts upon.
    #[must_use]
    pub fn target(self) -> Target {
        match self {
            Self::Kill(node)
            | Self::Freeze(node)
            | Self::Terminate(node)
            | Self::Descriptors(node)
            | Self::Clock(node, _) => Target::Node(node),
            Self::RestartFast
            | Self::RestartImmediate
            | Self::FreezeStore
            | Self::EndSessions
            | Self::FailOver(_)
            | Self::FullDisk
            | Self::Link(Link::Standby(_), _) => Target::Store,
            Self::KillBus(server) => Target::Bus(server),
            Self::RotateKeys | Self::ReplaceKeys => Target::Issuer,
            Self::DropClients => Target::Clients,
            Self::Link(link, _) => Target::Link(link),
        }
    }

    /// True if it is over as soon as it has happened.
    #[must_use]
    pub fn is_momentary(self) -> bool {
        matches!(
            self,
            Self::EndSessions
                | Self::FailOver(_)
                | Self::RotateKeys
                | Self::ReplaceKeys
                | Self::DropClients
                | Self::Link(_, Trouble::Reset)
        )
    }

    /// The time that the deployment may take to be well again beyond the usual one: zero, except after a frozen peer,
    /// whose silence has to last before anybody notices it.
    #[must_use]
    pub fn patience(self) -> Duration {
        match self {
            // The walreceiver of a standby has to notice that its connection is dead, and the server waits for it.
            Self::Link(Link::Standby(_), Trouble::HalfOpen(_) | Trouble::Hang) => Duration::from_secs(4),
            _ => Duration::ZERO,
        }
    }

    /// True if it may delay what readers are told.
    #[must_use]
    pub fn delays_delivery(self) -> bool {
        match self {
            Self::Kill(_) | Self::Terminate(_) | Self::DropClients => false,
            Self::RotateKeys | Self::ReplaceKeys => false,
            Self::Link(link, _) => !matches!(link, Link::Blobs(_) | Link::Keys(_)),
            _ => true,
        }
    }

    /// The nodes whose readers may have to wait for an op. A bus that is away excuses nobody: the next heartbeat
    /// finds what it lost (G5).
    #[must_use]
    pub fn delays_ops(self) -> Reach {
        match self.target() {
            Target::Node(node) | Target::Link(Link::Clients(node) | Link::Store(node)) => Reach::Node(node),
            Target::Store => Reach::All,
            _ => Reach::Nobody,
        }
    }

    /// The nodes that may say that they are not ready. They are asked past the links of clients.
    #[must_use]
    pub fn hinders(self) -> Reach {
        match self.target() {
            Target::Node(node) | Target::Link(Link::Store(node) | Link::Bus(node) | Link::Blobs(node)) => {
                Reach::Node(node)
            }
            Target::Store | Target::Bus(_) => Reach::All,
            _ => Reach::Nobody,
        }
    }

    /// The nodes that may give no sign of life.
    #[must_use]
    pub fn silences(self) -> Reach {
        match self {
            Self::Kill(node) | Self::Freeze(node) | Self::Terminate(node) => Reach::Node(node),
            _ => Reach::Nobody,
        }
    }
}

/// The nodes by which something is felt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// None.
    Nobody,
    /// This one.
    Node(NodeId),
    /// All of them.
    All,
}

impl Reach {
    /// True if a node is one of them.
    #[must_use]
    pub fn has(self, node: NodeId) -> bool {
        self == Self::All || self == Self::Node(node)
    }
}

/// A fault that has happened, and when by the clock of all, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Happened {
    /// The fault that happened.
    pub fault: Fault,
    /// The time at which it began, in nanoseconds by the clock that all share.
    pub from: i64,
    /// The time at which it was over.
    pub to: i64,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clients(node) => write!(f, "clients to node {node}"),
            Self::Store(node) => write!(f, "node {node} to Postgres"),
            Self::Bus(node) => write!(f, "node {node} to NATS"),
            Self::Blobs(node) => write!(f, "node {node} to the bucket"),
            Self::Keys(node) => write!(f, "node {node} to the issuer"),
            Self::Standby(standby) => write!(f, "{} standby to the primary", name(*standby)),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => write!(f, "cut"),
            Self::Hang => write!(f, "silent"),
            Self::HalfOpen(Way::ToServer) => write!(f, "half open, nothing goes there"),
            Self::HalfOpen(Way::ToClient) => write!(f, "half open, nothing comes back"),
            Self::Slow(milliseconds) => write!(f, "slower by {milliseconds} ms"),
            Self::Narrow(bytes) => write!(f, "narrow, {bytes} B/s"),
            Self::Reset => write!(f, "reset"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(node) => write!(f, "node {node} is killed"),
            Self::Freeze(node) => write!(f, "node {node} is frozen"),
            Self::Terminate(node) => write!(f, "node {node} is restarted"),
            Self::Descriptors(node) => write!(f, "node {node} has no descriptors left"),
            Self::Clock(node, seconds) => write!(f, "the clock of node {node} is off by {seconds} s"),
            Self::RestartFast => write!(f, "Postgres is restarted (fast)"),
            Self::RestartImmediate => write!(f, "Postgres is restarted (immediate)"),
            Self::FreezeStore => write!(f, "Postgres is frozen"),
            Self::EndSessions => write!(f, "all sessions of Postgres are ended"),
            Self::FailOver(standby) => write!(f, "failover to the {} standby", name(*standby)),
            Self::FullDisk => write!(f, "the disk of the database is full"),
            Self::KillBus(server) => write!(f, "NATS server {server} is killed"),
            Self::RotateKeys => write!(f, "the issuer signs with its next key"),
            Self::ReplaceKeys => write!(f, "the issuer signs with a key that nobody has seen"),
            Self::DropClients => write!(f, "all clients are dropped"),
            Self::Link(link, trouble) => write!(f, "{link}: {trouble}"),
        }
    }
}

fn name(standby: Standby) -> &'static str {
    match standby {
        Standby::Synchronous => "synchronous",
        Standby::Asynchronous => "asynchronous",
    }
}
