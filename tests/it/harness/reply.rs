//! What a backend answers.

use super::Gate;
use bytes::Bytes;
use http::HeaderMap;
use std::collections::VecDeque;

/// An answer: a head, perhaps behind a gate, and the pieces of a body.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) pieces: VecDeque<Piece>,
    pub(super) chunked: bool,
    pub(super) gate: Option<Gate>,
}

/// A piece of a body.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    /// Nothing until the gate opens.
    Wait(Gate),
    Trailers(HeaderMap),
    /// The connection breaks off here.
    Break,
}

impl Reply {
    /// A status without a body.
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            pieces: VecDeque::new(),
            chunked: false,
            gate: None,
        }
    }

    /// 200 with a sized text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::status(200).body(text.into())
    }

    /// 200 with `application/json`.
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::text(value.to_string()).header("content-type", "application/json")
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A sized body.
    pub(crate) fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.pieces = [Piece::Data(bytes.into())].into();
        self
    }

    /// A chunked body of these pieces.
    pub(crate) fn pieces(mut self, pieces: Vec<Piece>) -> Self {
        self.pieces = pieces.into();
        self.chunked = true;
        self
    }

    /// "begun, ", and "and done" once the gate opens.
    pub(crate) fn halting_at(gate: &Gate) -> Self {
        Self::status(200).pieces(vec![
            Piece::Data("begun, ".into()),
            Piece::Wait(gate.clone()),
            Piece::Data("and done".into()),
        ])
    }

    /// Sends the pieces with the length of their data instead of in chunks.
    pub(crate) fn sized(mut self) -> Self {
        self.chunked = false;
        self
    }

    /// No head until the gate opens.
    pub(crate) fn after(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }
}
