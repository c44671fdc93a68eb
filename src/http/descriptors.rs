//! Descriptors: how many the process may have open, and how many of them are for connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits;

/// Raises the soft limit of open files to the hard one, and returns it; `None` where there is none.
pub fn raise_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, ?current, ?maximum, "the limit of open files could not be raised");
            current
        }
    }
}

/// The number of connections that may be open at once under a limit of open files, so that the rest of the
/// process finds the `reserve` that it needs; a few in any case.
#[must_use]
pub fn connections_under(limit: Option<u64>, reserve: usize) -> usize {
    let Some(limit) = limit else { return limits::MAX_CONNECTIONS };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    limit.saturating_sub(reserve).clamp(limits::MIN_CONNECTIONS, limits::MAX_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_not_given_to_connections() {
        assert_eq!(connections_under(Some(1_024), 100), 924);
        assert_eq!(connections_under(Some(1 << 40), 100), limits::MAX_CONNECTIONS);
        assert_eq!(connections_under(None, 100), limits::MAX_CONNECTIONS);
        assert_eq!(connections_under(Some(50), 100), limits::MIN_CONNECTIONS);
    }

    #[test]
    fn the_limit_is_raised_to_the_hard_one() {
        let limit = raise_limit();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((now.current, now.maximum), (limit, limit));
    }
}
