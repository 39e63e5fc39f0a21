//! crossfade moves a live HTTP service from an old backend to a new one while nobody notices.
//!
//! The rooms stand in reading order: a room imports only from rooms above it in this file. To follow a request, begin at
//! [`proxy`]; to see where all choices are made, read [`route`] and [`compare`].

// The words that judgement shares: the two sides, what may be shown, JSON as it was written, "{path.x}" templates.
pub mod redact;
pub mod side;

pub mod json;
pub mod template;

// Judgement, pure: do two answers say the same? Who answers a request?
pub mod compare;
pub mod route;

// routes.toml: text -> checked settings, or every problem with its place.
pub mod config;

// Header rules and bodies; durable state; metric cells and their page.
pub mod message;
pub mod store;
pub mod telemetry;

// Connections to the sides.
pub mod upstream;

// What is in force: settings made ready, and the one place that swaps them.
pub mod plan;

// What happens beside the request path: the other side is asked, the pair judged.
pub mod shadow;

// The request path.
pub mod proxy;

// Admin API, health, metrics page.
pub mod admin;

// Threads, following the file, signals.
pub mod app;

// Sample services, a load and a screen.
pub mod demo;

// The commands.
pub mod cli;
