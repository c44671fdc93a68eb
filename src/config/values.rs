//! The values of flags, as text: users, names, networks, periods, rates.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;

use crate::{limits, model::UserId, trace};

/// The id of a user, and no name of the server.
pub(super) fn parse_user(text: &str) -> Result<UserId, String> {
    match text.parse::<UserId>() {
        Ok(user) if user.is_reserved() => Err("is a name of the server".to_owned()),
        Ok(user) => Ok(user),
        Err(error) => Err(error.to_string()),
    }
}

/// A name that stands in each line of the logs.
pub(super) fn parse_node_name(text: &str) -> Result<String, String> {
    let rule = || format!("must be 1 to {} characters of A-Z a-z 0-9 . _ -", limits::MAX_NODE_NAME_CHARS);
    trace::is_node_name(text).then(|| text.to_owned()).ok_or_else(rule)
}

/// A network, or one address.
pub(super) fn parse_network(text: &str) -> Result<IpNet, String> {
    let alone = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| alone()).map_err(|_| "must read as 10.0.0.0/8 or as an address".to_owned())
}

/// A period as people write it: `500ms`, `2s`, `1h`.
pub(super) fn parse_period(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(period) if (limits::MIN_PERIOD..=limits::MAX_PERIOD).contains(&period) => Ok(period),
        Ok(_) => Err("must be 10ms to 10 years".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The time for which a connection may rest between two requests.
pub(super) fn parse_keep_alive(text: &str) -> Result<Duration, String> {
    match parse_period(text)? {
        // The head of a request has its time within that.
        rest if (limits::HEADER_READ_TIMEOUT..=limits::MAX_KEEP_ALIVE).contains(&rest) => Ok(rest),
        _ => Err("must be from 10s to 1h".to_owned()),
    }
}

/// A rate; an empty text is that of an environment variable that says nothing.
pub(super) fn parse_address_rate(text: &str) -> Result<u32, String> {
    let rate = if text.is_empty() { Ok(0) } else { text.parse() };
    let rate = rate.ok().filter(|rate| *rate <= limits::MAX_ADDRESS_RATE);
    rate.ok_or_else(|| format!("must be a number from 0 to {}", limits::MAX_ADDRESS_RATE))
}

/// A notice or a window of at most `MAX_DRAIN_WINDOW`; zero too.
pub(super) fn parse_window(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(window) if window <= limits::MAX_DRAIN_WINDOW => Ok(window),
        Ok(_) => Err("must be at most 60s".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
