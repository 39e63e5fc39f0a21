//! What is told of a request when it has ended.

/// What a request became, as its span tells it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, as it came.
    pub path: &'a str,
    /// What it is called.
    pub id: &'a str,
    /// The route.
    pub route: Option<&'a str>,
    /// The side whose answer the client got, or `none`.
    pub side: &'static str,
    /// Why that side.
    pub why: Option<&'static str>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Whether the client got all of it.
    pub whole: bool,
}
