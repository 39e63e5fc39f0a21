//! [`Side`] in JSON: `"old"` or `"new"`. For serde's `with`; the room of [`Side`] knows no serde.

use crate::side::Side;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

// Serde hands a reference to `serialize_with`.
#[allow(clippy::trivially_copy_pass_by_ref)]
pub(super) fn serialize<S: Serializer>(side: &Side, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(side.name())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Side, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(D::Error::custom)
}
