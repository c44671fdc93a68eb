//! A disk that is small, to be filled: a file system in memory, for which it takes root or `sudo`.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use super::{TempFolder, run};

/// The name of the folders of disks.
pub(super) const LABEL: &str = "disk";

/// A small disk; it is unmounted when the handle goes.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempFolder,
}

impl SmallDisk {
    /// A disk of so many MiB, owned by this user.
    pub fn mount(mebibytes: u32) -> anyhow::Result<Self> {
        Self::mount_for(
            mebibytes,
            run(Command::new("id").arg("-u"))?.trim(),
            run(Command::new("id").arg("-g"))?.trim(),
        )
    }

    /// A disk owned by another user.
    pub(super) fn mount_for(mebibytes: u32, uid: &str, gid: &str) -> anyhow::Result<Self> {
        let folder = TempFolder::new(LABEL)?;
        let options = format!("size={mebibytes}m,uid={uid},gid={gid},mode=0700");
        let mut mount = as_root("mount")?;
        run(mount.args(["-t", "tmpfs", "-o", &options, "revcast-test"]).arg(folder.path()))
            .context("a small disk takes root, or sudo without a password")?;
        Ok(Self { folder })
    }

    /// The folder in which it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves no room on it, until [`free`](Self::free).
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut file = File::create(self.filling())?;
        let block = [1; 4096];
        loop {
            match file.write_all(&block) {
                Ok(()) => (),
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes room again.
    pub fn free(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.filling())?)
    }

    fn filling(&self) -> PathBuf {
        self.path().join("filling")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(self.folder.path());
    }
}

/// Takes a disk away; nothing happens where there is none. Whoever has a file open there keeps it until they end.
pub(super) fn unmount(path: &Path) {
    let _ = as_root("umount").map(|mut umount| run(umount.arg("-l").arg(path)));
}

fn as_root(program: &str) -> anyhow::Result<Command> {
    if run(Command::new("id").arg("-u"))?.trim() == "0" {
        return Ok(Command::new(program));
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", program]);
    Ok(sudo)
}
