//! The codes with which the server closes a socket.

/// Why the server closes a socket; the hundreds tell the client what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// The client closed, or is gone.
    Normal = 1000,
    /// The node is stopping: reconnect.
    GoingAway = 4000,
    /// The client does not take what is sent, or takes too long for a message of its own: reconnect.
    TooSlow = 4001,
    /// The client has not been heard of: reconnect.
    NoPong = 4002,
    /// The node cannot do its work now: reconnect.
    Overloaded = 4003,
    /// The identity has ended: get a new token, and reconnect.
    IdentityExpired = 4100,
    /// The ticket does not do: get a new one, and reconnect.
    BadTicket = 4101,
    /// The client broke the protocol: do not reconnect.
    ProtocolViolation = 4201,
    /// The client sent too large a message: do not reconnect.
    MessageTooLarge = 4202,
    /// The client sends too many messages: do not reconnect.
    Rate = 4203,
}

impl CloseCode {
    /// Every code, in order.
    pub const ALL: [Self; 10] = [
        Self::Normal,
        Self::GoingAway,
        Self::TooSlow,
        Self::NoPong,
        Self::Overloaded,
        Self::IdentityExpired,
        Self::BadTicket,
        Self::ProtocolViolation,
        Self::MessageTooLarge,
        Self::Rate,
    ];

    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::GoingAway => "going away",
            Self::TooSlow => "too slow",
            Self::NoPong => "no pong",
            Self::Overloaded => "overloaded",
            Self::IdentityExpired => "identity expired",
            Self::BadTicket => "bad ticket",
            Self::ProtocolViolation => "protocol violation",
            Self::MessageTooLarge => "message too large",
            Self::Rate => "too many messages",
        }
    }
}
