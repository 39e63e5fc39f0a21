//! (route, key, switches) -> who serves, and why; and whether the other side gets a copy.
//!
//! A request is decided once, from one snapshot of the switches; the first rule that applies gives the side. Switches
//! move who serves, never what is mirrored: only `migration.shadow` ends that.

use crate::route::bucket::{Salt, Share};
use crate::route::key::{Sources, key};
use crate::route::pattern::Place;
use crate::side::Side;
use crate::template::Template;
use http::Method;
use std::collections::HashSet;
use std::sync::Arc;

/// A switch: all to one side, or by key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Serve {
    /// Old serves everything.
    Old,
    /// Pins and buckets decide.
    #[default]
    Split,
    /// New serves everything.
    New,
}

impl Serve {
    /// The public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::Split => "split",
            Self::New => "new",
        }
    }
}

/// Keys that are served by one side whatever the percent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    /// Keys pinned to old.
    pub old: HashSet<String>,
    /// Keys pinned to new.
    pub new: HashSet<String>,
}

/// What a route says about who serves it. In this order, which is that of memory, every request needs all but the name.
#[derive(Clone, Debug, PartialEq)]
#[repr(C)]
pub struct Policy {
    /// The route's own switch.
    pub serve: Serve,
    /// POST and PUT of this route are reads.
    pub read: bool,
    /// Share of keys served by new.
    pub percent: Share,
    /// Share of keys (without a key: of requests) mirrored.
    pub shadow: Share,
    /// Where the key stands in the path, if it is nothing else: then nobody needs to read the template.
    pub lone: Option<Place>,
    /// How a request's key is made; `None` for a route without key.
    pub key: Option<Box<Template>>,
    /// The route's salt, else `migration.name`, which all routes share.
    pub salt: Arc<Salt>,
    /// Keys with a fixed side, if there are any.
    pub pins: Option<Box<Pins>>,
    /// The route's name, or "unmatched".
    pub name: Arc<str>,
}

/// The override of the admin API, as far as a decision needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The side that serves.
    pub serve: Side,
    /// A route's name; `None` for everything.
    pub route: Option<Arc<str>>,
}

/// The switches above all routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// `migration.serve`.
    pub serve: Serve,
    /// `migration.shadow`.
    pub shadow: bool,
    /// The override in force.
    pub overrule: Option<Override>,
}

/// Which rule gave the side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The override of the admin API.
    Override,
    /// `migration.serve`.
    Total,
    /// The route's `serve`.
    Route,
    /// Not a read.
    Write,
    /// A pinned key.
    Pin,
    /// No key to go by.
    NoKey,
    /// The key's bucket and the percent.
    Bucket,
}

impl Why {
    /// The public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::Total => "total",
            Self::Route => "route",
            Self::Write => "write",
            Self::Pin => "pin",
            Self::NoKey => "no_key",
            Self::Bucket => "bucket",
        }
    }
}

/// Who serves a request, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The side that serves.
    pub side: Side,
    /// The rule that gave it.
    pub why: Why,
    /// The key's bucket, where there is a key.
    pub bucket: Option<u16>,
}

impl Decision {
    /// Whether old may be asked if new fails: new serves, by bucket or pin.
    #[must_use]
    pub fn may_fall_back(&self) -> bool {
        self.side == Side::New && matches!(self.why, Why::Bucket | Why::Pin)
    }
}

impl Pins {
    /// The same, or `None` if there are none.
    #[must_use]
    pub fn or_none(&self) -> Option<Box<Self>> {
        let some = !self.old.is_empty() || !self.new.is_empty();
        some.then(|| Box::new(self.clone()))
    }
}

impl Policy {
    /// The key of a request; `None` where the route has none or a part of it is absent.
    #[must_use]
    pub fn key_of(&self, request: &Sources<'_>) -> Option<String> {
        key(self.key.as_deref()?, self.lone, request)
    }

    fn pinned(&self, key: &str) -> Option<Side> {
        let pins = self.pins.as_deref()?;
        if pins.old.contains(key) {
            Some(Side::Old)
        } else if pins.new.contains(key) {
            Some(Side::New)
        } else {
            None
        }
    }
}

/// Whether a request of this method is a read on this route.
#[must_use]
pub fn is_read(policy: &Policy, method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
        || policy.read && matches!(*method, Method::POST | Method::PUT)
}

/// The first rule that applies gives the side.
#[must_use]
pub fn decide(policy: &Policy, switches: &Switches, read: bool, key: Option<&str>) -> Decision {
    let bucket = key.map(|key| policy.salt.bucket(key));
    let (side, why) = by_switch(policy, switches)
        .or_else(|| (!read).then_some((Side::Old, Why::Write)))
        .or_else(|| Some((policy.pinned(key?)?, Why::Pin)))
        .unwrap_or_else(|| by_share(policy, bucket));
    Decision { side, why, bucket }
}

/// What the switches say of a route; `None` if all leave it to its requests.
fn by_switch(policy: &Policy, switches: &Switches) -> Option<(Side, Why)> {
    if let Some(overrule) = &switches.overrule
        && overrule
            .route
            .as_ref()
            .is_none_or(|route| *route == policy.name)
    {
        return Some((overrule.serve, Why::Override));
    }
    // Old goes before new, whichever switch says it: a rollback anywhere is one.
    match (switches.serve, policy.serve) {
        (Serve::Old, _) => Some((Side::Old, Why::Total)),
        (_, Serve::Old) => Some((Side::Old, Why::Route)),
        (Serve::New, _) => Some((Side::New, Why::Total)),
        (_, Serve::New) => Some((Side::New, Why::Route)),
        (Serve::Split, Serve::Split) => None,
    }
}

fn by_share(policy: &Policy, bucket: Option<u16>) -> (Side, Why) {
    let new_serves = match (bucket, &policy.key) {
        (Some(bucket), _) => policy.percent.contains(bucket),
        (None, Some(_)) => return (Side::Old, Why::NoKey),
        (None, None) if policy.percent == Share::ALL => true,
        (None, None) => return (Side::Old, Why::NoKey),
    };
    (if new_serves { Side::New } else { Side::Old }, Why::Bucket)
}

/// Whether a request is mirrored to the side that does not serve it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// The answer is certain; the bucket under `SALT/shadow` where a key gave it.
    Sure {
        /// Whether it is mirrored.
        sampled: bool,
        /// The bucket under `SALT/shadow`.
        bucket: Option<u16>,
    },
    /// No key: this share of requests at random.
    Random(Share),
}

/// Whether any request like this one is mirrored, whatever its key.
#[must_use]
pub fn is_mirrored(policy: &Policy, switches: &Switches, read: bool) -> bool {
    read && switches.shadow && policy.shadow != Share::NONE
}

/// The rule of shadowing for a request: reads only, and of those a share of the keys.
#[must_use]
pub fn sampling(policy: &Policy, switches: &Switches, read: bool, key: Option<&str>) -> Sampling {
    if !is_mirrored(policy, switches, read) {
        return Sampling::Sure {
            sampled: false,
            bucket: key.map(|key| policy.salt.shadow_bucket(key)),
        };
    }
    match key.map(|key| policy.salt.shadow_bucket(key)) {
        Some(bucket) => Sampling::Sure {
            sampled: policy.shadow.contains(bucket),
            bucket: Some(bucket),
        },
        None if policy.shadow == Share::ALL => Sampling::Sure {
            sampled: true,
            bucket: None,
        },
        None => Sampling::Random(policy.shadow),
    }
}

/// The share of reads that new serves, 0..=1, switches and override included (`crossfade_route_share`). Pins are not.
#[must_use]
pub fn share_in_force(policy: &Policy, switches: &Switches) -> f64 {
    match by_switch(policy, switches) {
        Some((Side::Old, _)) => 0.0,
        Some((Side::New, _)) => 1.0,
        None => policy.percent.percent() / 100.0,
    }
}

#[cfg(test)]
mod tests;
