//! The changes to the files of a folder, in order.
//!
//! Owns the list of folders that are watched, and what is written down of each. It knows nothing of SQLite.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::vfs;

/// A file, whatever names it has had. One that is deleted and made anew is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId(pub usize);

/// One thing that was done.
#[derive(Clone, Debug)]
pub enum Change {
    /// From now on the name is that of a new, empty file.
    Made {
        /// The name, without the folder.
        name: String,
        /// The file.
        file: FileId,
    },
    /// The name is nobody's any more.
    Deleted {
        /// The name, without the folder.
        name: String,
    },
    /// Bytes were written.
    Written {
        /// The file.
        file: FileId,
        /// The index of the first byte.
        at: usize,
        /// The bytes.
        bytes: Arc<[u8]>,
    },
    /// The file got another size.
    Resized {
        /// The file.
        file: FileId,
        /// The size.
        size: usize,
    },
    /// All changes to the bytes and the size of the file are on the disk.
    Synced {
        /// The file.
        file: FileId,
    },
    /// All changes to names are on the disk.
    FolderSynced,
    /// Something that whoever records has to say, such as that a commit was acknowledged.
    Marked(usize),
}

/// A folder, as it is watched.
#[derive(Clone, Debug)]
pub(crate) enum Watched {
    /// Changes to its files are written down.
    Recorded(Arc<Mutex<Recording>>),
    /// Its files are not synced.
    Unsynced,
}

/// The changes to a folder so far.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    changes: Vec<Change>,
    names: HashMap<String, FileId>,
    /// Files so far.
    files: usize,
}

impl Recording {
    /// The file of that name, which is made if there is none.
    pub(crate) fn open(&mut self, name: &str) -> FileId {
        if let Some(file) = self.names.get(name) {
            return *file;
        }
        let file = FileId(self.files);
        self.files += 1;
        self.names.insert(name.to_owned(), file);
        self.changes.push(Change::Made { name: name.to_owned(), file });
        file
    }

    /// Takes in that a name was deleted.
    pub(crate) fn delete(&mut self, name: &str) {
        if self.names.remove(name).is_some() {
            self.changes.push(Change::Deleted { name: name.to_owned() });
        }
    }

    /// Takes in what was done to a file, or to all names.
    pub(crate) fn push(&mut self, change: Change) {
        self.changes.push(change);
    }
}

/// The folders that are watched.
static WATCHED: Mutex<Option<HashMap<PathBuf, Watched>>> = Mutex::new(None);

/// The folder, if it is watched.
pub(crate) fn watched(folder: &Path) -> Option<Watched> {
    lock(&WATCHED).as_ref()?.get(folder).cloned()
}

/// Locks a mutex whose holders do not leave it half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch(folder: &Path, how: Watched) -> io::Result<Watch> {
    vfs::register();
    let folder = folder.canonicalize()?;
    lock(&WATCHED).get_or_insert_default().insert(folder.clone(), how);
    Ok(Watch(folder))
}

/// Has the folder watched while it lives.
#[derive(Debug)]
struct Watch(PathBuf);

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(watched) = lock(&WATCHED).as_mut() {
            watched.remove(&self.0);
        }
    }
}

/// Writes down what SQLite does to the files of a folder, as long as it lives.
#[derive(Debug)]
pub struct Recorder {
    recording: Arc<Mutex<Recording>>,
    _watch: Watch,
}

impl Recorder {
    /// Begins with the files that are in the folder, which are on the disk.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let mut recording = Recording::default();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && entry.file_type()?.is_file()
            {
                let bytes = fs::read(entry.path())?.into();
                let file = recording.open(&name);
                recording.push(Change::Written { file, at: 0, bytes });
                recording.push(Change::Synced { file });
            }
        }
        recording.push(Change::FolderSynced);
        let recording = Arc::new(Mutex::new(recording));
        let watch = watch(folder, Watched::Recorded(recording.clone()))?;
        Ok(Self { recording, _watch: watch })
    }

    /// Writes down a mark of one's own.
    pub fn mark(&self, mark: usize) {
        lock(&self.recording).push(Change::Marked(mark));
    }

    /// Returns the changes, from the beginning.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        lock(&self.recording).changes.clone()
    }
}

/// Spares the files of a folder all syncs while it lives: for databases that are thrown away anyhow.
#[derive(Debug)]
pub struct Unsynced(#[allow(dead_code, reason = "held, not read")] Watch);

impl Unsynced {
    /// Begins.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn new(folder: &Path) -> io::Result<Self> {
        watch(folder, Watched::Unsynced).map(Self)
    }
}
