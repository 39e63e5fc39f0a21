//! Where the proxy's log goes while a screen is shown: lines between the tables would spoil both.

use crate::demo::error::DemoError;
use crate::demo::terminal::Terminal;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Mutex;
use tracing::Level;

/// Name of the log in the folder of the state.
const FILE: &str = "demo.log";

/// Logs to a file in the folder of the state where there is a screen, else to standard error.
pub(super) fn install(state_dir: &Path) -> Result<(), DemoError> {
    let log = tracing_subscriber::fmt()
        .with_max_level(Level::INFO)
        .with_ansi(false);
    if Terminal::present() {
        let made = fs::create_dir_all(state_dir).and_then(|()| File::create(state_dir.join(FILE)));
        let file = made.map_err(DemoError::system(
            "cannot write the log into server.state_dir",
        ))?;
        // Whoever has installed a log before wants that one.
        let _ = log.with_writer(Mutex::new(file)).try_init();
    } else {
        let _ = log.with_writer(std::io::stderr).try_init();
    }
    Ok(())
}
