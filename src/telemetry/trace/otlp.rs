//! Spans as OTLP has them in JSON: one request to a collector's `/v1/traces`.

use crate::redact::write_json;
use crate::telemetry::trace::on::{Span, Value};
use std::fmt::{self, Write};
use std::time::Duration;

/// The body of a request that tells these spans.
#[must_use]
pub fn body(spans: &[Span]) -> String {
    let mut text = String::with_capacity(256 + spans.len() * 512);
    text.push_str("{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    // A String takes all text.
    let _ = attribute("service.name", &Value::Word("crossfade"), &mut text);
    text.push_str(concat!(
        "]},\"scopeSpans\":[{\"scope\":{\"name\":\"crossfade\",\"version\":\"",
        env!("CARGO_PKG_VERSION"),
        "\"},\"spans\":["
    ));
    for (number, each) in spans.iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        let _ = span(each, &mut text);
    }
    text.push_str("]}]}]}");
    text
}

fn span(span: &Span, to: &mut String) -> fmt::Result {
    write!(
        to,
        "{{\"traceId\":\"{:032x}\",\"spanId\":\"{:016x}\"",
        span.trace, span.id
    )?;
    if let Some(parent) = span.parent {
        write!(to, ",\"parentSpanId\":\"{parent:016x}\"")?;
    }
    to.push_str(",\"name\":");
    write_json(&span.name, to)?;
    let begun = Duration::try_from(span.begun.as_duration()).unwrap_or_default();
    let (begun, ended) = (begun.as_nanos(), (begun + span.took).as_nanos());
    write!(
        to,
        ",\"kind\":{},\"startTimeUnixNano\":\"{begun}\",\"endTimeUnixNano\":\"{ended}\",\"attributes\":[",
        span.kind
    )?;
    for (number, (name, value)) in span.attributes.iter().enumerate() {
        if number > 0 {
            to.push(',');
        }
        attribute(name, value, to)?;
    }
    write!(
        to,
        "],\"status\":{{\"code\":{}}}}}",
        if span.failed { 2 } else { 0 }
    )
}

fn attribute(name: &str, value: &Value, to: &mut String) -> fmt::Result {
    write!(to, "{{\"key\":\"{name}\",\"value\":{{")?;
    match value {
        Value::Text(text) => {
            to.push_str("\"stringValue\":");
            write_json(text, to)?;
        }
        Value::Word(word) => write!(to, "\"stringValue\":\"{word}\"")?,
        // 64-bit numbers are texts in this JSON.
        Value::Number(number) => write!(to, "\"intValue\":\"{number}\"")?,
    }
    to.push_str("}}");
    Ok(())
}
