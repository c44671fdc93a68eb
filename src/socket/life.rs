//! The signs of life of a client, and how long it may stay.
//!
//! Owns the identity of a socket, and the times at which its client was pinged and heard. It decides what is due, and never does it:
//! pings and closes leave by the guard.

use std::time::Instant;

use crate::{
    identity::Identity,
    limits,
    model::{ConnectionId, UserId},
    room::presence::Present,
    wire::CloseCode,
};

/// The life of one socket.
#[derive(Debug)]
pub(super) struct SocketLife {
    identity: Identity,
    /// The time of the last ping, or of the opening.
    pinged_at: Instant,
    /// The time of the first ping that has not been followed by anything from the client.
    unheard_since: Option<Instant>,
    /// The time at which the client began the message, or the frame between two, that it has not ended.
    begun_at: Option<Instant>,
}

/// Something that a life asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// The socket closes for this reason.
    Close(CloseCode),
    /// The client is to show that it is there.
    Ping,
}

impl SocketLife {
    /// A life that begins now.
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, pinged_at: Instant::now(), unheard_since: None, begun_at: None }
    }

    /// The user of the socket.
    pub(super) fn user_id(&self) -> &UserId {
        &self.identity.user_id
    }

    /// The client as others see it by the socket `connection_id`.
    pub(super) fn present(&self, connection_id: ConnectionId) -> Present {
        let Identity { user_id, name, .. } = &self.identity;
        Present { connection_id, user_id: user_id.clone(), name: name.clone() }
    }

    /// Takes a later identity of the same user; false for another user, who would inherit subscriptions that are not
    /// theirs.
    pub(super) fn renew(&mut self, identity: Identity) -> bool {
        let is_same = identity.user_id == self.identity.user_id;
        if is_same {
            self.identity = identity;
        }
        is_same
    }

    /// Takes note that something came from the client.
    pub(super) fn note_heard(&mut self) {
        self.unheard_since = None;
    }

    /// Takes note of how far what the client sends has come: whether something ended, and whether something has begun
    /// that has not.
    pub(super) fn note_read(&mut self, has_ended: bool, is_idle: bool) {
        if has_ended || is_idle {
            self.begun_at = None;
        }
        if !is_idle {
            self.begun_at.get_or_insert_with(Instant::now);
        }
    }

    /// Takes note that the client is not read from: what it has begun waits for us.
    pub(super) fn note_unread(&mut self) {
        self.begun_at = self.begun_at.map(|_| Instant::now());
    }

    /// Takes note that a ping leaves.
    pub(super) fn note_pinged(&mut self) {
        self.pinged_at = Instant::now();
        self.unheard_since.get_or_insert_with(Instant::now);
    }

    /// Decides what is due for a client that takes what it is sent too slowly, or is behind with it, or neither.
    pub(super) fn duty(&self, is_slow: bool, is_behind: bool) -> Option<Duty> {
        let drips = self.begun_at.is_some_and(|at| at.elapsed() >= limits::CLIENT_MESSAGE_TIMEOUT);
        if self.identity.has_ended() {
            Some(Duty::Close(CloseCode::IdentityExpired))
        } else if is_slow || drips {
            Some(Duty::Close(CloseCode::TooSlow))
        } else if self.unheard_since.is_some_and(|at| at.elapsed() >= limits::PONG_TIMEOUT) {
            Some(Duty::Close(CloseCode::NoPong))
        } else if self.pinged_at.elapsed() >= limits::PING_INTERVAL && !is_behind {
            // One that is behind shows that it lives by what it takes.
            Some(Duty::Ping)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn life(expires_at: u64) -> SocketLife {
        SocketLife::new(Identity { user_id: "alice".parse().unwrap(), name: None, expires_at })
    }

    fn before(timeout: Duration) -> Instant {
        Instant::now().checked_sub(timeout).unwrap()
    }

    #[test]
    fn a_quiet_client_is_pinged_and_then_closed() {
        let mut life = life(u64::MAX);
        assert_eq!(life.duty(false, false), None);
        life.pinged_at = before(limits::PING_INTERVAL);
        assert_eq!(life.duty(false, true), None, "one that is behind shows that it lives by what it takes");
        assert_eq!(life.duty(false, false), Some(Duty::Ping));
        life.note_pinged();
        assert_eq!(life.duty(false, false), None);
        life.unheard_since = Some(before(limits::PONG_TIMEOUT));
        assert_eq!(life.duty(false, false), Some(Duty::Close(CloseCode::NoPong)));
        life.note_heard();
        assert_eq!(life.duty(false, false), None);
    }

    #[test]
    fn a_client_that_drips_is_too_slow_unless_it_is_not_read_from() {
        let mut life = life(u64::MAX);
        life.note_read(false, false);
        life.begun_at = Some(before(limits::CLIENT_MESSAGE_TIMEOUT));
        assert_eq!(life.duty(false, false), Some(Duty::Close(CloseCode::TooSlow)));
        life.note_unread();
        assert_eq!(life.duty(false, false), None);
        life.begun_at = Some(before(limits::CLIENT_MESSAGE_TIMEOUT));
        life.note_read(true, true);
        assert_eq!(life.duty(false, false), None);
        assert_eq!(life.duty(true, false), Some(Duty::Close(CloseCode::TooSlow)));
    }

    #[test]
    fn an_identity_that_has_ended_goes_before_all_else_and_another_user_takes_no_socket_over() {
        let mut life = life(0);
        assert_eq!(life.duty(true, false), Some(Duty::Close(CloseCode::IdentityExpired)));
        let later =
            |user: &str| Identity { user_id: user.parse().unwrap(), name: None, expires_at: u64::MAX };
        assert!(!life.renew(later("bob")));
        assert_eq!(life.duty(false, false), Some(Duty::Close(CloseCode::IdentityExpired)));
        assert!(life.renew(later("alice")));
        assert_eq!(life.duty(false, false), None);
    }
}
