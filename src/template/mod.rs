//! Key templates: literal text and `{path.x|header.y}` placeholders. What a source holds is not known here.

pub mod parse;

pub use parse::{Source, Template, TemplateError};
