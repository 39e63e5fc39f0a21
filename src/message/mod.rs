//! Headers and bodies: what a proxy must take out, put in, and say itself.

pub mod body;
pub mod capture;
pub mod fields;
pub mod forwarded;
pub mod hop;
pub mod lines;
pub mod reply;
pub mod request_id;
pub mod spare;
pub mod survey;
pub mod websocket;
