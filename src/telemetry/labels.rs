//! The closed lists of label values. Whatever a label can say is a variant here (or of `compare`), so no answer and no client can
//! make a series; the only open label, `field`, is bounded in `divergence`.

use crate::compare::recheck::Judgement;
use crate::compare::{Incomparable, Kind, Verdict};
use crate::side::Side;
use http::{Method, StatusCode};

/// A closed list of label values.
pub(super) trait Label: Copy + 'static {
    /// Every value, in the order of [`Label::index`].
    const ALL: &'static [Self];

    /// The place in [`Label::ALL`].
    fn index(self) -> usize;

    /// The public name.
    fn text(self) -> &'static str;
}

/// Declares an enum together with its names.
macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The public name: a label value, and a key of the admin API's JSON.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl Label for $name {
            const ALL: &'static [Self] = Self::ALL;

            fn index(self) -> usize {
                self as usize
            }

            fn text(self) -> &'static str {
                self.name()
            }
        }
    )+};
}

labels! {
    /// The side whose answer the client got.
    ServedBy {
        /// The old side.
        Old = "old",
        /// The new side.
        New = "new",
        /// Neither: the proxy answered by itself, or nobody did.
        Nobody = "none",
    }

    /// How a request ended for the client.
    CodeClass {
        /// 100 to 199: a switch of protocols.
        Informational = "1xx",
        /// 200 to 299.
        Success = "2xx",
        /// 300 to 399.
        Redirection = "3xx",
        /// 400 to 499.
        ClientError = "4xx",
        /// 500 and above.
        ServerError = "5xx",
        /// The answer did not reach the client whole.
        Aborted = "aborted",
    }

    /// Why a side was asked.
    Role {
        /// For the client.
        Serve = "serve",
        /// For a comparison.
        Shadow = "shadow",
    }

    /// How a side failed.
    UpstreamError {
        /// No connection.
        Connect = "connect",
        /// No head in time.
        Timeout = "timeout",
        /// The connection closed early.
        Reset = "reset",
        /// What came is no HTTP.
        Protocol = "protocol",
        /// Every connection was in use, and so was the queue.
        Queue = "queue",
    }

    /// Why a line of the access log was not written.
    LostLine {
        /// The writer was too far behind.
        Queue = "queue",
        /// The file could not be written.
        Write = "write",
    }

    /// Why a sample was not kept.
    LostSample {
        /// The writer was too far behind.
        Queue = "queue",
        /// It was too large.
        Size = "size",
        /// The file could not be written.
        Write = "write",
    }

    /// How an endpoint of a side is.
    EndpointState {
        /// It is asked.
        Up = "up",
        /// It is left out for a while, since requests to it failed.
        Ejected = "ejected",
        /// It is left out, since its checks failed.
        Unhealthy = "unhealthy",
    }

    /// Why old was asked after new.
    FallbackReason {
        /// New could not be connected to.
        Connect = "connect",
        /// New sent no head in time.
        Timeout = "timeout",
        /// New closed before the head.
        Reset = "reset",
        /// New broke the protocol before the head.
        Protocol = "protocol",
        /// New answered 502, 503 or 504.
        Status = "status",
        /// New's breaker is open: it was not asked.
        Breaker = "breaker",
    }

    /// Why a sampled request made no pair.
    Dropped {
        /// The queue of shadow requests was full.
        Queue = "queue",
        /// The memory of shadow requests was used up.
        Bytes = "bytes",
        /// A body over `max_body`.
        Body = "body",
        /// Answered 304 or 206.
        Validator = "validator",
        /// The served side failed before a whole answer.
        ServedFailed = "served_failed",
        /// The client left.
        Aborted = "aborted",
        /// A breaker is open.
        Breaker = "breaker",
        /// The proxy was stopping.
        Shutdown = "shutdown",
    }

    /// Why a request was refused.
    Rejected {
        /// It is no HTTP that can be forwarded.
        BadRequest = "bad_request",
        /// A path on a route with a key that two parsers could read differently.
        EncodedPath = "encoded_path",
        /// A method that is not proxied.
        Method = "method",
        /// It came through this process before.
        Loop = "loop",
        /// Its head is over the limit.
        HeadTooLarge = "head_too_large",
        /// Its target is over the limit.
        UriTooLong = "uri_too_long",
        /// A handshake of TLS that failed, or took too long.
        Tls = "tls",
        /// Its head did not come in time.
        HeadTimeout = "head_timeout",
        /// Its body is over the limit.
        BodyTooLarge = "body_too_large",
        /// Its body came too slowly, or not at all.
        BodyTimeout = "body_timeout",
        /// Its client did not read the answer.
        ResponseTimeout = "response_timeout",
        /// A connection over the limit.
        Connections = "connections",
        /// Its side answers as many requests as it may, and as many wait.
        InFlight = "in_flight",
        /// The memory for bodies is used up.
        Memory = "memory",
        /// A connection that did not begin with a header of the PROXY protocol where one was wanted.
        ProxyProtocol = "proxy_protocol",
        /// A connection that HTTP/2 was not kept to, or used to ask for more than it may.
        Http2 = "http2",
    }

    /// What became of a changed file.
    ReloadResult {
        /// It is in force.
        Applied = "applied",
        /// It says what is in force already.
        Unchanged = "unchanged",
        /// It has errors, and changed nothing.
        Rejected = "rejected",
    }

    /// A method as a label.
    MethodLabel {
        /// GET
        Get = "GET",
        /// HEAD
        Head = "HEAD",
        /// POST
        Post = "POST",
        /// PUT
        Put = "PUT",
        /// DELETE
        Delete = "DELETE",
        /// CONNECT
        Connect = "CONNECT",
        /// OPTIONS
        Options = "OPTIONS",
        /// TRACE
        Trace = "TRACE",
        /// PATCH
        Patch = "PATCH",
        /// Every other one.
        Other = "other",
    }
}

impl From<Side> for ServedBy {
    fn from(side: Side) -> Self {
        match side {
            Side::Old => Self::Old,
            Side::New => Self::New,
        }
    }
}

impl From<StatusCode> for CodeClass {
    fn from(status: StatusCode) -> Self {
        match status.as_u16() {
            100..=199 => Self::Informational,
            200..=299 => Self::Success,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

impl From<&Method> for MethodLabel {
    fn from(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::DELETE => Self::Delete,
            Method::CONNECT => Self::Connect,
            Method::OPTIONS => Self::Options,
            Method::TRACE => Self::Trace,
            Method::PATCH => Self::Patch,
            _ => Self::Other,
        }
    }
}

impl Label for Side {
    const ALL: &'static [Self] = &Self::BOTH;

    fn index(self) -> usize {
        self.index()
    }

    fn text(self) -> &'static str {
        self.name()
    }
}

labels! {
    /// What a pair is in the end, without the reason of an incomparable one.
    VerdictLabel {
        /// Equal under the rules.
        Match = "match",
        /// Different only where old differs from itself.
        Noise = "noise",
        /// Different under the rules.
        Mismatch = "mismatch",
        /// Different at first, and equal later.
        Transient = "transient",
        /// New was behind a known write.
        Lag = "lag",
        /// Can't be known.
        Incomparable = "incomparable",
    }
}

impl VerdictLabel {
    /// Whether pairs with this verdict could be judged: what the diff rate is a share of.
    #[must_use]
    pub fn is_trial(self) -> bool {
        self != Self::Incomparable
    }
}

impl From<Verdict> for VerdictLabel {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Match => Self::Match,
            Verdict::Mismatch => Self::Mismatch,
            Verdict::Incomparable(_) => Self::Incomparable,
        }
    }
}

impl From<Judgement> for VerdictLabel {
    fn from(judgement: Judgement) -> Self {
        match judgement {
            Judgement::Noise => Self::Noise,
            Judgement::Transient => Self::Transient,
            Judgement::Lag => Self::Lag,
            Judgement::Mismatch { .. } => Self::Mismatch,
        }
    }
}

/// What a pair is in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The verdict.
    pub verdict: VerdictLabel,
    /// Why it is incomparable, if it is.
    pub reason: Option<Incomparable>,
}

impl From<Verdict> for Judged {
    fn from(verdict: Verdict) -> Self {
        let reason = match verdict {
            Verdict::Incomparable(reason) => Some(reason),
            Verdict::Match | Verdict::Mismatch => None,
        };
        Self {
            verdict: verdict.into(),
            reason,
        }
    }
}

impl From<Incomparable> for Judged {
    fn from(reason: Incomparable) -> Self {
        Verdict::Incomparable(reason).into()
    }
}

impl From<Judgement> for Judged {
    fn from(judgement: Judgement) -> Self {
        Self {
            verdict: judgement.into(),
            reason: None,
        }
    }
}

impl Label for Incomparable {
    const ALL: &'static [Self] = &Self::ALL;

    fn index(self) -> usize {
        self as usize
    }

    fn text(self) -> &'static str {
        self.name()
    }
}

impl Label for Kind {
    const ALL: &'static [Self] = &Self::ALL;

    fn index(self) -> usize {
        self as usize
    }

    fn text(self) -> &'static str {
        self.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every list is in the order of its indexes, and no name stands twice.
    fn check<L: Label + std::fmt::Debug>() {
        let mut names: Vec<_> = L::ALL.iter().map(|label| label.text()).collect();
        for (place, label) in L::ALL.iter().enumerate() {
            assert_eq!(label.index(), place, "{label:?}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), L::ALL.len(), "{names:?}");
    }

    #[test]
    fn lists_are_ordered_and_names_unique() {
        check::<Side>();
        check::<ServedBy>();
        check::<CodeClass>();
        check::<Role>();
        check::<UpstreamError>();
        check::<FallbackReason>();
        check::<Dropped>();
        check::<Rejected>();
        check::<ReloadResult>();
        check::<MethodLabel>();
        check::<VerdictLabel>();
        check::<Incomparable>();
        check::<Kind>();
    }

    #[test]
    fn every_standard_method_has_its_own_label_and_no_other() {
        for label in MethodLabel::ALL {
            let method = Method::from_bytes(label.name().as_bytes()).unwrap();
            assert_eq!(MethodLabel::from(&method), *label);
        }
        assert_eq!(
            MethodLabel::from(&Method::from_bytes(b"PROPFIND").unwrap()),
            MethodLabel::Other
        );
    }

    #[test]
    fn status_classes() {
        for (status, class) in [
            (101, "1xx"),
            (200, "2xx"),
            (304, "3xx"),
            (499, "4xx"),
            (500, "5xx"),
            (999, "5xx"),
        ] {
            assert_eq!(
                CodeClass::from(StatusCode::from_u16(status).unwrap()).name(),
                class
            );
        }
    }
}
