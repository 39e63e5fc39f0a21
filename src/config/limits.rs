//! `[limits]`: what one client, or all of them together, may take of the proxy.

use crate::config::scalar;
use crate::config::section::Section;
use crate::config::settings::Limits;
use crate::config::walk::{Item, Sink};
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
    }
}
