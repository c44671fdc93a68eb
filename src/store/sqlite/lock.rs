//! The lock of an SQLite file: one process serves it.
//!
//! SQLite itself would let a second server in, whose readers would hear late of what the first one commits: the bus of an
//! SQLite file is inside the process. Commands that write and end, and whoever only reads, do without the lock.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// The ending of the name of the file that is locked; the rest is that of the database.
const SUFFIX: &str = ".lock";

/// The files that this process has locked. Its servers share a lock: the system would refuse them a second one.
static LOCKED: Mutex<Option<HashMap<PathBuf, Weak<File>>>> = Mutex::new(None);

/// Holds the lock of a database for as long as it lives. The system lets go of it when the process ends, however it ends.
#[derive(Clone, Debug)]
pub struct FileLock(#[allow(dead_code, reason = "held, not read")] Arc<File>);

/// Why a database file is not to be served.
#[derive(Debug, thiserror::Error)]
pub enum FileLockError {
    /// Another process serves it.
    #[error(
        "the database file {} is served by {} already, and has one server at a time",
        file.display(),
        match holder {
            Some(pid) => format!("process {pid}"),
            None => "another process".to_owned(),
        }
    )]
    InUse {
        /// The database.
        file: PathBuf,
        /// The process, where it has told.
        holder: Option<u32>,
    },
    /// It has several names, each of which would have a lock, and a write-ahead log, of its own.
    #[error(
        "the database file {} has {names} names (hard links), and SQLite would ruin it under a second one; remove the others",
        file.display()
    )]
    SeveralNames {
        /// The database.
        file: PathBuf,
        /// The number of its names.
        names: u64,
    },
    /// The system does not give the lock.
    #[error("the database file {} cannot be locked: {source}", file.display())]
    Io {
        /// The database.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FileLock {
    /// Takes the lock of a database, which need not be there yet, or shares that which this process has. Its folder is made
    /// if it is missing.
    ///
    /// # Errors
    /// See [`FileLockError`].
    pub fn take(database: &Path) -> Result<Self, FileLockError> {
        let failed = |source| FileLockError::Io { file: database.to_owned(), source };
        if let Some(folder) = database.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = real_path(database).map_err(failed)?;
        let names = names(&file).map_err(failed)?;
        if names > 1 {
            return Err(FileLockError::SeveralNames { file, names });
        }
        let mut locked = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
        let locked = locked.get_or_insert_default();
        locked.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locked.get(&file).and_then(Weak::upgrade) {
            return Ok(Self(lock));
        }
        let lock = Arc::new(lock(&file)?);
        locked.insert(file, Arc::downgrade(&lock));
        Ok(Self(lock))
    }
}

fn lock(file: &Path) -> Result<File, FileLockError> {
    let failed = |source| FileLockError::Io { file: file.to_owned(), source };
    let mut name = file.as_os_str().to_owned();
    name.push(SUFFIX);
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(name);
    let mut lock = opened.map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => (),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Whoever has just taken it may not have told yet.
            let told = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(FileLockError::InUse { file: file.to_owned(), holder: told });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let tell = |lock: &mut File| {
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())
    };
    tell(&mut lock).map_err(failed)?;
    Ok(lock)
}

/// The file itself, whatever the path to it and its links.
fn real_path(database: &Path) -> io::Result<PathBuf> {
    match database.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
            let name = database.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
            Ok(folder.unwrap_or(Path::new(".")).canonicalize()?.join(name))
        }
        outcome => outcome,
    }
}

/// The number of names that the file has; 1 if it is not there.
#[cfg(unix)]
fn names(file: &Path) -> io::Result<u64> {
    match file.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(1),
        metadata => metadata.map(|metadata| std::os::unix::fs::MetadataExt::nlink(&metadata)),
    }
}

/// The number of names is not known here; 1 stands for it.
#[cfg(not(unix))]
fn names(_: &Path) -> io::Result<u64> {
    Ok(1)
}
