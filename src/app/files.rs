//! What only the machine can tell of a routes.toml that is good as a text: whether the files that it names can be used.

use crate::config::{Problem, Settings, problem_at};
use crate::side::Side;
use crate::upstream::{Tls, TlsError};
use std::error::Error;

/// Every problem with the files that settings name, at its place in the text.
pub(super) fn problems(settings: &Settings, text: &str) -> Vec<Problem> {
    let sides = Side::BOTH.into_iter().filter_map(|side| {
        let upstream = settings.upstream(side);
        let tls = upstream.tls.as_ref()?;
        let error = Tls::check(tls).err()?;
        Some(problem(side, &error, text))
    });
    sides.collect()
}

fn problem(side: Side, error: &TlsError, text: &str) -> Problem {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        message.push_str(&format!(": {error}"));
        source = error.source();
    }
    let hint = match error.path {
        Some(_) => "put the file right, then write routes.toml again or send SIGHUP",
        None => "name the roots that the side is to be judged by: tls = { ca = \"ca.pem\" }",
    };
    problem_at(
        text,
        &[side.name(), "tls", error.key],
        "bad-tls",
        message,
        hint,
    )
}
