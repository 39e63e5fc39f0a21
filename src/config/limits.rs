//! `[limits]`: what one client, or all of them together, may take of the proxy.

use crate::config::scalar;
use crate::config::section::Section;
use crate::config::settings::{Http2, Limits, Multiplexing};
use crate::config::walk::{Item, Sink};
use crate::config::words::HTTP2;
use std::ops::RangeInclusive;
use std::time::Duration;

const KIB: u64 = 1024;
const GIB: u64 = 1 << 30;

/// More connections or requests than this no machine has.
const COUNTS: RangeInclusive<u64> = 1..=1_000_000;
/// hyper reads a head into a buffer of at most 400 KiB.
const HEADS: RangeInclusive<u64> = KIB..=256 * KIB;
/// Room for each field is set aside for every request.
const FIELDS: RangeInclusive<u64> = 1..=1_000;
/// hyper takes no target of 64 KiB or more.
const TARGETS: RangeInclusive<u64> = 1..=63 * KIB;
const BODIES: RangeInclusive<u64> = 0..=1024 * GIB;
const RATES: RangeInclusive<u64> = 0..=1_000_000_000;
const STREAMS: RangeInclusive<u64> = 1..=10_000;
/// A window of less than HTTP/2 starts with can't be had for a connection (RFC 9113 §6.9.2).
const WINDOWS: RangeInclusive<u64> = 64 * KIB..=1024 * 1024 * KIB;
const MEMORIES: RangeInclusive<u64> = KIB..=1024 * GIB;

/// Reads `[limits]`.
pub(super) fn limits(section: &Section<'_>, sink: &mut Sink<'_>) -> Limits {
    let default = Limits::default();
    let mut count = |name, bounds: RangeInclusive<u64>, default| {
        let read = |item: &Item<'_>, sink: &mut Sink<'_>| scalar::count(item, sink, bounds);
        section.read(sink, name, read).good().unwrap_or(default)
    };
    let connections = count("connections", COUNTS, default.connections);
    let head_fields = count("head_fields", FIELDS, default.head_fields);
    let body_rate = count("body_rate", RATES, default.body_rate);
    let in_flight = count("in_flight", COUNTS, default.in_flight);
    let mut size = |name, bounds: RangeInclusive<u64>, default| {
        let read = |item: &Item<'_>, sink: &mut Sink<'_>| scalar::size(item, sink, bounds);
        section.read(sink, name, read).good().unwrap_or(default)
    };
    let head_size = size("head_size", HEADS, default.head_size);
    let uri_size = size("uri_size", TARGETS, default.uri_size);
    let body_size = size("body_size", BODIES, default.body_size);
    let body_memory = size("body_memory", MEMORIES, default.body_memory);
    let http2 = section.read(sink, "http2", |item, sink| {
        Some(http2(&Section::of(item, &HTTP2, sink)?, sink))
    });
    let mut duration = |name, default: Duration| {
        let found = section.read(sink, name, scalar::duration);
        found.good().unwrap_or(default)
    };
    Limits {
        connections,
        head_timeout: duration("head_timeout", default.head_timeout),
        head_size,
        head_fields,
        uri_size,
        idle_timeout: duration("idle_timeout", default.idle_timeout),
        body_size,
        body_timeout: duration("body_timeout", default.body_timeout),
        body_rate,
        response_timeout: duration("response_timeout", default.response_timeout),
        in_flight,
        body_memory,
        tls_timeout: duration("tls_timeout", default.tls_timeout),
        http2: http2.good().unwrap_or_default(),
    }
}

/// What holds for sides that speak HTTP/2, too.
pub(super) fn multiplexing(limits: &Http2) -> Multiplexing {
    Multiplexing {
        stream_window: limits.stream_window,
        ping: limits.ping,
        ping_timeout: limits.ping_timeout,
    }
}

fn http2(section: &Section<'_>, sink: &mut Sink<'_>) -> Http2 {
    let default = Http2::default();
    let narrow = |value: usize| u32::try_from(value).ok();
    let streams = section.read(sink, "streams", |item, sink| {
        scalar::count(item, sink, STREAMS).and_then(narrow)
    });
    let mut size = |name, bounds: RangeInclusive<u64>| {
        let read = |item: &Item<'_>, sink: &mut Sink<'_>| {
            scalar::size(item, sink, bounds).and_then(narrow)
        };
        section.read(sink, name, read).good()
    };
    let stream_window = size("stream_window", WINDOWS);
    let connection_window = size("connection_window", WINDOWS);
    let header_size = size("header_size", HEADS);
    let mut duration = |name| section.read(sink, name, scalar::duration).good();
    Http2 {
        ping: duration("ping").unwrap_or(default.ping),
        ping_timeout: duration("ping_timeout").unwrap_or(default.ping_timeout),
        streams: streams.good().unwrap_or(default.streams),
        stream_window: stream_window.unwrap_or(default.stream_window),
        connection_window: connection_window.unwrap_or(default.connection_window),
        header_size: header_size.unwrap_or(default.header_size),
    }
}
