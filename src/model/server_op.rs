//! The ids of ops that the server writes itself.
//!
//! Owns how an id follows from what caused the op: two workers that do the same work give it the same id, so that the
//! log takes it once, and nobody who does not know the key of the servers can take the id first. Pure.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::OpId;

/// Makes ids for the ops of all servers of one database.
#[derive(Clone)]
pub struct ServerOps(Hmac<Sha256>);

impl ServerOps {
    /// Ids that follow from the key of the servers.
    #[must_use]
    pub fn new(server_key: Uuid) -> Self {
        let key = [b"server op".as_slice(), server_key.as_bytes()].concat();
        Self(Hmac::new_from_slice(&key).unwrap_or_else(|_| unreachable!("a key may have any length")))
    }

    /// The id of the op of type `type_name` that was caused by `cause`: a UUID v8.
    #[must_use]
    pub fn id(&self, type_name: &str, cause: &[&[u8]]) -> OpId {
        let mut mac = self.0.clone();
        for part in [type_name.as_bytes()].iter().chain(cause) {
            // Each part comes with its length, so that no two causes read alike.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        OpId(Uuid::new_v8(bytes))
    }
}

impl std::fmt::Debug for ServerOps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerOps").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_follows_from_the_key_the_type_and_the_cause() {
        let ops = ServerOps::new(Uuid::from_u128(1));
        let id = ops.id("fold", &[b"ab", b"c"]);
        assert_eq!(id, ServerOps::new(Uuid::from_u128(1)).id("fold", &[b"ab", b"c"]));
        assert_eq!(id.0.get_version_num(), 8);
        let others = [
            ServerOps::new(Uuid::from_u128(2)).id("fold", &[b"ab", b"c"]),
            ops.id("other", &[b"ab", b"c"]),
            ops.id("fold", &[b"a", b"bc"]),
            ops.id("fold", &[b"ab"]),
        ];
        assert!(others.iter().all(|other| *other != id));
    }
}
