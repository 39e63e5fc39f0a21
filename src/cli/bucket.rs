//! `crossfade bucket`: the bucket of a key, as every replica and every client computes it.

use crate::cli::output::{self, Output, OutputArg, Status};
use crate::route::bucket::bucket;
use anyhow::Result;
use clap::Args;
use serde_json::json;

/// The bucket of a key, one number from 0 to 9999
///
/// The new side serves a key if its bucket is below percent * 100. The salt is the route's `salt`, else
/// `migration.name`; what is mirrored goes by the same rule with the salt `SALT/shadow`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade bucket 0ad --salt tags            4281: new serves it from 42.82 percent on
  crossfade bucket 0ad --salt tags/shadow     7734: it is mirrored from 77.35 percent on

Exit status:
  0  always, once the arguments are right; 2 if they are not")]
pub(super) struct Bucket {
    /// The key's text
    #[arg(allow_hyphen_values = true)]
    key: String,
    /// The salt: the route's, else `migration.name`
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    salt: String,
    #[command(flatten)]
    output: OutputArg,
}

impl Bucket {
    pub(super) fn run(self) -> Result<Status> {
        let bucket = bucket(&self.salt, &self.key);
        match self.output.output {
            Output::Table => output::print(bucket)?,
            Output::Json => {
                output::print_json(&json!({"salt": self.salt, "key": self.key, "bucket": bucket}))?
            }
        }
        Ok(Status::Done)
    }
}
