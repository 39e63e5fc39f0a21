//! Every key that a routes.toml may hold, by table: those that this version reads, and those that the reference
//! names but this version refuses. The one list behind unknown keys, "did you mean" and `crossfade set`.

/// The keys of one table.
#[derive(Debug)]
pub(super) struct Words {
    /// How messages name the table.
    pub(super) place: &'static str,
    /// Keys that this version reads.
    pub(super) known: &'static [&'static str],
    /// Keys that a later version reads.
    pub(super) later: &'static [&'static str],
}

pub(super) const TOP: Words = Words {
    place: "the top level",
    known: &[
        "migration",
        "server",
        "limits",
        "log",
        "old",
        "new",
        "samples",
        "noise",
        "ids",
        "route",
    ],
    later: &[],
};

pub(super) const MIGRATION: Words = Words {
    place: "[migration]",
    known: &["name", "serve", "shadow"],
    later: &[],
};

pub(super) const SERVER: Words = Words {
    place: "[server]",
    known: &[
        "listen",
        "admin",
        "workers",
        "state_dir",
        "debug_headers",
        "trusted_proxies",
        "admin_hosts",
        "admin_token_file",
        "drain_delay",
        "drain_timeout",
    ],
    later: &[],
};

pub(super) const LISTEN: Words = Words {
    place: "listen",
    known: &["address", "mode", "tls", "h2c", "proxy_protocol"],
    later: &[],
};

pub(super) const TLS: Words = Words {
    place: "tls",
    known: &["certificates", "client_ca"],
    later: &[],
};

pub(super) const CERTIFICATE: Words = Words {
    place: "certificates",
    known: &["cert", "key"],
    later: &[],
};

pub(super) const LIMITS: Words = Words {
    place: "[limits]",
    known: &[
        "connections",
        "head_timeout",
        "head_size",
        "head_fields",
        "uri_size",
        "idle_timeout",
        "body_size",
        "body_timeout",
        "body_rate",
        "response_timeout",
        "in_flight",
        "body_memory",
        "tls_timeout",
        "http2",
    ],
    later: &[],
};

pub(super) const HTTP2: Words = Words {
    place: "http2",
    known: &[
        "streams",
        "stream_window",
        "connection_window",
        "header_size",
        "ping",
        "ping_timeout",
    ],
    later: &[],
};

pub(super) const OLD: Words = Words {
    place: "[old]",
    known: &[
        "url",
        "urls",
        "connect_timeout",
        "timeout",
        "host",
        "pool",
        "breaker",
        "health",
        "tls",
        "protocol",
        "twin",
    ],
    later: &[],
};

pub(super) const NEW: Words = Words {
    place: "[new]",
    known: &[
        "url",
        "urls",
        "connect_timeout",
        "timeout",
        "host",
        "pool",
        "breaker",
        "health",
        "tls",
        "protocol",
    ],
    later: &[],
};

pub(super) const SIDE_TLS: Words = Words {
    place: "`tls` of a side",
    known: &["ca", "cert", "key", "server_name"],
    later: &[],
};

pub(super) const POOL: Words = Words {
    place: "pool",
    known: &[
        "max_connections",
        "max_idle",
        "idle_timeout",
        "max_age",
        "queue",
    ],
    later: &[],
};

pub(super) const LOG: Words = Words {
    place: "[log]",
    known: if cfg!(feature = "otel") {
        &["level", "format", "access", "sample", "file", "traces"]
    } else {
        &["level", "format", "access", "sample", "file"]
    },
    later: if cfg!(feature = "otel") {
        &[]
    } else {
        &["traces"]
    },
};

pub(super) const SAMPLES: Words = Words {
    place: "[samples]",
    known: &["values", "show", "max_size", "max_age"],
    later: &[],
};

pub(super) const NOISE: Words = Words {
    place: "[noise]",
    known: &["floor", "sample"],
    later: &[],
};

pub(super) const ROUTE: Words = Words {
    place: "[[route]]",
    known: &[
        "name", "match", "host", "key", "percent", "serve", "pin", "salt", "fallback", "shadow",
        "read", "compare",
    ],
    later: &["old", "new", "write"],
};

pub(super) const PIN: Words = Words {
    place: "pin",
    known: &["new", "old"],
    later: &[],
};

pub(super) const FALLBACK: Words = Words {
    place: "fallback",
    known: &["after"],
    later: &[],
};

pub(super) const SHADOW: Words = Words {
    place: "shadow",
    known: &["percent", "timeout", "max_body"],
    later: &[],
};

pub(super) const COMPARE: Words = Words {
    place: "compare",
    known: &[
        "ignore",
        "unordered",
        "match_by",
        "tolerance",
        "shape",
        "map",
        "maps",
        "null_is_absent",
        "headers",
        "status",
        "recheck",
        "lag",
        "settle",
    ],
    later: &[],
};

pub(super) const IDS: Words = Words {
    place: "a table of [ids]",
    known: &["max_pairs"],
    later: &[],
};

const ALL: [&Words; 21] = [
    &TOP,
    &MIGRATION,
    &SERVER,
    &LISTEN,
    &TLS,
    &CERTIFICATE,
    &LIMITS,
    &HTTP2,
    &OLD,
    &NEW,
    &SIDE_TLS,
    &POOL,
    &LOG,
    &SAMPLES,
    &NOISE,
    &ROUTE,
    &PIN,
    &FALLBACK,
    &SHADOW,
    &COMPARE,
    &IDS,
];

impl Words {
    /// The known key that a misspelt one probably means. A key of another table is misplaced, not misspelt.
    pub(super) fn nearest(&self, key: &str) -> Option<&'static str> {
        nearest(key, self.known).filter(|_| self.home(key).is_none())
    }

    /// Another table that has this key.
    fn home(&self, key: &str) -> Option<&'static Self> {
        ALL.into_iter()
            .find(|words| words.place != self.place && words.known.contains(&key))
    }

    /// What to do about an unknown key, which perhaps is this one misspelt.
    pub(super) fn hint(&self, key: &str, near: Option<&str>) -> String {
        if let Some(near) = near {
            return format!("did you mean `{near}`?");
        }
        match self.home(key) {
            Some(home) => format!(
                "`{key}` belongs in {}; {} has {}",
                home.place,
                self.place,
                list(self.known)
            ),
            None => format!("{} has {}", self.place, list(self.known)),
        }
    }
}

/// The candidate that a misspelt word probably means: within a third of its length, and at most two edits.
pub(super) fn nearest(word: &str, candidates: &[&'static str]) -> Option<&'static str> {
    // A long word is far from every candidate, and the distance costs its length.
    if word.len() > 64 {
        return None;
    }
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let word = plain(word);
    let distance = |candidate: &&'static str| edits(&word, &plain(candidate));
    let (best, edits) = candidates
        .iter()
        .map(|candidate| (candidate, distance(candidate)))
        .min_by_key(|(_, edits)| *edits)?;
    let allowed = match best.chars().count() {
        0..=2 => 0,
        3..=4 => 1,
        _ => 2,
    };
    let plural = word.strip_suffix('s') == Some(best);
    (plural || edits <= allowed).then_some(best)
}

/// `a`, `b` and `c`.
pub(super) fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|w| format!("`{w}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}

/// Edits between two words: insert, delete, replace, swap of neighbours (optimal string alignment).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (i, c) in from.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, d) in to.iter().enumerate() {
            let replaced = row[j] + usize::from(c != *d);
            let mut best = replaced.min(row[j + 1] + 1).min(next[j] + 1);
            if j > 0 && previous == Some(*d) && to[j - 1] == c {
                best = best.min(before[j - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
        previous = Some(c);
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_recognised_and_strangers_are_not() {
        let check = |words: &Words, key: &str, expected: Option<&str>| {
            assert_eq!(words.nearest(key), expected, "{key} in {}", words.place);
        };
        check(&ROUTE, "percnt", Some("percent"));
        check(&ROUTE, "precent", Some("percent"));
        check(&ROUTE, "Percent", Some("percent"));
        check(&ROUTE, "kye", Some("key"));
        check(&ROUTE, "pins", Some("pin"));
        check(&ROUTE, "colour", None);
        check(&TOP, "routes", Some("route"));
        check(&TOP, "od", Some("old"));
        check(&TOP, "x", None);
        check(&SERVER, "state-dir", Some("state_dir"));
        check(&SERVER, "admin_host", Some("admin_hosts"));
        check(&COMPARE, "ignored", Some("ignore"));
    }

    #[test]
    fn a_key_in_the_wrong_table_is_sent_home() {
        assert!(
            MIGRATION
                .hint("percent", None)
                .starts_with("`percent` belongs in [[route]]")
        );
        assert!(
            TOP.hint("serve", None)
                .starts_with("`serve` belongs in [migration]")
        );
        assert_eq!(PIN.hint("nothing", None), "pin has `new` and `old`");
    }

    #[test]
    fn no_key_is_both_known_and_later() {
        for words in ALL {
            assert!(
                words.later.iter().all(|key| !words.known.contains(key)),
                "{}",
                words.place
            );
        }
    }

    #[test]
    fn edits_are_counted() {
        for (from, to, expected) in [
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("kitten", "sitting", 3),
            ("ab", "ba", 1),
        ] {
            assert_eq!(edits(from, to), expected, "{from} {to}");
        }
    }
}
