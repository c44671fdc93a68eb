//! A disk: what is sure to be on it, and what may be left of the rest when the power fails.
//!
//! Owns the model. Bytes and sizes are sure once their file was synced, names once the folder was. Each write since
//! then may be there or not, or some of its sectors, whatever the order; a file may have its new size without its new
//! bytes. Bytes beside those that were written are never touched (SQLite's "powersafe overwrite").

use std::{collections::BTreeMap, fs, io, path::Path, sync::Arc};

use crate::{
    random::Random,
    recording::{Change, FileId},
};

/// The bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;

/// The bytes of files, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(pub BTreeMap<String, Vec<u8>>);

impl Files {
    /// Lays the files into a folder.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn lay(&self, folder: &Path) -> io::Result<()> {
        self.0.iter().try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes))
    }
}

/// The honesty of a disk about syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Honesty {
    /// Synced bytes and names are on the disk.
    Honest,
    /// Syncs do nothing.
    Lying,
}

/// A folder on a disk, to which changes are done one by one.
#[derive(Debug)]
pub struct Disk {
    /// The contents of the files, by the number of the file.
    files: Vec<Contents>,
    names: BTreeMap<String, Name>,
    honesty: Honesty,
}

/// The bytes of a file.
#[derive(Debug, Default)]
struct Contents {
    /// Those that are sure.
    sure: Vec<u8>,
    /// The edits since then.
    since: Vec<Edit>,
}

#[derive(Debug)]
enum Edit {
    Write { at: usize, bytes: Arc<[u8]> },
    Resize(usize),
}

/// The file that a name belongs to.
#[derive(Debug, Default)]
struct Name {
    /// The one that is sure.
    sure: Option<FileId>,
    /// Those since then, in order.
    since: Vec<Option<FileId>>,
}

/// The chances of one change that was not synced, in hundredths.
#[derive(Clone, Copy, Debug)]
struct Luck {
    /// It is done.
    done: usize,
    /// If not, some of its sectors are written.
    torn: usize,
    /// True if parts of a file that were never written show what an older file has left there.
    stale: bool,
}

impl Disk {
    /// An empty folder.
    #[must_use]
    pub const fn new(honesty: Honesty) -> Self {
        Self { files: Vec::new(), names: BTreeMap::new(), honesty }
    }

    /// From now on syncs do something, or nothing.
    pub const fn be(&mut self, honesty: Honesty) {
        self.honesty = honesty;
    }

    /// Does what was recorded.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Made { name, file } => {
                if self.files.len() <= file.0 {
                    self.files.resize_with(file.0 + 1, Contents::default);
                }
                self.names.entry(name.clone()).or_default().since.push(Some(*file));
            }
            Change::Deleted { name } => self.names.entry(name.clone()).or_default().since.push(None),
            Change::Written { file, at, bytes } => {
                self.edit(*file, Edit::Write { at: *at, bytes: bytes.clone() });
            }
            Change::Resized { file, size } => self.edit(*file, Edit::Resize(*size)),
            Change::Synced { .. } | Change::FolderSynced if self.honesty == Honesty::Lying => (),
            Change::Synced { file } => {
                if let Some(contents) = self.files.get_mut(file.0) {
                    contents.sync();
                }
            }
            Change::FolderSynced => self.names.values_mut().for_each(Name::sync),
            Change::Marked(_) => (),
        }
    }

    fn edit(&mut self, file: FileId, edit: Edit) {
        if let Some(contents) = self.files.get_mut(file.0) {
            contents.since.push(edit);
        }
    }

    /// Returns files as they may be if the power fails now.
    #[must_use]
    pub fn crash(&self, random: &mut Random) -> Files {
        let luck = Luck {
            done: [0, 10, 50, 90, 100][random.below(5)],
            torn: [0, 50, 100][random.below(3)],
            stale: random.is(30),
        };
        let mut files = BTreeMap::new();
        for (name, Name { sure, since }) in &self.names {
            let nth = if random.is(luck.done) { since.len() } else { random.below(since.len() + 1) };
            let file = nth.checked_sub(1).map_or(*sure, |nth| since[nth]);
            if let Some(contents) = file.and_then(|file| self.files.get(file.0)) {
                files.insert(name.clone(), contents.crash(luck, random));
            }
        }
        Files(files)
    }
}

impl Name {
    fn sync(&mut self) {
        if let Some(last) = self.since.pop() {
            self.sure = last;
            self.since.clear();
        }
    }
}

impl Contents {
    fn sync(&mut self) {
        for edit in self.since.drain(..) {
            match edit {
                Edit::Write { at, bytes } => write(&mut self.sure, at, &bytes),
                Edit::Resize(size) => self.sure.resize(size, 0),
            }
        }
    }

    fn crash(&self, luck: Luck, random: &mut Random) -> Vec<u8> {
        let mut left = self.sure.clone();
        for edit in &self.since {
            let is_done = random.is(luck.done);
            match edit {
                Edit::Resize(size) if is_done => left.resize(*size, 0),
                Edit::Write { at, bytes } if is_done => write(&mut left, *at, bytes),
                Edit::Write { at, bytes } if random.is(luck.torn) => {
                    tear(&mut left, *at, bytes, luck, random)
                }
                Edit::Write { .. } | Edit::Resize(_) => (),
            }
        }
        left
    }
}

fn write(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}

/// Writes some of the sectors.
fn tear(file: &mut Vec<u8>, at: usize, bytes: &[u8], luck: Luck, random: &mut Random) {
    let (before, end) = (file.len(), at + bytes.len());
    if before < end && random.is(50) {
        // The size is written with the folder, the bytes are not.
        file.resize_with(end, || if luck.stale { random.next().to_le_bytes()[0] } else { 0 });
    }
    let mut from = at;
    while from < end {
        let until = (from / SECTOR + 1).saturating_mul(SECTOR).min(end);
        if random.is(50) {
            write(file, from, &bytes[from - at..until - at]);
        }
        from = until;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = FileId(0);

    fn made(name: &str, file: usize) -> Change {
        Change::Made { name: name.to_owned(), file: FileId(file) }
    }

    fn written(at: usize, bytes: &[u8]) -> Change {
        Change::Written { file: FILE, at, bytes: bytes.into() }
    }

    /// The files that may be left after these changes, as far as four hundred crashes tell.
    fn left(honesty: Honesty, changes: &[Change]) -> Vec<Option<Vec<u8>>> {
        let mut disk = Disk::new(honesty);
        changes.iter().for_each(|change| disk.apply(change));
        let mut random = Random::new(1);
        let mut left: Vec<_> = (0..400).map(|_| disk.crash(&mut random).0.remove("a")).collect();
        left.sort();
        left.dedup();
        left
    }

    #[test]
    fn what_is_synced_stays_and_the_rest_may() {
        let sure = [made("a", 0), written(0, b"one"), Change::Synced { file: FILE }, Change::FolderSynced];
        assert_eq!(left(Honesty::Honest, &sure), [Some(b"one".to_vec())]);
        assert!(left(Honesty::Lying, &sure).contains(&None));
        let more = [&sure[..], &[written(3, b"two")]].concat();
        let sizes = [Some(b"one".to_vec()), Some(b"onetwo".to_vec())];
        assert!(sizes.iter().all(|files| left(Honesty::Honest, &more).contains(files)));
        let cut = [&sure[..], &[Change::Resized { file: FILE, size: 1 }]].concat();
        assert_eq!(left(Honesty::Honest, &cut), [Some(b"o".to_vec()), Some(b"one".to_vec())]);
    }

    #[test]
    fn a_write_is_torn_at_the_borders_of_sectors_alone() {
        let (old, new) = (vec![1; 3 * SECTOR], vec![2; SECTOR]);
        let changes = [
            made("a", 0),
            written(0, &old),
            Change::Synced { file: FILE },
            Change::FolderSynced,
            written(SECTOR / 2, &new),
        ];
        let left = left(Honesty::Honest, &changes);
        assert_eq!(left.len(), 4, "each half is there, or is not");
        for file in left.into_iter().flatten() {
            assert!(file.chunks(SECTOR / 2).all(|half| half.iter().all(|byte| *byte == half[0])));
            assert_eq!((file.len(), file[0], file[2 * SECTOR]), (3 * SECTOR, 1, 1), "what lies beside it");
        }
    }

    #[test]
    fn a_name_is_that_of_the_file_before_until_the_folder_is_synced() {
        let before = [made("a", 0), written(0, b"one"), Change::Synced { file: FILE }, Change::FolderSynced];
        let deleted = [&before[..], &[Change::Deleted { name: "a".to_owned() }]].concat();
        assert_eq!(left(Honesty::Honest, &deleted), [None, Some(b"one".to_vec())]);
        let anew = [&deleted[..], &[made("a", 1)]].concat();
        assert_eq!(left(Honesty::Honest, &anew), [None, Some(Vec::new()), Some(b"one".to_vec())]);
        let synced = [&anew[..], &[Change::FolderSynced]].concat();
        assert_eq!(left(Honesty::Honest, &synced), [Some(Vec::new())]);
    }
}
