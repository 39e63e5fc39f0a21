//! crossfade moves a live HTTP service from an old backend to a new one while nobody notices.
//!
//! The rooms stand in reading order: a room imports only from rooms above it in this file.

// The words that judgement shares: the two sides, JSON as it was written, "{path.x}" templates.
pub mod side;

pub mod json;
pub mod template;

// Judgement, pure: do two answers say the same? Who answers a request?
pub mod compare;
pub mod route;

// routes.toml: text -> checked settings, or every problem with its place.
pub mod config;

// Header rules and bodies; durable state; metric cells and their exporter.
pub mod message;
pub mod store;
pub mod telemetry;
