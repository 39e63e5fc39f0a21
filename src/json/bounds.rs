//! Bounds of a document, and the memory that a piece of judgement may take. What is allocated in proportion to input asks here first.

/// Memory that a comparison may take: `false` refuses, and the verdict is `Incomparable::Bytes`.
pub trait Memory {
    /// Asks for that many more bytes until the comparison ends.
    fn charge(&mut self, bytes: usize) -> bool;
}

/// Memory without a limit, for the command line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl Memory for Unlimited {
    fn charge(&mut self, _bytes: usize) -> bool {
        true
    }
}

/// Bounds of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of input; never more than 2 GiB.
    pub bytes: usize,
    /// Arrays and objects within each other; a scalar alone has depth 0.
    pub depth: usize,
    /// Values of every type, names of members not counted.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 4 * 1024 * 1024,
            depth: 128,
            nodes: 200_000,
        }
    }
}

/// Why bytes became no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// They are no JSON.
    #[error("not JSON at byte {at}: {message}")]
    NotJson {
        /// Offset of the problem.
        at: usize,
        /// What is wrong, without a full stop.
        message: &'static str,
    },
    /// More bytes than [`Limits::bytes`].
    #[error("the document is too large")]
    TooLarge,
    /// Deeper than [`Limits::depth`].
    #[error("the document is nested too deeply")]
    TooDeep,
    /// More values than [`Limits::nodes`].
    #[error("the document has too many values")]
    TooManyNodes,
    /// [`Memory`] said no.
    #[error("the memory for comparisons is used up")]
    Refused,
}
