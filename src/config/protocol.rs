//! What a side is spoken to in.

use std::time::Duration;

/// What a side is spoken to in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1: a connection answers one request at a time.
    Http1,
    /// HTTP/2: a connection answers many.
    Http2(Multiplexing),
}

impl Protocol {
    /// As the file has it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Http1 => "h1",
            Self::Http2(_) => "h2",
        }
    }

    /// Whether it is HTTP/2.
    #[must_use]
    pub fn is_http_2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }
}

/// What `[limits]` says of a side that speaks HTTP/2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Multiplexing {
    /// Bytes of one answer's body that may come before they are read.
    pub stream_window: u32,
    /// How long nothing may come before the side is asked whether it is there.
    pub ping: Duration,
    /// How long it may take to answer that.
    pub ping_timeout: Duration,
}
