//! The functions that SQLite calls: each does what SQLite's own does, and those that change something say so.
//!
//! Owns all of the unsafe code. The file that SQLite's own functions know lies behind ours in memory that SQLite gives;
//! what needs no telling is passed on. Memory is mapped for the index of the write-ahead log alone, and that is made anew
//! after a crash: database and log are only written through here.

#![allow(unsafe_code, reason = "SQLite takes a file system as C functions")]

use std::{
    ffi::{CStr, CString, OsStr, c_char, c_int, c_void},
    mem,
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicPtr, Ordering},
    },
};

use libsqlite3_sys as ffi;

use crate::{
    VFS,
    recording::{Change, FileId, Recording, Watched, lock, watched},
};

/// SQLite's own functions; null until ours are registered.
static OWN: AtomicPtr<ffi::sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());

/// An open file: ours in front, and SQLite's own right behind it.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    /// A `Box`; null where nothing is told of the file.
    told: *mut OpenFile,
}

/// The instructions for an open file.
struct OpenFile {
    how: How,
    /// The next sync is also one of the folder, as SQLite does with a journal that may be new.
    syncs_folder: bool,
}

enum How {
    Recorded(Arc<Mutex<Recording>>, FileId),
    Unsynced,
}

/// Makes the disk known to SQLite, once.
pub(crate) fn register() {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    REGISTERED.get_or_init(|| {
        // SAFETY: Null asks for SQLite's own functions, which are there for as long as the process is.
        let own = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        assert!(!own.is_null(), "SQLite has a file system");
        // SAFETY: It points to a whole structure, which nobody changes once SQLite has begun. The functions in it that we
        // keep ask for nothing that the copy does not have.
        let mut ours = unsafe { *own };
        ours.szOsFile += c_int::try_from(mem::size_of::<File>()).expect("it is two pointers");
        ours.zName = CString::new(VFS).expect("it is a word").into_raw();
        ours.pNext = ptr::null_mut();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        OWN.store(own, Ordering::Release);
        // SAFETY: The structure and its name are never freed.
        let code = unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(ours)), 0) };
        assert_eq!(code, ffi::SQLITE_OK, "SQLite takes the disk");
    });
}

/// The watched folder of a file, and the name of the file in it.
///
/// # Safety
/// `path` is null or ends with a zero byte.
unsafe fn place(path: *const c_char) -> Option<(Watched, String)> {
    if path.is_null() {
        return None;
    }
    // SAFETY: By the contract of this function.
    let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()));
    let name = path.file_name()?.to_str()?.to_owned();
    Some((watched(path.parent()?)?, name))
}

/// The recording of what is done at this place, if there is one.
fn recorded(place: &Option<(Watched, String)>) -> Option<Arc<Mutex<Recording>>> {
    match place {
        Some((Watched::Recorded(recording), _)) => Some(recording.clone()),
        _ => None,
    }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    path: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    let ours = file.cast::<File>();
    // SAFETY: SQLite gives `szOsFile` bytes, of which the first are ours. Without methods the file counts as closed.
    unsafe { ours.write(File { base: ffi::sqlite3_file { pMethods: ptr::null() }, told: ptr::null_mut() }) };
    const TOLD: c_int = ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_WAL;
    // SAFETY: SQLite gives a path, or null for a temporary file.
    let place = if flags & TOLD == 0 { None } else { unsafe { place(path) } };
    // Changes have to be noted in the order in which they are done.
    let recording = recorded(&place);
    let mut recording = recording.as_deref().map(lock);
    let own = OWN.load(Ordering::Acquire);
    // SAFETY: The arguments from SQLite are passed on, with the file that lies behind ours.
    let code = unsafe {
        match (*own).xOpen {
            Some(open) => open(own, path, behind(file), flags, flags_out),
            None => ffi::SQLITE_CANTOPEN,
        }
    };
    // SAFETY: The file behind ours is either open, or has no methods.
    let is_open = code == ffi::SQLITE_OK && !unsafe { (*behind(file)).pMethods }.is_null();
    if !is_open {
        return code;
    }
    let how = match (place, &mut recording) {
        (Some((Watched::Recorded(told), name)), Some(recording)) => {
            Some(How::Recorded(told, recording.open(&name)))
        }
        (Some((Watched::Unsynced, _)), _) => Some(How::Unsynced),
        _ => None,
    };
    let syncs_folder = flags & ffi::SQLITE_OPEN_CREATE != 0
        && flags & (ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_WAL) != 0;
    let told = how.map_or(ptr::null_mut(), |how| Box::into_raw(Box::new(OpenFile { how, syncs_folder })));
    // SAFETY: As above; SQLite uses the file from now on, and nobody else does.
    unsafe { ours.write(File { base: ffi::sqlite3_file { pMethods: &raw const METHODS }, told }) };
    code
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, path: *const c_char, syncs_folder: c_int) -> c_int {
    // SAFETY: SQLite gives a path.
    let place = unsafe { place(path) };
    let recording = recorded(&place);
    let mut recording = recording.as_deref().map(lock);
    let own = OWN.load(Ordering::Acquire);
    // SAFETY: The arguments from SQLite are passed on.
    let code = unsafe {
        match (*own).xDelete {
            Some(delete) => delete(own, path, syncs_folder),
            None => ffi::SQLITE_IOERR_DELETE,
        }
    };
    if let (ffi::SQLITE_OK, Some(recording), Some((_, name))) = (code, &mut recording, &place) {
        recording.delete(name);
        if syncs_folder != 0 {
            recording.push(Change::FolderSynced);
        }
    }
    code
}

/// The file that SQLite's own functions know.
///
/// # Safety
/// `file` is one that SQLite has given to [`open`].
unsafe fn behind(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: SQLite gives room for both; two pointers keep the alignment.
    unsafe { file.cast::<File>().add(1).cast() }
}

/// Calls SQLite's own function on the file behind ours.
macro_rules! own {
    ($file:ident.$function:ident($($argument:ident),*)) => {{
        // SAFETY: The file was opened, since SQLite has our methods from it, so the one behind it has methods, too.
        // The arguments from SQLite are passed on.
        unsafe {
            let own = behind($file);
            (*(*own).pMethods).$function.map(|function| function(own $(, $argument)*))
        }
    }};
}

/// Functions that do what SQLite's own does, and nothing else.
macro_rules! pass_on {
    ($($name:ident => $function:ident($($argument:ident: $type:ty),*);)+) => {
        $(unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $type)*) -> c_int {
            own!(file.$function($($argument),*)).unwrap_or(ffi::SQLITE_IOERR)
        })+
    };
}

pass_on! {
    read => xRead(buffer: *mut c_void, size: c_int, at: i64);
    file_size => xFileSize(size: *mut i64);
    lock_file => xLock(level: c_int);
    unlock_file => xUnlock(level: c_int);
    check_reserved_lock => xCheckReservedLock(answer: *mut c_int);
    control => xFileControl(what: c_int, argument: *mut c_void);
    sector_size => xSectorSize();
    characteristics => xDeviceCharacteristics();
    map_index => xShmMap(page: c_int, size: c_int, extends: c_int, answer: *mut *mut c_void);
    lock_index => xShmLock(offset: c_int, count: c_int, flags: c_int);
    unmap_index => xShmUnmap(deletes: c_int);
}

unsafe extern "C" fn index_barrier(file: *mut ffi::sqlite3_file) {
    own!(file.xShmBarrier());
}

/// The instructions for an open file.
///
/// # Safety
/// `file` is one that [`open`] has opened, and SQLite makes one call on it at a time.
unsafe fn told<'a>(file: *mut ffi::sqlite3_file) -> Option<&'a mut OpenFile> {
    // SAFETY: `open` has put a `Box` there or null, and `close` frees it.
    unsafe { (*file.cast::<File>()).told.as_mut() }
}

/// Does `act`, and writes down the change if it succeeds. Nobody does anything else to the folder meanwhile.
///
/// # Safety
/// As that of [`told`].
unsafe fn record(
    file: *mut ffi::sqlite3_file,
    change: impl FnOnce(FileId) -> Change,
    act: impl FnOnce() -> c_int,
) -> c_int {
    // SAFETY: By the contract of this function.
    let Some(OpenFile { how: How::Recorded(recording, id), .. }) = (unsafe { told(file) }) else {
        return act();
    };
    let mut recording = lock(recording);
    let code = act();
    if code == ffi::SQLITE_OK {
        recording.push(change(*id));
    }
    code
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    size: c_int,
    at: i64,
) -> c_int {
    let change = |file| {
        let size = usize::try_from(size).expect("a size is positive");
        // SAFETY: SQLite gives so many bytes.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), size) };
        Change::Written { file, at: usize::try_from(at).expect("a place is positive"), bytes: bytes.into() }
    };
    let act = || own!(file.xWrite(bytes, size, at)).unwrap_or(ffi::SQLITE_IOERR_WRITE);
    // SAFETY: SQLite gives an open file.
    unsafe { record(file, change, act) }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    let change = |file| Change::Resized { file, size: usize::try_from(size).expect("a size is positive") };
    let act = || own!(file.xTruncate(size)).unwrap_or(ffi::SQLITE_IOERR_TRUNCATE);
    // SAFETY: SQLite gives an open file.
    unsafe { record(file, change, act) }
}

/// A recorded file need not be synced: a crash is made of the recording.
unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite gives an open file.
    match unsafe { told(file) } {
        None => own!(file.xSync(flags)).unwrap_or(ffi::SQLITE_IOERR_FSYNC),
        Some(OpenFile { how: How::Unsynced, .. }) => ffi::SQLITE_OK,
        Some(OpenFile { how: How::Recorded(recording, file), syncs_folder }) => {
            let mut recording = lock(recording);
            recording.push(Change::Synced { file: *file });
            if mem::take(syncs_folder) {
                recording.push(Change::FolderSynced);
            }
            ffi::SQLITE_OK
        }
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let code = own!(file.xClose()).unwrap_or(ffi::SQLITE_IOERR_CLOSE);
    // SAFETY: SQLite is done with the file, and `open` has made the `Box`.
    unsafe {
        let told = mem::replace(&mut (*file.cast::<File>()).told, ptr::null_mut());
        if !told.is_null() {
            drop(Box::from_raw(told));
        }
    }
    code
}

/// Version 2: without mapping the database itself.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock_file),
    xUnlock: Some(unlock_file),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(map_index),
    xShmLock: Some(lock_index),
    xShmBarrier: Some(index_barrier),
    xShmUnmap: Some(unmap_index),
    xFetch: None,
    xUnfetch: None,
};
