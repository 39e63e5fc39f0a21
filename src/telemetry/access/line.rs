//! A request as an object of JSON on one line.

use crate::redact::write_json;
use crate::telemetry::access::record::Record;
use http::{Method, Version};
use std::fmt::{self, Write};
use std::time::Duration;

/// Adds the line of a request, with its end.
pub(super) fn write(record: &Record, to: &mut String) {
    // A String takes all text.
    let _ = object(record, to);
}

fn object(record: &Record, to: &mut String) -> fmt::Result {
    write!(to, "{{\"time\":\"{:.3}\",\"id\":", record.at)?;
    write_json(&record.id, to)?;
    write!(to, ",\"client\":\"{}\"", record.client)?;
    maybe(to, "protocol", record.version.map(protocol))?;
    maybe(to, "method", record.method.as_ref().map(Method::as_str))?;
    maybe(to, "path", record.path.as_deref())?;
    maybe(to, "query", record.query.as_deref())?;
    maybe(to, "route", record.route.as_deref())?;
    text(to, "side", record.served.name())?;
    maybe(to, "why", record.why)?;
    number(to, "bucket", record.bucket)?;
    number(to, "status", record.status.map(|status| status.as_u16()))?;
    maybe(to, "reason", record.reason)?;
    write!(
        to,
        ",\"aborted\":{},\"bytes\":{}",
        !record.whole, record.bytes
    )?;
    number(to, "duration_ms", record.duration.map(Millis))?;
    number(to, "upstream_ms", record.upstream.map(Millis))?;
    write!(to, ",\"shadow\":{}", record.shadow)?;
    maybe(to, "fallback", record.fallback.map(|reason| reason.name()))?;
    maybe(to, "trace_id", record.trace.as_deref())?;
    to.write_str("}\n")
}

fn text(to: &mut String, name: &str, value: &str) -> fmt::Result {
    write!(to, ",\"{name}\":")?;
    write_json(value, to)
}

fn maybe(to: &mut String, name: &str, value: Option<&str>) -> fmt::Result {
    match value {
        Some(value) => text(to, name, value),
        None => write!(to, ",\"{name}\":null"),
    }
}

fn number(to: &mut String, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(to, ",\"{name}\":{value}"),
        None => write!(to, ",\"{name}\":null"),
    }
}

/// A duration in milliseconds, to the microsecond.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}
