//! The audit log: who changed whose rights, and who destroyed what.
//!
//! Owns its lines and their fields. A line is written once the change has taken effect, at level `info` and with the
//! target `audit`, so that it can be filtered by itself. It never has a token or a payload.

use std::net::IpAddr;

use uuid::Uuid;

use crate::{
    model::{DrawingId, Epoch, Revision, Role, UserId},
    trace::{self, RequestId},
};

/// The target of the lines.
pub const TARGET: &str = "audit";

/// The one who did it.
#[derive(Clone, Debug)]
pub enum Actor {
    /// A user, by a request.
    User(UserId, Origin),
    /// Somebody at the command line.
    Operator,
}

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The address of the client, as far as it is known.
    pub address: Option<IpAddr>,
    /// The id of the request.
    pub request: RequestId,
}

/// The change that was made.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "docs/logs.md describes each")]
pub enum Act {
    /// A user got a role, or another one.
    MemberSet { user: UserId, from: Option<Role>, to: Role },
    /// A user lost their role.
    MemberRemoved { user: UserId, from: Option<Role> },
    /// A share link was made.
    LinkCreated { link: Uuid, to: Role },
    /// A share link was removed.
    LinkRevoked { link: Uuid },
    /// A user joined through a share link.
    LinkJoined { link: Uuid, from: Option<Role>, to: Role },
    /// A drawing was deleted.
    DrawingDeleted,
    /// A drawing was made of the log of another server.
    DrawingImported { owner: UserId, head: Revision },
    /// The database got an epoch that goes on with nothing.
    EpochBegun { epoch: Epoch },
}

impl Act {
    fn name(&self) -> &'static str {
        match self {
            Self::MemberSet { .. } => "member.set",
            Self::MemberRemoved { .. } => "member.remove",
            Self::LinkCreated { .. } => "link.create",
            Self::LinkRevoked { .. } => "link.revoke",
            Self::LinkJoined { .. } => "link.join",
            Self::DrawingDeleted => "drawing.delete",
            Self::DrawingImported { .. } => "drawing.import",
            Self::EpochBegun { .. } => "epoch.new",
        }
    }

    /// The user whom it is about, if not the actor.
    fn user(&self) -> Option<&str> {
        match self {
            Self::MemberSet { user, .. } | Self::MemberRemoved { user, .. } => Some(user.as_str()),
            Self::DrawingImported { owner, .. } => Some(owner.as_str()),
            _ => None,
        }
    }

    /// The role before and the role after.
    fn roles(&self) -> (Option<Role>, Option<Role>) {
        match *self {
            Self::MemberSet { from, to, .. } | Self::LinkJoined { from, to, .. } => (from, Some(to)),
            Self::MemberRemoved { from, .. } => (from, None),
            Self::LinkCreated { to, .. } => (None, Some(to)),
            _ => (None, None),
        }
    }

    fn link(&self) -> Option<Uuid> {
        match *self {
            Self::LinkCreated { link, .. } | Self::LinkRevoked { link } | Self::LinkJoined { link, .. } => {
                Some(link)
            }
            _ => None,
        }
    }
}

/// Writes one line.
pub fn record(actor: &Actor, drawing: Option<DrawingId>, act: &Act) {
    let (name, origin) = match actor {
        Actor::User(user, origin) => (user.as_str(), Some(origin)),
        Actor::Operator => ("operator", None),
    };
    let (from, to) = act.roles();
    let (epoch, revision) = match act {
        Act::EpochBegun { epoch } => (Some(*epoch), None),
        Act::DrawingImported { head, .. } => (None, Some(*head)),
        _ => (None, None),
    };
    tracing::info!(
        target: TARGET,
        action = act.name(),
        actor = name,
        drawing = drawing.map(tracing::field::display),
        user = act.user(),
        from = from.map(Role::as_str),
        to = to.map(Role::as_str),
        link = act.link().map(tracing::field::display),
        epoch = epoch.map(tracing::field::display),
        revision = revision.map(|revision| revision.0),
        address = origin.and_then(|origin| origin.address).map(tracing::field::display),
        node = trace::node(),
        request = origin.map(|origin| tracing::field::display(&origin.request)),
        "done"
    );
}
