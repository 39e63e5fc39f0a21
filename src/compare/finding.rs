//! The words of a judgement: verdicts, reasons, kinds of differences.

use crate::compare::change::Change;
use crate::compare::ids::Pairing;
use crate::compare::shape::Seen;

/// What a pair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Equal under the rules.
    Match,
    /// Different under the rules.
    Mismatch,
    /// Can't be known.
    Incomparable(Incomparable),
}

impl Verdict {
    /// The public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Mismatch => "mismatch",
            Self::Incomparable(_) => "incomparable",
        }
    }
}

/// Why a pair can't be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Incomparable {
    /// The shadow side could not be connected to.
    ShadowConnect,
    /// The shadow side did not answer in time.
    ShadowTimeout,
    /// The shadow side closed before its whole answer.
    ShadowReset,
    /// The shadow side's answer is no HTTP.
    ShadowProtocol,
    /// The shadow side's connections were all in use.
    ShadowQueue,
    /// A body over a bound of bytes.
    TooLarge,
    /// A document nested deeper than 128.
    TooDeep,
    /// A document of more than 200,000 nodes.
    TooManyNodes,
    /// A content coding that is unknown or broken.
    Coding,
    /// The memory for comparisons was used up.
    Bytes,
    /// The key was written a moment ago.
    RecentWrite,
    /// Bodies of several parts, which are not taken apart.
    Multipart,
    /// A body that may have no end.
    Stream,
    /// It is not known whether two values are one thing.
    Identity,
    /// The judgement broke off: a defect of crossfade.
    Internal,
}

impl Incomparable {
    /// Every reason.
    pub const ALL: [Self; 15] = [
        Self::ShadowConnect,
        Self::ShadowTimeout,
        Self::ShadowReset,
        Self::ShadowProtocol,
        Self::ShadowQueue,
        Self::TooLarge,
        Self::TooDeep,
        Self::TooManyNodes,
        Self::Coding,
        Self::Bytes,
        Self::RecentWrite,
        Self::Multipart,
        Self::Stream,
        Self::Identity,
        Self::Internal,
    ];

    /// The public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ShadowConnect => "shadow_connect",
            Self::ShadowTimeout => "shadow_timeout",
            Self::ShadowReset => "shadow_reset",
            Self::ShadowProtocol => "shadow_protocol",
            Self::ShadowQueue => "shadow_queue",
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::TooManyNodes => "too_many_nodes",
            Self::Coding => "coding",
            Self::Bytes => "bytes",
            Self::RecentWrite => "recent_write",
            Self::Multipart => "multipart",
            Self::Stream => "stream",
            Self::Identity => "identity",
            Self::Internal => "internal",
        }
    }
}

/// How two fields differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Two values of one type.
    Changed,
    /// Values of two types.
    Type,
    /// Old has it, new lacks it.
    Missing,
    /// New has it, old lacks it.
    Extra,
    /// The same elements in another order.
    Order,
    /// Arrays too long to align, of different lengths.
    Length,
    /// A key twice with different values.
    Duplicate,
    /// Values that are not one thing, as is known of them, or that can't be: one of them belongs to another.
    Identity,
    /// Bodies that are no JSON.
    Body,
    /// The status.
    Status,
    /// A header field.
    Header,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Changed,
        Self::Type,
        Self::Missing,
        Self::Extra,
        Self::Order,
        Self::Length,
        Self::Duplicate,
        Self::Identity,
        Self::Body,
        Self::Status,
        Self::Header,
    ];

    /// The public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Type => "type",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Order => "order",
            Self::Length => "length",
            Self::Duplicate => "duplicate",
            Self::Identity => "identity",
            Self::Body => "body",
            Self::Status => "status",
            Self::Header => "header",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Generalised path, such as `$.tags[*].name`, `status`, `body` or `header:NAME`.
    pub path: String,
    /// Where it was, such as `$.tags[3].name`: the place in old, of what is extra the place in new.
    pub at: String,
    /// How it differs.
    pub kind: Kind,
    /// What was there in old and in new.
    pub seen: [Seen; 2],
    /// How one became the other.
    pub change: Change,
}

impl Divergence {
    /// A difference that is not within a document: its path is where it was.
    #[must_use]
    pub fn whole(path: impl Into<String>, kind: Kind, seen: [Seen; 2], change: Change) -> Self {
        let path = path.into();
        Self {
            at: path.clone(),
            path,
            kind,
            seen,
            change,
        }
    }

    /// Whether what was there looks otherwise on each side.
    pub(crate) fn is_out_of_shape(&self) -> bool {
        self.seen[0].shape != self.seen[1].shape
    }
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Match, mismatch or incomparable.
    pub verdict: Verdict,
    /// The differences: headers first, then the body's in the order of old, with what is extra behind its neighbours; none unless the verdict is
    /// mismatch. Of each path, kind and shape of change the first 16 places stand here, and at most 1,000 in all, so that a thousand equal ones can't hide another;
    /// a pair counts once for each path and kind, however many places it has.
    pub divergences: Vec<Divergence>,
    /// RFC 6902 from old to new; `None` unless the verdict is mismatch and both bodies were read as JSON.
    pub patch: Option<json_patch::Patch>,
    /// Applied to old, the patch gives new, numbers compared by value.
    pub patch_exact: bool,
    /// The patch is only the beginning of what is needed: more than 200 operations, or more memory than there is.
    pub patch_truncated: bool,
    /// Which values stand for each other, each pairing once: to be learnt if the pair turns out to be no mismatch. At most 4,096, and none by rules without `ids`.
    pub pairings: Vec<Pairing>,
}

impl Comparison {
    /// Equal.
    #[must_use]
    pub fn matching() -> Self {
        Self::new(Verdict::Match, Vec::new())
    }

    /// Not to be judged.
    #[must_use]
    pub fn incomparable(reason: Incomparable) -> Self {
        Self::new(Verdict::Incomparable(reason), Vec::new())
    }

    /// Different, and nobody has asked where.
    pub(crate) fn differing() -> Self {
        Self::new(Verdict::Mismatch, Vec::new())
    }

    /// Equal if there are no differences, without a patch.
    #[must_use]
    pub fn of(divergences: Vec<Divergence>) -> Self {
        let verdict = if divergences.is_empty() {
            Verdict::Match
        } else {
            Verdict::Mismatch
        };
        Self::new(verdict, divergences)
    }

    fn new(verdict: Verdict, divergences: Vec<Divergence>) -> Self {
        Self {
            verdict,
            divergences,
            patch: None,
            patch_exact: false,
            patch_truncated: false,
            pairings: Vec::new(),
        }
    }
}
