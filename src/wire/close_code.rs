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

    /// The reaction of a client; codes to come keep to the same ranges.
    pub(crate) fn reaction(self) -> &'static str {
        match self as u16 {
            1000 => "as it likes",
            4000..=4099 => "reconnects with backoff",
            4100..=4199 => "gets a new token or ticket, then reconnects",
            _ => "does not reconnect",
        }
    }

    /// When the server closes a socket with it.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Normal => "The client closed the socket.",
            Self::GoingAway => "The node is stopping. After `goaway` the client reconnects at once.",
            Self::TooSlow => {
                "The client took nothing for 30 s, was still behind 10 s after `reset {lagged}`, or took 10 s for one \
                 message of its own. A client that takes nothing at all sees the connection end without the code."
            }
            Self::NoPong => "The client was not heard of for 35 s after a ping.",
            Self::Overloaded => "The user has too many connections on this node.",
            Self::IdentityExpired => "The token or ticket under which the socket lives has expired.",
            Self::BadTicket => "The ticket is damaged, expired, or of another user than the socket's.",
            Self::ProtocolViolation => "The client broke the WebSocket protocol.",
            Self::MessageTooLarge => "A message of the client was over its limit.",
            Self::Rate => "The client sent too many messages.",
        }
    }

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
