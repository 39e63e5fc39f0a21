//! JSON as the comparison needs it: numbers keep their text, duplicate keys are seen, every bound is an error with a name.
//!
//! `serde_json::Value` rounds big integers, refuses `1e400` and drops duplicate keys, so what must be judged is read here.

pub mod bounds;
pub(crate) mod cursor;
pub mod document;
pub mod location;
pub mod number;
pub mod path;
pub mod reader;
pub(crate) mod string;
pub(crate) mod word;

pub use bounds::{Limits, Memory, ReadError, Unlimited};
pub use document::{Document, Node, Value};
pub use location::Location;
pub use number::Decimal;
pub use path::{FieldPath, PathError};
