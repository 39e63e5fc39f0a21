//! What a running proxy needs to know of an edited file: is it another text, and which of its changes wait for a restart.

use crate::config::settings::Settings;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Keys that differ and take effect only after a restart. Everything else in the same edit applies.
#[must_use]
pub fn restart_required(running: &Settings, edited: &Settings) -> Vec<&'static str> {
    let (running, edited) = (&running.server, &edited.server);
    [
        ("server.listen", running.listen != edited.listen),
        ("server.admin", running.admin != edited.admin),
        ("server.workers", running.workers != edited.workers),
        ("server.state_dir", running.state_dir != edited.state_dir),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}

/// SHA-256 of a file's bytes, in hex: two reads of one content agree on it.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes every text");
            hex
        })
}
