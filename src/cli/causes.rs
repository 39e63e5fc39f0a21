//! `crossfade causes`: what the mismatches of a running proxy have in common.

use crate::cli::output::{OutputArg, Status};
use crate::cli::proxy::ProxyArg;
use crate::cli::words::{printable, word};
use anyhow::Result;
use clap::Args;
use form_urlencoded::Serializer;
use serde_json::Value;

/// What the mismatches that a running proxy has seen have in common
#[derive(Debug, Args)]
#[command(after_long_help = "\
A cause is what many mismatches have in common: fields, how they differ, and the shape of the change. Each comes with examples,
with a command for each side that asks it the same (fields and bodies of requests are not kept), and with the line of routes.toml
that would silence it, if it is harmless.

Examples:
  crossfade causes                           of every route, those of most pairs first
  crossfade causes --route content
  crossfade causes --output json | jq -r '.causes[] | select(.state == \"open\") | .id'

Exit status:
  0  they are shown (there may be none)
  5  no proxy could be reached, or it refused
  2  the arguments can't be used")]
pub(super) struct Causes {
    /// Only those of this route
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    #[command(flatten)]
    proxy: ProxyArg,
    #[command(flatten)]
    output: OutputArg,
}

impl Causes {
    pub(super) fn run(self) -> Result<Status> {
        let mut path = "/api/causes".to_owned();
        if let Some(route) = &self.route {
            let query = Serializer::new(String::new())
                .append_pair("route", route)
                .finish();
            path = format!("{path}?{query}");
        }
        self.proxy.show(&path, self.output.output, text)
    }
}

fn text(answer: &Value) -> String {
    let causes = list(&answer["causes"]);
    let mismatches = answer["mismatches"].as_u64().unwrap_or(0);
    if causes.is_empty() {
        return "no mismatches".to_owned();
    }
    let number = |count: u64, one: &str, many: &str| {
        let word = if count == 1 { one } else { many };
        format!("{} {word}", grouped(count))
    };
    let mut lines = vec![format!(
        "{} {}",
        number(mismatches, "mismatch is", "mismatches are"),
        number(causes.len() as u64, "cause", "causes")
    )];
    if let Some(rest @ 1..) = answer["rest"].as_u64() {
        lines.push(format!(
            "({} more differences are told apart no longer: there were too many kinds of them)",
            grouped(rest)
        ));
    }
    for cause in causes {
        lines.push(String::new());
        lines.extend(paragraph(cause));
    }
    lines.join("\n")
}

fn paragraph(cause: &Value) -> Vec<String> {
    let keys = match cause["keys"].as_u64() {
        Some(keys) => format!(", about {} keys", grouped(keys)),
        None => String::new(),
    };
    let share = cause["share"].as_f64().unwrap_or(0.0) * 100.0;
    let mut lines = vec![format!(
        "{}  {}  {} pairs ({share:.1} % of the route's mismatches){keys}  {}",
        word(&cause["id"]),
        word(&cause["route"]),
        grouped(cause["pairs"].as_u64().unwrap_or(0)),
        word(&cause["state"]),
    )];
    let words = |value: &Value| list(value).iter().map(word).collect::<Vec<_>>();
    let mut paths = words(&cause["paths"]);
    let more = paths.len().saturating_sub(PATHS);
    paths.truncate(PATHS);
    if more > 0 {
        paths.push(format!("and {more} more"));
    }
    lines.push(format!(
        "  {}: {} ({})",
        word(&cause["shape"]),
        paths.join(" "),
        words(&cause["kinds"]).join(", ")
    ));
    lines.push(format!(
        "  seen from {} to {}, generation {}",
        word(&cause["first_seen"]),
        word(&cause["last_seen"]),
        words(&cause["generations"]).join(", "),
    ));
    if cause["ack"].is_object() {
        lines.push(format!(
            "  acknowledged at {} pairs until {}: {}",
            word(&cause["ack"]["pairs"]),
            word(&cause["ack"]["until"]),
            word(&cause["ack"]["note"]),
        ));
    }
    if let Some(rule) = cause["rule"].as_str() {
        for (number, line) in rule.lines().enumerate() {
            let lead = if number == 0 {
                "harmless?"
            } else {
                "      and"
            };
            lines.push(format!("  {lead} {}", printable(line)));
        }
    }
    for example in list(&cause["examples"]) {
        lines.push(format!(
            "  mismatch {}: {} {}",
            word(&example["id"]),
            word(&example["method"]),
            word(&example["target"]),
        ));
    }
    // One that can be asked again is enough to read; the others are in the JSON.
    if let Some(curl) = list(&cause["examples"])
        .last()
        .map(|example| &example["curl"])
        && curl.is_object()
    {
        lines.push(format!("    {}", word(&curl["old"])));
        lines.push(format!("    {}", word(&curl["new"])));
    }
    lines
}

/// Paths that are shown of a cause.
const PATHS: usize = 12;

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// 37112 as 37,112.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn many_mismatches_read_as_a_few_causes() {
        let cause = json!({
            "id": "0123456789ab", "route": "content", "paths": ["$.a", "$.b\u{1b}"], "kinds": ["changed"], "shape": "case",
            "pairs": 36_000, "share": 0.97, "keys": 1_200, "first_seen": "2026-01-01T00:00:00.000Z",
            "last_seen": "2026-01-02T00:00:00.000Z", "generations": [1, 2], "state": "open", "ack": null,
            "rule": "compare.ignore = [\"$.a\"]",
            "examples": [{"id": 7, "method": "GET", "target": "/a", "curl": {"old": "curl 'http://o/a'", "new": "curl 'http://n/a'"}}],
        });
        let mut other = cause.clone();
        other["keys"] = Value::Null;
        other["ack"] = json!({"note": "known", "until": "2030-01-01T00:00:00.000Z", "pairs": 5});
        other["paths"] = (0..20).map(|n| format!("$.f{n}")).collect();
        let text = text(&json!({"mismatches": 37_112, "rest": 3, "causes": [cause, other]}));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "37,112 mismatches are 2 causes");
        assert!(lines[1].starts_with("(3 more"), "{text}");
        assert_eq!(
            lines[3..11],
            [
                "0123456789ab  content  36,000 pairs (97.0 % of the route's mismatches), about 1,200 keys  open",
                "  case: $.a $.b\u{fffd} (changed)",
                "  seen from 2026-01-01T00:00:00.000Z to 2026-01-02T00:00:00.000Z, generation 1, 2",
                "  harmless? compare.ignore = [\"$.a\"]",
                "  mismatch 7: GET /a",
                "    curl 'http://o/a'",
                "    curl 'http://n/a'",
                "",
            ],
            "{text}"
        );
        assert!(text.contains("$.f11 and 8 more"), "{text}");
        assert!(
            text.contains("  acknowledged at 5 pairs until 2030-01-01T00:00:00.000Z: known"),
            "{text}"
        );
        let one = super::text(&json!({"mismatches": 1, "rest": 0, "causes": [{}]}));
        assert!(one.starts_with("1 mismatch is 1 cause\n"), "{one}");
        assert_eq!(
            super::text(&json!({"mismatches": 0, "causes": []})),
            "no mismatches"
        );
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
