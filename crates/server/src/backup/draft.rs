//! A file that gets its name when all of it is there.
//!
//! It is written under its name with `.part` behind it; then its bytes are made
//! durable, it is renamed, and the directory is made durable (rule 13). A file
//! that has the name already is never replaced. What is dropped before its end
//! is removed; what a killed process left is in the way of the next one, and
//! said so.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::process::failure::{Exit, Failure};

/// Bytes that gather before they are flushed, so that the end is no burst.
const FLUSH_BYTES: u64 = 32 << 20;

/// A file on its way to its name.
#[derive(Debug)]
pub(super) struct Draft {
    file: File,
    part: PathBuf,
    target: PathBuf,
    bytes: u64,
    unflushed: u64,
    is_named: bool,
}

impl Draft {
    /// Begins a file.
    ///
    /// # Errors
    /// There is one of that name, or of its part's; or the directory refuses.
    pub(super) fn begin(target: &Path) -> Result<Self, Failure> {
        if target.symlink_metadata().is_ok() {
            return Err(exists(target));
        }
        let part = part_of(target);
        let file = File::options().write(true).create_new(true).open(&part);
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::config(format!(
                "{} is there already: another command writes it, or one that was killed left it; \
                 remove it then",
                part.display()
            )),
            _ => failed("make", &part, &error),
        })?;
        let target = target.to_owned();
        Ok(Self { file, part, target, bytes: 0, unflushed: 0, is_named: false })
    }

    /// Bytes written so far.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The name that it gets.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Appends.
    ///
    /// # Errors
    /// The disk is full or broken.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| failed("write", &self.part, &error))?;
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.bytes += len;
        self.unflushed += len;
        if self.unflushed >= FLUSH_BYTES {
            self.unflushed = 0;
            self.file.sync_data().map_err(|error| failed("flush", &self.part, &error))?;
        }
        Ok(())
    }

    /// Makes it durable under its name.
    ///
    /// # Errors
    /// It has no name then; or, when only the directory could not be flushed,
    /// perhaps not for ever.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.file.sync_all().map_err(|error| failed("flush", &self.part, &error))?;
        rename_new(&self.part, &self.target)?;
        self.is_named = true;
        sync_directory(&self.target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_named {
            // Left behind it is in nobody's way but the next command's.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// The file's name while it is written.
fn part_of(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    target.with_file_name(name)
}

/// Renames unless somebody was faster.
fn rename_new(from: &Path, to: &Path) -> Result<(), Failure> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::EXIST) => Err(exists(to)),
        // A file system that cannot do both in one step.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            if to.symlink_metadata().is_ok() {
                return Err(exists(to));
            }
            fs::rename(from, to).map_err(|error| failed("rename", from, &error))
        }
        Err(error) => Err(failed("rename", from, &error.into())),
    }
}

/// Makes the directory of a file durable.
pub(super) fn sync_directory(of: &Path) -> Result<(), Failure> {
    let parent = of.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let synced = File::open(parent).and_then(|dir| dir.sync_all());
    synced.map_err(|error| failed("flush the directory of", of, &error))
}

/// Something that the file system refused.
pub(super) fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::runtime(format!(
        "cannot {what} {}: {error}; look for room and permissions there",
        path.display()
    ))
}

fn exists(target: &Path) -> Failure {
    Failure::new(
        Exit::Config,
        format!("{} is there already and stays as it is; say another name", target.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::Draft;

    #[test]
    fn a_file_has_its_name_when_it_is_whole_and_takes_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.backup");
        let names = || std::fs::read_dir(dir.path()).unwrap().count();
        let mut given_up = Draft::begin(&path).unwrap();
        given_up.write(b"half").unwrap();
        assert!(!path.exists());
        assert!(Draft::begin(&path).unwrap_err().message.contains("a.backup.part"));
        drop(given_up);
        assert_eq!(names(), 0);
        let mut draft = Draft::begin(&path).unwrap();
        draft.write(b"all of it").unwrap();
        // Somebody else is faster.
        std::fs::write(&path, b"another's").unwrap();
        assert!(draft.finish().is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"another's");
        assert!(Draft::begin(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        let mut draft = Draft::begin(&path).unwrap();
        draft.write(b"all of it").unwrap();
        assert_eq!(draft.bytes(), 9);
        draft.finish().unwrap();
        assert_eq!((std::fs::read(&path).unwrap().as_slice(), names()), (&b"all of it"[..], 1));
    }
}
