//! What follows from a row of the matrix in each place: what the client sees, every byte that the sides get, and every counter that moves.

use super::places::{Column, Place};
use super::row::{End, Fault, NEXT};
use super::talk::{Ended, Got, Speaks};
use crate::harness::metrics::Page;

/// What a good side answers: the same as a row that is whole, where the two are compared.
pub(super) const GOOD: &str = "ok";

/// What follows from a row.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) got: Got,
    /// Bytes at the side that breaks, connection by connection.
    pub(super) bad: Vec<String>,
    /// Bytes at the other side.
    pub(super) good: Vec<String>,
    /// Every counter that has moved.
    pub(super) moved: Vec<String>,
}

impl Column {
    pub(super) fn serves(&self, fault: &Fault) -> Serves {
        let reset = fault.end == End::Fails("reset");
        match (self.place, fault.end) {
            (Place::CopyToNew | Place::CopyToOld, _) => Serves::Good,
            (Place::Share, _) if self.method == "POST" && !self.read => Serves::Good,
            (Place::Share, End::Fails(_)) => Serves::Good,
            (Place::Used, _) if reset && self.method == "GET" => Serves::BadAgain,
            _ => Serves::Bad,
        }
    }

    pub(super) fn expect(&self, fault: &Fault) -> Outcome {
        let serves = self.serves(fault);
        let copied = self.is_copy();
        let asked = |copy| self.text(self.method, "/items/first", copy);
        let mut bad = Vec::new();
        if fault.goes_on() && !self.is_spared() {
            bad.push(asked(copied));
        }
        if self.place == Place::Used {
            bad[0] = self.text("GET", "/items/next", false) + &bad[0];
        }
        if serves == Serves::BadAgain {
            bad.push(asked(false));
        }
        let good = if serves == Serves::Good {
            vec![asked(false)]
        } else {
            Vec::new()
        };
        let got = match (serves, fault.end) {
            (Serves::Good, _) => Got::whole(200, GOOD),
            (Serves::BadAgain, _) => Got::whole(200, NEXT),
            (Serves::Bad, End::Fails(kind)) => {
                Got::whole(fault.status, &format!("upstream_{kind}"))
            }
            (Serves::Bad, End::Breaks(_, part)) => Got {
                ended: Ended::Broken,
                ..Got::whole(200, part)
            },
            (Serves::Bad, End::Hangs(part)) => Got {
                ended: Ended::Open,
                ..Got::whole(200, part)
            },
            (Serves::Bad, End::Whole(status, body, _)) => Got::whole(status, body),
        };
        let mut moved = self.counts(fault, serves, &got);
        moved.sort();
        Outcome {
            got,
            bad,
            good,
            moved,
        }
    }

    fn counts(&self, fault: &Fault, serves: Serves, got: &Got) -> Vec<String> {
        let (bad, good) = match self.place {
            Place::Old | Place::Used | Place::CopyToOld => ("old", "new"),
            Place::New | Place::Share | Place::CopyToNew => ("new", "old"),
        };
        let method = self.method;
        let copied = self.is_copy();
        let class = match (got.ended, got.status) {
            (Ended::Clean, Some(status)) => format!("{}xx", status / 100),
            _ => "aborted".to_owned(),
        };
        let by = match (serves, fault.end) {
            (Serves::Good, _) => good,
            (Serves::Bad, End::Fails(_)) => "none",
            (Serves::Bad | Serves::BadAgain, _) => bad,
        };
        let mut moved = vec![format!("requests {class} {method} {by} 1")];
        if self.is_spared() {
            return moved;
        }
        if serves == Serves::BadAgain {
            moved.push(format!("retries {bad} 1"));
            return moved;
        }
        let kind = match fault.end {
            End::Hangs(_) if copied => Some("timeout"),
            _ => fault.kind(),
        };
        let role = if copied { "shadow" } else { "serve" };
        moved.extend(kind.map(|kind| format!("upstream_errors {kind} {role} {bad} 1")));
        if let (Place::Share, Serves::Good, Some(kind)) = (self.place, serves, kind) {
            moved.push(format!("fallbacks {kind} 1"));
        }
        if copied {
            let verdict = match (kind, fault.end) {
                (Some(_), _) => "incomparable",
                (None, End::Whole(200, GOOD, _)) => "match",
                (None, _) => "mismatch",
            };
            moved.push(format!("comparisons {verdict} 1"));
            moved.push("shadow_sampled 1".to_owned());
            moved.push(format!("shadow_requests {bad} 1"));
            moved.extend(kind.map(|kind| format!("incomparable shadow_{kind} 1")));
            moved.extend((verdict == "mismatch").then(|| "divergences status status 1".to_owned()));
        }
        moved
    }

    /// A request as a side gets it, to the byte.
    pub(super) fn text(&self, method: &str, target: &str, copy: bool) -> String {
        let (scheme, version) = match self.speaks {
            Speaks::Http10 => ("http", "1.0"),
            Speaks::Http11 => ("http", "1.1"),
            Speaks::Http2 => ("http", "2.0"),
            Speaks::Tls10 => ("https", "1.0"),
            Speaks::Tls11 => ("https", "1.1"),
            Speaks::Tls2 => ("https", "2.0"),
        };
        let (length, body) = if method == "POST" {
            ("content-length: 4\r\n", "body")
        } else {
            ("", "")
        };
        let mark = if copy {
            "x-crossfade-shadow: 1\r\n"
        } else {
            ""
        };
        let host = "host: test.example\r\n";
        // Over HTTP/2 Host is made of `:authority`, after the fields.
        let first = match version {
            "2.0" => [length, host],
            _ => [host, length],
        };
        let first = first.concat();
        let stamp = stamp("test.example", scheme, version);
        format!("{method} {target} HTTP/1.1\r\n{first}{stamp}{mark}\r\n{body}")
    }
}

/// The fields by which the proxy tells where a request came from.
pub(super) fn stamp(host: &str, scheme: &str, version: &str) -> String {
    format!(
        "x-forwarded-for: 127.0.0.1\r\nforwarded: for=127.0.0.1;host={host};proto={scheme}\r\nx-forwarded-proto: {scheme}\r\nx-forwarded-host: {host}\r\nvia: {version} crossfade-ID\r\nx-request-id: ID\r\n"
    )
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    Good,
    Bad,
    /// The side that breaks, when it is asked again.
    BadAgain,
}

/// Every counter that has moved, with its labels but for the route.
pub(super) fn moved(before: &Page, after: &Page) -> Vec<String> {
    let counters = after
        .0
        .iter()
        .filter(|sample| sample.name.ends_with("_total") && !sample.name.contains("reloads"));
    let moved = counters.filter_map(|sample| {
        let labels: Vec<_> = sample
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let by = sample.value - before.sum(&sample.name, &labels);
        let labels: Vec<_> = labels
            .iter()
            .filter(|(name, _)| *name != "route")
            .map(|(_, value)| *value)
            .collect();
        let name = sample
            .name
            .trim_start_matches("crossfade_")
            .trim_end_matches("_total");
        let words = [&[name], &labels[..]].concat().join(" ");
        (by != 0.0).then(|| format!("{words} {by}"))
    });
    let mut moved: Vec<_> = moved.collect();
    moved.sort();
    moved
}
