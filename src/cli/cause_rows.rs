//! A cause as commands that judge show it: what each row of theirs begins with.

use crate::cli::words::printable;
use crate::compare::cause::Cause;
use serde::Serialize;

/// What the columns are called.
pub(super) const HEAD: [&str; 5] = ["CAUSE", "ROUTE", "PATHS", "KINDS", "CHANGE"];

/// What a cause is, without how much of it there is.
#[derive(Debug, Serialize)]
pub(super) struct CauseName {
    id: String,
    route: String,
    paths: Vec<String>,
    kinds: Vec<&'static str>,
    shape: String,
}

impl CauseName {
    /// A cause that goes by this id.
    pub(super) fn of<E>(route: &str, cause: &Cause<E>, id: String) -> Self {
        Self {
            id,
            route: route.to_owned(),
            paths: cause.paths.clone(),
            kinds: cause.kinds.iter().map(|kind| kind.name()).collect(),
            shape: cause.shape.clone(),
        }
    }

    /// What stands in the columns.
    pub(super) fn cells(&self) -> [String; 5] {
        [
            self.id.clone(),
            printable(&self.route),
            printable(&self.paths.join(" ")),
            self.kinds.join(" "),
            printable(&self.shape),
        ]
    }
}
