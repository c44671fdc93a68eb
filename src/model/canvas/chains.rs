//! The registers of which an object has any number: its properties, its points, its ends.

use std::{collections::BTreeMap, mem};

use super::chain::Chain;

/// Chains by key, ascending.
#[derive(Clone, Debug)]
pub(super) enum Chains<K, T> {
    /// A row, which takes little more than they need. Most objects have one to three of each kind; a node of a
    /// tree has eleven places.
    Few(Vec<(K, Chain<T>)>),
    /// A tree, so that no order in which they come is slow.
    Many(BTreeMap<K, Chain<T>>),
}

/// Most chains in a row.
const FEW: usize = 16;

impl<K, T> Default for Chains<K, T> {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl<K: Ord, T> Chains<K, T> {
    /// The chain of a key, to be written to; a new one if there was none.
    pub(super) fn entry(&mut self, key: K) -> &mut Chain<T> {
        if let Self::Few(few) = self
            && few.len() == FEW
            && few.binary_search_by(|(other, _)| other.cmp(&key)).is_err()
        {
            *self = Self::Many(mem::take(few).into_iter().collect());
        }
        match self {
            Self::Few(few) => {
                let at = few.binary_search_by(|(other, _)| other.cmp(&key)).unwrap_or_else(|at| {
                    if few.len() == few.capacity() {
                        few.reserve_exact(1 + few.len() / 2);
                    }
                    few.insert(at, (key, Chain::default()));
                    at
                });
                &mut few[at].1
            }
            Self::Many(many) => many.entry(key).or_default(),
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&Chain<T>> {
        match self {
            Self::Few(few) => few.binary_search_by(|(other, _)| other.cmp(key)).ok().map(|at| &few[at].1),
            Self::Many(many) => many.get(key),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.is_empty(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Chain<T>)> {
        let (few, many) = match self {
            Self::Few(few) => (few.as_slice(), None),
            Self::Many(many) => (Default::default(), Some(many)),
        };
        few.iter().map(|(key, chain)| (key, chain)).chain(many.into_iter().flatten())
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Chain<T>> {
        self.iter().map(|(_, chain)| chain)
    }

    /// Calls `change` with every chain, and drops those that are empty afterwards.
    pub(super) fn change(&mut self, mut change: impl FnMut(&mut Chain<T>)) {
        let mut stays = |chain: &mut Chain<T>| {
            change(chain);
            !chain.is_empty()
        };
        match self {
            Self::Few(few) => few.retain_mut(|(_, chain)| stays(chain)),
            Self::Many(many) => many.retain(|_, chain| stays(chain)),
        }
    }

    /// About how many bytes of memory the places take, used or not.
    pub(super) fn places_weight(&self) -> usize {
        let places = match self {
            Self::Few(few) => few.capacity(),
            // Nodes of a tree that grows at its end are half full.
            Self::Many(many) => 2 * many.len(),
        };
        places * size_of::<(K, Chain<T>)>()
    }
}

impl<K: Ord, T> FromIterator<(K, Chain<T>)> for Chains<K, T> {
    fn from_iter<I: IntoIterator<Item = (K, Chain<T>)>>(chains: I) -> Self {
        let mut all = Self::default();
        for (key, chain) in chains {
            *all.entry(key) = chain;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::canvas::chain::Write;

    fn keys(chains: &Chains<usize, usize>) -> Vec<usize> {
        chains.iter().map(|(key, _)| *key).collect()
    }

    #[test]
    fn few_and_many_are_sorted_and_found_whatever_their_order() {
        for count in [0, 1, FEW, FEW + 1, 3 * FEW] {
            let mut chains = Chains::default();
            for key in (0..count).rev().chain(0..count) {
                chains.entry(key).write(Write { revision: 1, unit: 1, value: key });
            }
            assert_eq!(keys(&chains), (0..count).collect::<Vec<_>>());
            for key in 0..count {
                assert_eq!(chains.get(&key).unwrap().iter().next().unwrap().value, key);
            }
            assert!(chains.get(&count).is_none());
            assert_eq!(chains.is_empty(), count == 0);
        }
    }

    #[test]
    fn chains_that_become_empty_go() {
        for count in [FEW, FEW + 1] {
            let write = |value| Write { revision: 1, unit: value % 2, value };
            let chain = |key| (key, Chain::from_writes([write(key as u64)]));
            let mut chains: Chains<usize, u64> = (0..count).map(chain).collect();
            // Unit 0 is the one that is folded.
            chains.change(Chain::forget);
            assert!(chains.iter().all(|(key, _)| key % 2 == 1) && !chains.is_empty());
        }
    }
}
