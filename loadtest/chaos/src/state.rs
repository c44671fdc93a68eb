//! The state of a run: one line a round, in a file from which a run can be resumed.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::round::Outcome;

/// A round that is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    /// Its number.
    pub round: u64,
    /// True if nothing was wrong.
    pub is_good: bool,
    /// Its duration.
    pub seconds: f64,
    /// The faults that happened in it, by name.
    pub faults: Vec<String>,
    /// Its outcome.
    pub outcome: Outcome,
}

/// The file of a run, which has a folder by its seed.
#[derive(Debug)]
pub struct State {
    /// The folder that holds it and the histories of failed rounds.
    pub folder: PathBuf,
    path: PathBuf,
}

impl State {
    /// The state of the run with this seed. Unless it is gone on with, what was there before is forgotten.
    ///
    /// # Errors
    /// When the folder cannot be made, or emptied.
    pub fn open(root: &Path, seed: u64, is_resumed: bool) -> anyhow::Result<Self> {
        let folder = root.join(seed.to_string());
        if !is_resumed && folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let path = folder.join("rounds.ndjson");
        if path.exists() {
            // A last line that was not written to its end is no round.
            let text = fs::read_to_string(&path)?;
            let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
            if whole.len() < text.len() {
                fs::write(&path, whole)?;
            }
        }
        Ok(Self { folder, path })
    }

    /// Rounds that are over.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn done(&self) -> anyhow::Result<Vec<Done>> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(&self.path)?;
        let parse = |line| serde_json::from_str(line).with_context(|| format!("a line of the state: {line}"));
        text.lines().map(parse).collect()
    }

    /// Adds a round.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, done: &Done) -> anyhow::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        let mut line = serde_json::to_vec(done)?;
        line.push(b'\n');
        Ok(file.write_all(&line)?)
    }
}

#[cfg(test)]
mod tests {
    use loadtest::services::TempFolder;

    use super::*;

    fn done(round: u64) -> Done {
        let outcome = Outcome { events: 5, ..Outcome::default() };
        Done { round, is_good: true, seconds: 1.5, faults: vec!["a".to_owned()], outcome }
    }

    #[test]
    fn a_run_is_gone_on_with_after_its_last_whole_round() {
        let folder = TempFolder::new("state").unwrap();
        let state = State::open(folder.path(), 7, false).unwrap();
        assert!(state.done().unwrap().is_empty());
        state.add(&done(1)).unwrap();
        state.add(&done(2)).unwrap();
        let mut file = OpenOptions::new().append(true).open(state.folder.join("rounds.ndjson")).unwrap();
        file.write_all(b"{\"round\":3,").unwrap();
        let again = State::open(folder.path(), 7, true).unwrap();
        let rounds: Vec<_> = again.done().unwrap().iter().map(|done| done.round).collect();
        assert_eq!(rounds, [1, 2]);
        again.add(&done(3)).unwrap();
        assert_eq!(again.done().unwrap().len(), 3);
        let anew = State::open(folder.path(), 7, false).unwrap();
        assert!(anew.done().unwrap().is_empty());
    }
}
