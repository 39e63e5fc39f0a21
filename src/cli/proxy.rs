//! Which running proxy a command speaks with: the one that `--admin` names, else the one of the file.

use crate::cli::client::{AdminAddress, Client};
use crate::cli::file::{self, ConfigArg};
use crate::cli::output::{self, Output, Status};
use crate::cli::salvage::{DEFAULT_ADMIN, Salvage};
use anyhow::{Context, Result};
use clap::Args;
use http::HeaderValue;
use serde_json::Value;
use std::path::Path;

/// `--config` and `--admin`.
#[derive(Clone, Debug, Args)]
pub(super) struct ProxyArg {
    #[command(flatten)]
    pub(super) file: ConfigArg,
    /// The admin API of the running proxy [default: server.admin of the file]
    #[arg(long, value_name = "URL")]
    pub(super) admin: Option<AdminAddress>,
}

impl ProxyArg {
    /// The client for it. A file with errors, or none, does not hold up a rollback: what it says of the admin API is
    /// taken as it stands, and the default where it says nothing.
    pub(super) fn client(&self) -> Result<Client> {
        let said = Salvage::read(&self.file.config);
        let address = match (&self.admin, said.admin) {
            (Some(address), _) => address.clone(),
            (None, Some(address)) => address.into(),
            (None, None) => {
                let file = self.file.config.display();
                output::note(format!(
                    "{file} names no admin address; trying {DEFAULT_ADMIN}"
                ));
                DEFAULT_ADMIN.parse().context("the default is an address")?
            }
        };
        Ok(Client {
            address,
            token: said.token_file.map(|file| read_token(&file)).transpose()?,
        })
    }

    /// Shows what the proxy answers to a GET: in words, or as it came.
    pub(super) fn show(
        &self,
        path: &str,
        output: Output,
        words: impl FnOnce(&Value) -> String,
    ) -> Result<Status> {
        let answer = match self.client()?.get(path) {
            Ok(answer) => answer,
            Err(error) => {
                output::complain(format!("{error:#}"));
                return Ok(Status::Unreached);
            }
        };
        match output {
            Output::Table => output::print(words(&answer))?,
            Output::Json => output::print_json(&answer)?,
        }
        Ok(Status::Done)
    }
}

fn read_token(path: &Path) -> Result<HeaderValue> {
    let bytes = file::read_bytes(path).context("the token of the admin API")?;
    let mut value = HeaderValue::from_bytes(&[b"Bearer ", bytes.trim_ascii()].concat())
        .with_context(|| {
            format!(
                "{} holds no token: one line of visible characters",
                path.display()
            )
        })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_token_is_one_line_of_visible_characters() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "s3cret\n").unwrap();
        assert_eq!(read_token(&path).unwrap(), "Bearer s3cret");
        fs::write(&path, "two\nlines\n").unwrap();
        assert!(read_token(&path).is_err());
        assert!(read_token(&folder.path().join("absent")).is_err());
    }
}
