//! An explanation in words.

use crate::cli::explain::decision::{Explanation, Rejection};
use crate::cli::explain::request::Asked;
use crate::cli::output::{STRONG, columns};
use crate::plan::build::Plan;
use crate::redact;
use crate::route::bucket::BUCKETS;

/// The request, then a line for each thing that the decision went by.
pub(super) fn text(plan: &Plan, asked: &Asked, explained: &Explanation) -> String {
    let mut rows = vec![("route", route(plan, explained))];
    if let Some(rejection) = explained.rejected {
        rows.push(("refused", refused(rejection)));
    } else {
        rows.push(("key", key(plan, explained)));
        if let Some(bucket) = explained.bucket {
            rows.push((
                "bucket",
                format!(
                    "{bucket} of {BUCKETS}, under the salt \"{}\"",
                    explained.salt
                ),
            ));
        }
        rows.push(("served by", served(plan, explained)));
        rows.push(("mirrored", mirrored(plan, explained)));
        rows.push(("fallback", fallback(explained).to_owned()));
    }
    if let Some(generation) = explained.generation {
        rows.push(("generation", generation.to_string()));
    }
    format!(
        "{STRONG}{} {}{STRONG:#}\n{}",
        asked.method,
        redact::target(asked.target.as_str()),
        columns(&rows)
    )
}

fn route(plan: &Plan, explained: &Explanation) -> String {
    let named = plan
        .settings
        .routes
        .iter()
        .find(|route| route.name == explained.route);
    match named {
        Some(route) => format!("{} ({})", route.name, route.pattern.as_str()),
        None => format!("{}: no route of the file matches", explained.route),
    }
}

fn refused(rejection: Rejection) -> String {
    let reason = match rejection.reason {
        "encoded_path" => {
            "the route has a key, and two parsers could read %2F or a dot segment differently"
        }
        "method" => "CONNECT and TRACE are not proxied",
        "uri_too_long" => "the path and query are longer than the proxy takes",
        _ => "* is a target of OPTIONS only, and Host must be one host with an optional port",
    };
    format!("{} {}: {reason}", rejection.status, rejection.reason)
}

fn key(plan: &Plan, explained: &Explanation) -> String {
    let named = plan
        .settings
        .routes
        .iter()
        .find(|route| route.name == explained.route);
    match (named.and_then(|route| route.key.as_ref()), &explained.key) {
        (None, _) => "none: the route has no key".to_owned(),
        (Some(template), Some(key)) => {
            format!("\"{}\" from {}", key.escape_debug(), template.as_str())
        }
        (Some(template), None) => {
            format!(
                "absent: a part of {} is missing, empty, not UTF-8, over 1,024 bytes or ambiguous",
                template.as_str()
            )
        }
    }
}

fn served(plan: &Plan, explained: &Explanation) -> String {
    let (side, why) = (
        explained.side.unwrap_or_default(),
        explained.why.unwrap_or_default(),
    );
    let percent = explained.percent;
    let reason = match (why, explained.bucket) {
        ("override", _) => format!("the override of the admin API says so: {}", overrule(plan)),
        ("total", _) => format!("migration.serve = \"{side}\""),
        ("route", _) => format!("the route's serve = \"{side}\""),
        ("write", _) => "it is not a read".to_owned(),
        ("pin", _) => "the key is pinned".to_owned(),
        ("no_key", _) => "there is no key to go by".to_owned(),
        (_, Some(bucket)) => {
            let below = (percent * 100.0).round();
            let relation = if f64::from(bucket) < below {
                "is below"
            } else {
                "is not below"
            };
            format!("{bucket} {relation} {below}, the steps of {percent} percent")
        }
        (_, None) => format!("the route has no key and percent = {percent}"),
    };
    format!("{STRONG}{side}{STRONG:#} ({why}): {reason}")
}

fn overrule(plan: &Plan) -> String {
    match &plan.overrule {
        Some(saved) => format!("\"{}\", since {}", saved.reason.escape_debug(), saved.at),
        None => "no reason given".to_owned(),
    }
}

fn mirrored(plan: &Plan, explained: &Explanation) -> String {
    let side = explained.shadow.side.unwrap_or_default();
    let bucket = explained
        .shadow
        .bucket
        .map(|bucket| format!(", shadow bucket {bucket}"))
        .unwrap_or_default();
    let named = plan
        .settings
        .routes
        .iter()
        .find(|route| route.name == explained.route);
    let share = named.map_or(0.0, |route| route.shadow.percent.percent());
    match explained.shadow.sampled {
        Some(true) => format!("{side} gets a copy (shadow = {share}{bucket})"),
        Some(false) if !explained.read => "no: it is not a read".to_owned(),
        Some(false) if !plan.switches.shadow => "no: migration.shadow = false".to_owned(),
        Some(false) => format!("no (shadow = {share}{bucket})"),
        None => format!("{side} gets a copy of {share} percent of such requests, at random"),
    }
}

fn fallback(explained: &Explanation) -> &'static str {
    match (explained.fallback, explained.side) {
        (true, _) => "old is asked if new fails before its answer begins",
        (false, Some("new")) => "none: if new fails, the client sees it",
        (false, _) => "none: old serves",
    }
}
