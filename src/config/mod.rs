//! routes.toml: text -> checked, immutable [`Settings`], or every [`Problem`] with its place; edits that keep comments.
//!
//! Two kinds of type keep what a file may say apart from what the program may rely on: the walk over the TOML tree
//! (`walk`, and a file for each table), and [`settings`]. Nothing here reads a file or the environment.

mod address;
pub mod edit;
mod ids;
mod judging;
mod limits;
mod listen;
mod load;
mod log;
mod nesting;
mod problem;
mod protocol;
mod quoted;
mod render;
mod repair;
mod restart;
mod route;
mod rules;
mod samples;
mod scalar;
mod section;
mod server;
pub mod settings;
mod statement;
mod syntax;
#[cfg(test)]
mod tests;
mod tls;
pub mod units;
mod upstream;
mod url;
mod walk;
mod words;

pub use load::{Loaded, load, problem_at, repaired};
pub use problem::{Problem, Report, Severity, decode, is_valid};
pub use render::{Colour, render};
pub use restart::{restart_required, sha256};
pub use settings::Settings;
