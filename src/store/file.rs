//! Files that others write while they are read.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// More bytes than this are no file of settings or certificates, and would only fill the memory.
const MOST: u64 = 16 << 20;

/// A file's bytes, unless they are more than any file of settings has.
///
/// # Errors
/// Where it can't be read.
pub fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = fs::File::open(path)?.take(MOST + 1);
    file.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other("it has more than 16 MiB"));
    }
    Ok(bytes)
}

/// What stands in the place of a file that is followed. A pipe or a device is not opened: that may wait for ever, and the
/// admin API waits in the same thread.
///
/// # Errors
/// Where it can't be read.
pub fn present(path: &Path) -> io::Result<Vec<u8>> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() || kind.is_dir() {
        bytes(path)
    } else {
        Err(io::Error::other("it is a pipe, a socket or a device"))
    }
}
