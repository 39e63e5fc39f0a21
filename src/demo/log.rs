//! Where the proxy's log goes while a screen is shown: lines between the tables would spoil both.

use crate::demo::error::DemoError;
use crate::demo::terminal::Terminal;
use crate::telemetry::log;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Mutex;

/// Name of the log in the folder of the state.
const FILE: &str = "demo.log";

/// Logs to a file in the folder of the state where there is a screen, else to standard error.
pub(super) fn install(state_dir: &Path) -> Result<(), DemoError> {
    if Terminal::present() {
        let made = fs::create_dir_all(state_dir).and_then(|()| File::create(state_dir.join(FILE)));
        let file = made.map_err(DemoError::system(
            "cannot write the log into server.state_dir",
        ))?;
        log::install(Mutex::new(file), false);
    } else {
        log::install(std::io::stderr, false);
    }
    Ok(())
}
