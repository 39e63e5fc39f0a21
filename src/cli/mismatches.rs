//! `crossfade mismatches`: the latest pairs of answers that differ, from a running proxy.

use crate::cli::output::{OutputArg, Status};
use crate::cli::proxy::ProxyArg;
use crate::cli::words::word;
use anyhow::Result;
use clap::Args;
use comfy_table::{Table, presets};
use form_urlencoded::Serializer;
use serde_json::Value;

/// The latest mismatches that a running proxy has seen, newest first
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  crossfade mismatches                           the latest 50, of every route
  crossfade mismatches --route content --limit 5
  crossfade mismatches --output json | jq '.mismatches[0].patch'

Exit status:
  0  they are shown (there may be none)
  5  no proxy could be reached, or it refused
  2  the arguments can't be used")]
pub(super) struct Mismatches {
    /// Only those of this route
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// How many at most, from 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[command(flatten)]
    proxy: ProxyArg,
    #[command(flatten)]
    output: OutputArg,
}

impl Mismatches {
    pub(super) fn run(self) -> Result<Status> {
        self.proxy.show(&self.path(), self.output.output, text)
    }

    fn path(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("limit", &self.limit.to_string());
        if let Some(route) = &self.route {
            query.append_pair("route", route);
        }
        format!("/api/mismatches?{}", query.finish())
    }
}

fn text(answer: &Value) -> String {
    let rows = answer["mismatches"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if rows.is_empty() {
        return "no mismatches".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "ID",
        "AT",
        "ROUTE",
        "REQUEST",
        "SERVED",
        "OLD",
        "NEW",
        "DIFFERENCES",
    ]);
    for row in rows {
        table.add_row([
            word(&row["id"]),
            word(&row["at"]),
            word(&row["route"]),
            format!("{} {}", word(&row["method"]), word(&row["target"])),
            word(&row["served"]),
            word(&row["old"]["status"]),
            word(&row["new"]["status"]),
            differences(&row["fields"]),
        ]);
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

fn differences(fields: &Value) -> String {
    let fields = fields.as_array().map(Vec::as_slice).unwrap_or_default();
    let shown = fields
        .iter()
        .take(3)
        .map(|field| format!("{} {}", word(&field["at"]), word(&field["kind"])));
    let mut shown: Vec<String> = shown.collect();
    if fields.len() > shown.len() {
        shown.push(format!("and {} more", fields.len() - shown.len()));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_mismatch_is_a_line() {
        let field = |at: &str, kind: &str| json!({"path": at, "at": at, "kind": kind});
        let answer = json!({"mismatches": [
            {
                "id": 7, "at": "2026-01-01T00:00:00Z", "route": "content", "method": "GET", "target": "/contents/0ad",
                "served": "old", "old": {"status": 200, "latency_ms": 1.0}, "new": {"status": 200, "latency_ms": 2.0},
                "fields": [field("$.a", "changed"), field("$.b", "type"), field("$.c", "missing"), field("$.d", "extra")],
            },
            {
                "id": 6, "at": "2026-01-01T00:00:00Z", "route": "content", "method": "GET",
                "target": {"$redacted": "string", "hash": "0123456789abcdef"}, "served": "new\u{1b}[2J",
                "old": {"status": 404}, "new": {}, "fields": [field("status", "status")],
            },
        ]});
        let text = text(&answer);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(
            lines[1][..6],
            [
                "7",
                "2026-01-01T00:00:00Z",
                "content",
                "GET",
                "/contents/0ad",
                "old"
            ]
        );
        assert!(lines[1].ends_with(&["and", "1", "more"]), "{text}");
        assert_eq!(
            lines[2][3..],
            [
                "GET",
                "#0123456789abcdef",
                "new\u{fffd}[2J",
                "404",
                "-",
                "status",
                "status"
            ]
        );
        assert_eq!(super::text(&json!({"mismatches": []})), "no mismatches");
    }
}
