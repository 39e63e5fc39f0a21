//! A file that one process has, and what its errors mean.

use crate::store::StateDir;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Why a file can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Another process has the file.
    #[error("another process has {}", _0.display())]
    Locked(PathBuf),
    /// The file is not what was written there.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// It would have to be larger than it may be.
    #[error("{} is full", _0.display())]
    Full(PathBuf),
    /// The file system refuses, or an earlier error is not over.
    #[error("{}: {what}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What it says.
        what: String,
    },
}

/// Opens a file of `state_dir`; one that is damaged is put aside, until the next one takes its place there, and a new one begun. One that was never finished
/// holds nothing, and is begun anew without a word: a disk that is full leaves one each time it is tried.
///
/// # Errors
/// Those of opening it, and of the directory. The words name what is in it.
pub fn open<D>(
    state: &StateDir,
    path: &Path,
    words: &str,
    open: impl Fn(&Path) -> Result<D, FileError>,
) -> Result<D, FileError> {
    let storage = |what: String| FileError::Storage {
        path: path.to_owned(),
        what,
    };
    state.make().map_err(|error| storage(error.to_string()))?;
    match open(path) {
        Err(FileError::Damaged { .. }) if is_unfinished(path) => {
            fs::remove_file(path).map_err(|error| storage(error.to_string()))?;
            open(path)
        }
        Err(error @ FileError::Damaged { .. }) => {
            let aside = path.with_extension("redb.damaged");
            tracing::error!(%error, aside = %aside.display(), "{words} are damaged: they are put aside, and begun anew");
            fs::rename(path, &aside).map_err(|error| storage(error.to_string()))?;
            open(path)
        }
        opened => opened,
    }
}

/// Whether a file has its length and not its mark: redb writes that last, when all else of a new file is on the disk.
fn is_unfinished(path: &Path) -> bool {
    const MARK: usize = b"redb\x1A\x0A\xA9\x0D\x0A".len();
    let mut mark = [1; MARK];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut mark));
    read.is_ok() && mark == [0; MARK]
}

/// Opens a file that nobody else has, and nobody else may read, or makes it.
///
/// # Errors
/// Those of the file system, and where somebody has it.
pub fn own_file(path: &Path) -> Result<File, redb::Error> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    // Here, and not by redb: its own locks would have to be passed on by what bounds the file.
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(redb::Error::DatabaseAlreadyOpen),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    // The mode above counts only for a file that is new.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Does something with the file, and says what its error means. A damaged file may break assumptions of redb: that is damage, not the end of the thread.
///
/// # Errors
/// That one.
pub fn guarded<T>(
    path: &Path,
    work: impl FnOnce() -> Result<T, redb::Error>,
) -> Result<T, FileError> {
    let path = path.to_owned();
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(meaning(path, &error)),
        Err(_) => Err(FileError::Damaged {
            path,
            what: "reading it broke off".to_owned(),
        }),
    }
}

fn meaning(path: PathBuf, error: &redb::Error) -> FileError {
    let damaged = match error {
        redb::Error::DatabaseAlreadyOpen => return FileError::Locked(path),
        redb::Error::Io(error) if error.kind() == ErrorKind::FileTooLarge => {
            return FileError::Full(path);
        }
        redb::Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof
        ),
        redb::Error::Corrupted(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. } => true,
        _ => false,
    };
    let what = error.to_string();
    if damaged {
        FileError::Damaged { path, what }
    } else {
        FileError::Storage { path, what }
    }
}
