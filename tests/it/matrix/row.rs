//! A row of the matrix: what a side does, what becomes of a request to it, and the side that does so.

use crate::harness::peer::{Contact, send};
use crate::harness::proxy::{Listens, full, nobody};
use crate::harness::{Gate, PATIENCE, Peer, Step};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A way to break.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) what: &'static str,
    pub(super) end: End,
    /// The status of the document that a client gets where no head of an answer comes.
    pub(super) status: u16,
    /// Whether the request is read.
    pub(super) reads: bool,
    /// What the side waits for before it breaks.
    pub(super) gate: Gate,
    does: Does,
}

#[derive(Debug)]
enum Does {
    Refuse,
    NeverAccept,
    Steps(Vec<Step>),
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// There is no head of an answer; the kind that is counted.
    Fails(&'static str),
    /// So much of a body comes, and then it breaks; the kind that is counted.
    Breaks(&'static str, &'static str),
    /// So much of a body comes, and no more.
    Hangs(&'static str),
    /// The whole answer comes.
    Whole(u16, &'static str, Then),
}

/// What becomes of the connection after a whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It gets the next request.
    Keeps,
    /// Nobody can tell whose the bytes on it are.
    Closes,
}

impl Fault {
    pub(super) fn new(what: &'static str, steps: Vec<Step>, end: End) -> Self {
        Self {
            what,
            end,
            status: if end == End::Fails("timeout") {
                504
            } else {
                502
            },
            reads: true,
            gate: Gate::default(),
            does: Does::Steps(steps),
        }
    }

    /// There is nobody.
    pub(super) fn nobody(what: &'static str) -> Self {
        Self {
            does: Does::Refuse,
            reads: false,
            ..Self::new(what, Vec::new(), End::Fails("connect"))
        }
    }

    /// There is somebody who accepts no connection.
    pub(super) fn full(what: &'static str) -> Self {
        Self {
            does: Does::NeverAccept,
            status: 504,
            ..Self::nobody(what)
        }
    }

    /// It waits for this gate.
    pub(super) fn behind(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// What is sent is not read.
    pub(super) fn unread(mut self) -> Self {
        self.reads = false;
        self
    }

    /// Whether nothing but a limit of time ends a request, or a copy.
    pub(super) fn needs_a_limit(&self, copy: bool) -> bool {
        match self.end {
            End::Fails(kind) => kind == "timeout" || matches!(self.does, Does::NeverAccept),
            End::Hangs(_) => copy,
            End::Breaks(..) | End::Whole(..) => false,
        }
    }

    /// Lines of the side's settings: limits of time are short only where nothing else ends a request, so that a slow machine changes nothing.
    pub(super) fn limits(&self) -> &'static str {
        match (&self.does, self.end) {
            (Does::NeverAccept, _) => "connect_timeout = \"100ms\"",
            (_, End::Fails("timeout")) => "timeout = \"100ms\"\nconnect_timeout = \"15s\"",
            _ => "connect_timeout = \"15s\"",
        }
    }

    /// The kind that is counted.
    pub(super) fn kind(&self) -> Option<&'static str> {
        match self.end {
            End::Fails(kind) | End::Breaks(kind, _) => Some(kind),
            End::Hangs(_) | End::Whole(..) => None,
        }
    }

    /// The side: it breaks after so many good exchanges on its first connection, and answers well on the others.
    pub(super) fn side(&self, before: usize) -> Side {
        let Does::Steps(steps) = &self.does else {
            let address = match self.does {
                Does::Refuse => nobody(),
                Does::NeverAccept | Does::Steps(_) => full(),
            };
            return Side {
                address,
                peer: None,
            };
        };
        let mut script = Vec::new();
        for _ in 0..before {
            script.extend(good(NEXT));
        }
        script.extend(steps.clone());
        if matches!(self.end, End::Whole(.., Then::Keeps)) {
            script.pop_if(|step| matches!(step, Step::Drain));
            script.extend(good(NEXT));
            script.push(Step::Drain);
        }
        let again = [good(NEXT), vec![Step::Again]].concat();
        let peer = Peer::start(vec![script, again]);
        Side {
            address: peer.address(),
            peer: Some(peer),
        }
    }

    /// Whether there is anybody who could answer the next request.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self.does, Does::Steps(_))
    }

    /// Bytes that are sent before the next request is waited for.
    pub(super) fn length(&self) -> usize {
        let Does::Steps(steps) = &self.does else {
            return 0;
        };
        let sent = steps.iter().map(|step| match step {
            Step::Send(bytes) | Step::Trickle(bytes) => bytes.len(),
            _ => 0,
        });
        sent.sum()
    }
}

/// The body of an answer to a request that comes after a fault.
pub(super) const NEXT: &str = "next";

/// One good exchange.
pub(super) fn good(body: &str) -> Vec<Step> {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    vec![Step::ReadRequest, send(answer)]
}

/// A side that records every byte, and breaks.
#[derive(Debug)]
pub(super) struct Side {
    address: SocketAddr,
    peer: Option<Peer>,
}

impl Listens for Side {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Side {
    /// One that always answers so.
    pub(super) fn good(body: &str) -> Self {
        Self::of([good(body), vec![Step::Again]].concat())
    }

    /// One that does this on each connection.
    pub(super) fn of(script: Vec<Step>) -> Self {
        let peer = Peer::always(script);
        Self {
            address: peer.address(),
            peer: Some(peer),
        }
    }

    /// Bytes that it has sent on its first connection.
    pub(super) fn sent(&self) -> usize {
        self.contacts().first().map_or(0, |contact| contact.sent)
    }

    /// Connections that it has not seen the end of.
    pub(super) fn open(&self) -> usize {
        self.peer.as_ref().map_or(0, Peer::open)
    }

    /// Every byte that it got, connection by connection; the names of the proxy and of requests in it as `ID`.
    pub(super) fn received(&self) -> Vec<String> {
        let contacts = self.contacts();
        let texts = contacts.iter().map(|contact| without_id(&contact.text()));
        texts.collect()
    }

    /// The same, once it is this, or will not be any more.
    pub(super) fn received_by_now(&self, expected: &[String]) -> Vec<String> {
        let start = Instant::now();
        while self.received() != expected && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.received()
    }

    fn contacts(&self) -> Vec<Contact> {
        self.peer.as_ref().map(Peer::contacts).unwrap_or_default()
    }
}

fn without_id(text: &str) -> String {
    [" crossfade-", "\r\nx-request-id: "]
        .iter()
        .fold(text.to_owned(), |text, mark| {
            let mut parts = text.split(mark);
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |text, part| {
                let rest = part.find("\r\n").map_or("", |end| &part[end..]);
                text + mark + "ID" + rest
            })
        })
}
