//! What can go wrong between us and a side, whose fault it is, and what it may be answered with.

use crate::message::body::BodyError;
use crate::telemetry::UpstreamError;
use crate::upstream::tls::as_refusal;
use std::error::Error;
use std::io;

/// What went wrong before the head of an answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The connection could not be made, or inside TLS one of the two did not believe the other.
    #[error("connecting failed")]
    Connect(#[source] io::Error),
    /// The connection was not made in time.
    #[error("connecting timed out")]
    ConnectTimeout,
    /// No head of an answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke.
    #[error("the connection broke before the answer")]
    Reset(#[source] Box<dyn Error + Send + Sync>),
    /// What came is no HTTP answer.
    #[error("the answer is no HTTP")]
    Protocol(#[source] Box<dyn Error + Send + Sync>),
    /// It switched protocols though nobody asked it to.
    #[error("the answer switches protocols though nobody asked for it")]
    Switched,
    /// It does not open the WebSocket that was asked for, though it says yes.
    #[error("the answer opens no WebSocket, though it says yes")]
    Handshake,
    /// Its body has a transfer coding other than chunked, which nobody asked for.
    #[error("the answer has a transfer coding that nobody asked for")]
    TransferCoding,
    /// Every connection is in use and so is every place in the queue, or the wait was too long.
    #[error("every connection is in use")]
    Queue,
    /// The client's own body broke off, or passed a limit; no fault of the side.
    #[error("the client's body broke off")]
    Client(#[source] Box<dyn Error + Send + Sync>),
}

impl Fault {
    /// The label of `crossfade_upstream_errors_total`; `None` where the side has no fault.
    #[must_use]
    pub fn label(&self) -> Option<UpstreamError> {
        match self {
            Self::Connect(_) | Self::ConnectTimeout => Some(UpstreamError::Connect),
            Self::Timeout => Some(UpstreamError::Timeout),
            Self::Reset(_) => Some(UpstreamError::Reset),
            Self::Protocol(_) | Self::Switched | Self::Handshake | Self::TransferCoding => {
                Some(UpstreamError::Protocol)
            }
            Self::Queue => Some(UpstreamError::Queue),
            Self::Client(_) => None,
        }
    }

    /// Sorts what hyper's client says.
    #[must_use]
    pub fn from_hyper(error: hyper::Error) -> Self {
        if clients_part(&error).is_some() {
            return Self::Client(Box::new(error));
        }
        match as_refusal(error) {
            Ok(refused) => Self::Connect(refused),
            Err(error) if error.is_parse() || is_bad_framing(&error) => {
                Self::Protocol(Box::new(error))
            }
            Err(error) => Self::Reset(Box::new(error)),
        }
    }

    /// Sorts what is said of a stream of HTTP/2.
    pub(super) fn from_h2(error: h2::Error) -> Self {
        let (is_library, is_remote) = (error.is_library(), error.is_remote());
        let is_reset = error.is_reset();
        let told = Box::new(Told(error));
        if is_library {
            Self::Protocol(told)
        } else if is_reset && !is_remote {
            // It was reset here, because the client's body broke off.
            Self::Client(told)
        } else {
            Self::Reset(told)
        }
    }

    /// The connection broke, outside hyper.
    pub(super) fn broken(error: io::Error) -> Self {
        match as_refusal(error) {
            Ok(refused) => Self::Connect(refused),
            Err(error) => Self::Reset(Box::new(error)),
        }
    }
}

/// What h2 says of a side. It is no cause that others find: hyper would reset a client's stream for the side's reason, and some take NO_ERROR for an end.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(h2::Error);

/// What is wrong with the client's own body, if that is why an exchange failed.
#[must_use]
pub fn clients_part<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a BodyError> {
    causes(error)
        .filter_map(|cause| cause.downcast_ref())
        .find(|cause| {
            matches!(
                cause,
                BodyError::Client(_)
                    | BodyError::Withdrawn
                    | BodyError::TooLarge
                    | BodyError::TooSlow
            )
        })
}

/// Whether a body ended because its framing makes no sense: hyper tells it as an I/O error of one of these kinds.
#[must_use]
pub fn is_bad_framing(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        let kind = cause.downcast_ref().map(io::Error::kind);
        matches!(
            kind,
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
        )
    })
}

/// An error, and what it came of.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}
