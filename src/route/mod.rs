//! Who answers this request, the old side or the new one? Pattern, table, key, bucket and the decision. Pure.

pub mod bucket;
pub mod decide;
pub mod key;
pub mod pattern;
pub mod table;
