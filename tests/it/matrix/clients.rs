//! Clients that leave, at every stage of a request: every byte that the sides got of them, and every counter that moves.

use super::expected::{moved, stamp};
use super::row::{Side, good};
use crate::harness::http2::{Http2, head};
use crate::harness::peer::send;
use crate::harness::{Gate, Proxy, Setup, Step, wait_until};

/// A client that sends this, waits until the side and itself have what is to come of it, and leaves.
struct Stage {
    what: &'static str,
    sent: &'static str,
    /// What the side got before and after the fields that the proxy adds, if it was asked.
    seen: Option<(&'static str, &'static str)>,
    /// What the side sends when it has a whole request.
    answer: &'static str,
    /// Bytes of the answer that the client takes.
    takes: usize,
}

const SIZED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
const CHUNK: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
const GET: &str = "GET /items/a HTTP/1.1\r\nhost: a\r\n\r\n";
const GOT: &str = "GET /items/a HTTP/1.1\r\nhost: a\r\n";
const POSTED: &str = "POST /items/a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n";
const CHUNKED: &str = "POST /items/a HTTP/1.1\r\nhost: a\r\n";

#[rustfmt::skip] // A table is read by its lines.
const STAGES: [Stage; 14] = [
    Stage::new("connected", "", None),
    Stage::new("in a request line", "GE", None),
    Stage::new("in a head", "GET /items/a HTTP/1.1\r\nhost", None),
    Stage::new("before the end of a head", "GET /items/a HTTP/1.1\r\nhost: a\r\n", None),
    Stage::new("before a body", "POST /items/a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n", Some((POSTED, "\r\n"))),
    Stage::new("in a body", "POST /items/a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nha", Some((POSTED, "\r\nha"))),
    Stage::new("in a chunk", "POST /items/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nha", Some((CHUNKED, "transfer-encoding: chunked\r\n\r\n2\r\nha\r\n"))),
    Stage::new("between chunks", "POST /items/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", Some((CHUNKED, "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"))),
    Stage::new("in the last chunk", "POST /items/a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n", Some((CHUNKED, "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"))),
    Stage::new("waiting", GET, Some((GOT, "\r\n"))),
    Stage::new("waiting in a head", GET, Some((GOT, "\r\n"))).answered("HTTP/1.1 200 OK\r\ncontent-len", 0),
    Stage::new("after the head of an answer", GET, Some((GOT, "\r\n"))).answered(SIZED, 1),
    Stage::new("in an answer", GET, Some((GOT, "\r\n"))).answered(HALF, HALF.len()),
    Stage::new("in an answer of chunks", GET, Some((GOT, "\r\n"))).answered(CHUNK, CHUNK.len()),
];

impl Stage {
    const fn new(
        what: &'static str,
        sent: &'static str,
        seen: Option<(&'static str, &'static str)>,
    ) -> Self {
        Self {
            what,
            sent,
            seen,
            answer: "",
            takes: 0,
        }
    }

    const fn answered(self, answer: &'static str, takes: usize) -> Self {
        Self {
            answer,
            takes,
            ..self
        }
    }

    fn method(&self) -> &'static str {
        if self.sent.starts_with("POST") {
            "POST"
        } else {
            "GET"
        }
    }

    /// The bytes at the side.
    fn at_the_side(&self) -> Vec<String> {
        let text = |(before, after)| format!("{before}{}{after}", stamp("a", "http", "1.1"));
        self.seen.map(text).into_iter().collect()
    }
}

/// Who is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Old.
    Old,
    /// New, where old may answer instead.
    New,
    /// Old, and new gets copies.
    Mirrored,
}

impl Who {
    fn start(self, side: &Side, other: &Side) -> Proxy {
        let (old, new, lines) = match self {
            Self::Old => (side, other, ""),
            Self::New => (other, side, "percent = 100"),
            Self::Mirrored => (side, other, "shadow = 100"),
        };
        Setup::new(old, new)
            .workers(1)
            .route(&format!(
                "name = \"items\"\nmatch = \"GET,POST /items/{{id}}\"\nkey = \"{{path.id}}\"\nread = true\n{lines}"
            ))
            .start()
    }

    /// What one that left is counted as.
    fn counted(self, method: &str) -> Vec<String> {
        let by = if self == Self::New { "new" } else { "old" };
        let mut moved = vec![format!("requests aborted {method} {by} 1")];
        if self == Self::Mirrored {
            moved.push("shadow_dropped aborted 1".to_owned());
            moved.push("shadow_sampled 1".to_owned());
        }
        moved
    }
}

const WHOS: [Who; 3] = [Who::Old, Who::New, Who::Mirrored];

/// Asks and leaves; returns what has moved when all of it is over.
fn leave(stage: &Stage, who: Who, reset: bool, side: &Side, gate: Option<&Gate>) {
    let what = format!("{} {who:?} reset: {reset}", stage.what);
    let other = Side::good("ok");
    let proxy = who.start(side, &other);
    let before = proxy.metrics();
    let mut client = proxy.client();
    client.send(stage.sent);
    wait_until(&what, || side.received() == stage.at_the_side());
    client.read_exactly(stage.takes);
    wait_until(&what, || {
        side.sent() == stage.answer.len() || gate.is_some()
    });
    proxy.wait_for_connections(1);
    if reset {
        client.reset();
    } else {
        drop(client);
    }
    proxy.wait_for_connections(0);
    if let Some(gate) = gate {
        gate.open();
        wait_until("the answer is sent", || side.sent() > 0);
    } else {
        wait_until("the side's connection is closed", || side.open() == 0);
    }
    let moved = moved(&before, &proxy.settle());
    let expected = match stage.seen {
        Some(_) => who.counted(stage.method()),
        None => Vec::new(),
    };
    assert_eq!(moved, expected, "{what}");
    assert_eq!(side.received(), stage.at_the_side(), "{what}");
    assert!(
        other.received().is_empty(),
        "{what}: {:?}",
        other.received()
    );
}

#[test]
fn a_client_may_leave_at_every_stage() {
    for stage in &STAGES {
        for who in WHOS {
            for reset in [false, true] {
                let hold = [Step::ReadRequest, send(stage.answer), Step::Drain];
                leave(stage, who, reset, &Side::of(hold.to_vec()), None);
            }
        }
    }
}

/// A write is not undone: it gets its answer, which nobody takes.
#[test]
fn a_write_that_is_whole_runs_to_its_answer() {
    let sent = "POST /items/a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody";
    let stage = Stage::new("waiting with a write", sent, Some((POSTED, "\r\nbody")));
    for reset in [false, true] {
        let gate = Gate::default();
        let mut script = good("ok");
        script.insert(1, Step::Wait(gate.clone()));
        script.push(Step::Drain);
        leave(&stage, Who::Old, reset, &Side::of(script), Some(&gate));
    }
}

/// Over HTTP/2 a client may leave with one request, or with its connection.
#[test]
fn a_client_of_http_2_may_leave_at_every_stage() {
    let stages = [
        ("in a body", "POST", "ha", ""),
        ("waiting", "GET", "", ""),
        ("in a sized answer", "GET", "", HALF),
        ("in an answer of chunks", "GET", "", CHUNK),
    ];
    for (stage, method, sent, answer) in stages {
        for whole in [false, true] {
            let what = format!("{stage}, with its connection: {whole}");
            let side = Side::of(vec![Step::ReadRequest, send(answer), Step::Drain]);
            let other = Side::good("ok");
            let proxy = Setup::new(&side, &other)
                .workers(1)
                .listens(r#"{ address = "127.0.0.1:0", h2c = true }"#)
                .start();
            let before = proxy.metrics();
            let client = Http2::connect(proxy.address());
            let (response, mut upload) =
                client.send(head(method, "/items/a", &[]), sent.is_empty());
            let mut seen = format!(
                "{method} /items/a HTTP/1.1\r\nhost: test.example\r\n{}",
                stamp("test.example", "http", "2.0")
            );
            if sent.is_empty() {
                seen += "\r\n";
            } else {
                upload.send_data(sent.into(), false).unwrap();
                seen += &format!("transfer-encoding: chunked\r\n\r\n2\r\n{sent}\r\n");
            }
            wait_until(&what, || side.received() == [seen.as_str()]);
            let mut answered = None;
            if !answer.is_empty() {
                let mut body = client.wait(response).unwrap().into_body();
                assert_eq!(client.piece(&mut body), "half", "{what}");
                answered = Some(body);
            }
            if whole {
                drop((client, upload, answered));
                proxy.wait_for_connections(0);
            } else {
                upload.send_reset(h2::Reason::CANCEL);
            }
            wait_until(&what, || side.open() == 0);
            let page = proxy.settle();
            let expected = [format!("requests aborted {method} old 1")];
            assert_eq!(moved(&before, &page), expected, "{what}");
            assert_eq!(side.received(), [seen.as_str()], "{what}");
            assert!(other.received().is_empty(), "{what}");
        }
    }
}
