//! The lineage of epochs: everybody is told the same, the logs are equal up to the base, and none comes from nowhere.

use std::collections::HashMap;

use crate::{
    case::Case,
    finding::Outcome,
    history::{EpochId, Said, Trunk},
};

/// Everybody is told the same of how an epoch goes on, and only one goes on with each.
pub(super) fn agrees(case: &Case<'_>, outcome: &mut Outcome) {
    let mut told: HashMap<EpochId, Said> = HashMap::new();
    let mut next: HashMap<EpochId, Said> = HashMap::new();
    for said in case.history.said.iter().filter(|said| said.tells) {
        outcome.examine();
        let epoch = case.epoch(said.epoch);
        let first = told.entry(said.epoch).or_insert(*said);
        if first.trunk != said.trunk {
            outcome.find(&[first.at, said.at], || {
                format!(
                    "epoch {epoch} {} here, and {} there",
                    goes_on(case, first.trunk),
                    goes_on(case, said.trunk)
                )
            });
        }
        let Some(trunk) = said.trunk else { continue };
        let first = next.entry(trunk.epoch).or_insert(*said);
        if first.epoch != said.epoch {
            outcome.find(&[first.at, said.at], || {
                let (one, before) = (case.epoch(first.epoch), case.epoch(trunk.epoch));
                format!("both {one} and {epoch} go on with epoch {before}")
            });
        }
    }
}

fn goes_on(case: &Case<'_>, trunk: Option<Trunk>) -> String {
    match trunk {
        Some(trunk) => format!("goes on with {} up to {}", case.epoch(trunk.epoch), trunk.base),
        None => "goes on with nothing".to_owned(),
    }
}

/// The logs of two epochs are equal up to the base.
pub(super) fn equal(case: &Case<'_>, outcome: &mut Outcome) {
    for recorded in case.truth.logs() {
        let Some(trunk) = case.truth.trunk(recorded.log.epoch) else { continue };
        let (epoch, before) = (case.epoch(recorded.log.epoch), case.epoch(trunk.epoch));
        outcome.examine();
        if recorded.log.head.is_some_and(|head| trunk.base > head) {
            outcome.find(&[recorded.log.at], || {
                let head = recorded.log.head.unwrap_or_default();
                format!("epoch {epoch} goes on from {}, and has a head of {head}", trunk.base)
            });
        }
        let Some(older) = case.truth.log(trunk.epoch) else { continue };
        if older.log.head.is_some_and(|head| trunk.base > head) {
            outcome.find(&[recorded.log.at, older.log.at], || {
                format!("epoch {epoch} goes on from {}, which {before} never had", trunk.base)
            });
        }
        for old in older.entries.iter().take_while(|entry| entry.revision <= trunk.base) {
            outcome.examine();
            // One that is missing is a hole.
            let Some(new) = recorded.at(old.revision) else { continue };
            if (old.op_id, old.digest, old.actor) != (new.op_id, new.digest, new.actor) {
                outcome.find(&[old.at, new.at], || {
                    format!(
                        "epochs {before} and {epoch} differ at {}, up to {} they are one",
                        old.revision, trunk.base
                    )
                });
            }
        }
    }
}

/// Every epoch that is told was declared by a line `log`, or is the one before such an epoch.
pub(super) fn known(case: &Case<'_>, outcome: &mut Outcome) {
    let mut is_known = vec![false; case.history.epochs.len()];
    for log in &case.history.logs {
        is_known[usize::from(log.epoch)] = true;
        if let Some(trunk) = case.truth.trunk(log.epoch) {
            is_known[usize::from(trunk.epoch)] = true;
        }
    }
    for said in &case.history.said {
        outcome.examine();
        if !std::mem::replace(&mut is_known[usize::from(said.epoch)], true) {
            outcome.find(&[said.at], || {
                format!("epoch {} is told here, and no line `log` knows of it", case.epoch(said.epoch))
            });
        }
    }
}
