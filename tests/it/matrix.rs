//! The fault matrix: every way in which a side can break, met from every place in which that side can stand.
//!
//! A row says what a side does, and what becomes of the request. From that alone follow, for each place (`matrix/places.rs`), what the client sees,
//! which bytes each side gets and how often, and which counters move; all of it is compared exactly (`matrix/row.rs`), counters that must stay at
//! 0 included. Then one more request is made, which must get its own answer.
//!
//! Elsewhere: clients that are slow or leave (`matrix/clients.rs`), both sides down (`matrix/both.rs`), answers that are bombs (`matrix/bombs.rs`), floods of
//! HTTP/2 (`attacks.rs`), descriptors (`limits/connections.rs`), the file (`live/swaps.rs`, `live/refused.rs`), the clock (`clock.rs`).

mod bombs;
mod both;
mod clients;
mod expected;
mod places;
mod row;
mod talk;

use crate::harness::peer::send;
use crate::harness::{Gate, Step};
use Step::{Drain, FinishSending, ReadRequest, Reset};
use row::{End, Fault, Then};

/// The rows.
#[rustfmt::skip] // A table is read by its lines.
fn faults() -> Vec<Fault> {
    use End::{Breaks, Fails, Hangs, Whole};
    use Then::{Closes, Keeps};
    let row = |what, steps: &[Step], end| Fault::new(what, steps.to_vec(), end);
    // Sends this, and stays.
    let says = |what, text: &str, end| row(what, &[ReadRequest, send(text), Drain], end);
    // Sends this, which the client gets, and then does that.
    let stops = |what, text: &str, step: Step, end| {
        let gate = Gate::default();
        let steps = [ReadRequest, send(text), Step::Wait(gate.clone()), step, Drain];
        row(what, &steps, end).behind(gate)
    };
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let sized = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let unsized_ = "HTTP/1.1 200 OK\r\n\r\n";
    let with = |field: &str| format!("HTTP/1.1 200 OK\r\n{field}\r\ncontent-length: 2\r\n\r\nok");
    let after = |head: &str, body: &str| format!("{head}{body}");
    let large = "y".repeat(1 << 20);
    let idle = Gate::default();
    vec![
        // ---- refuses
        Fault::nobody("refuses"),
        Fault::full("never accepts"),
        // ---- hangs
        row("hangs and reads nothing", &[Step::Wait(idle.clone())], Fails("timeout")).unread().behind(idle),
        row("hangs before the head", &[ReadRequest, Drain], Fails("timeout")),
        says("hangs in the status line", "HTTP/1.1 20", Fails("timeout")),
        says("hangs in the head", "HTTP/1.1 200 OK\r\ncontent-len", Fails("timeout")),
        says("hangs after 103", "HTTP/1.1 103 Early Hints\r\n\r\n", Fails("timeout")),
        says("hangs after the head", sized, Hangs("")),
        says("hangs in a sized body", &after(sized, "half"), Hangs("half")),
        says("hangs in a chunked body", &after(chunked, "4\r\nhalf\r\n"), Hangs("half")),
        says("hangs in a chunk", &after(chunked, "a\r\nhalf"), Hangs("half")),
        says("hangs before the last chunk's end", &after(chunked, "4\r\nhalf\r\n0\r\n"), Hangs("half")),
        // ---- is slow
        row("is slow with everything", &[ReadRequest, Step::Trickle(ok.into())], Whole(200, "ok", Keeps)),
        row(
            "is slow with chunks",
            &[ReadRequest, Step::Trickle(after(chunked, "1\r\no\r\n1\r\nk\r\n0\r\n\r\n").into())],
            Whole(200, "ok", Keeps),
        ),
        // ---- resets
        row("resets while it reads", &[Step::ReadBody(1), Reset], Fails("reset")).unread(),
        row("resets before the head", &[ReadRequest, Reset], Fails("reset")),
        row("resets in the head", &[ReadRequest, send("HTTP/1.1 200 OK\r\nx"), Reset], Fails("reset")),
        row("resets after 103", &[ReadRequest, send("HTTP/1.1 103 Early Hints\r\n\r\n"), Reset], Fails("reset")),
        stops("resets after the head", sized, Reset, Breaks("reset", "")),
        stops("resets in a sized body", &after(sized, "half"), Reset, Breaks("reset", "half")),
        stops("resets in a chunked body", &after(chunked, "4\r\nhalf\r\n"), Reset, Breaks("reset", "half")),
        stops("resets in a chunk", &after(chunked, "a\r\nhalf"), Reset, Breaks("reset", "half")),
        stops("resets in a body without an end", &after(unsized_, "half"), Reset, Breaks("reset", "half")),
        // ---- ends early
        row("closes while it reads", &[Step::ReadBody(1)], Fails("reset")).unread(),
        row("closes before the head", &[ReadRequest], Fails("reset")),
        row("closes in the head", &[ReadRequest, send("HTTP/1.1 200 OK\r\ncontent-len")], Fails("reset")),
        row("closes after 100", &[ReadRequest, send("HTTP/1.1 100 Continue\r\n\r\n")], Fails("reset")),
        stops("ends after the head", sized, FinishSending, Breaks("reset", "")),
        stops("ends short of its length", &after(sized, "half"), FinishSending, Breaks("reset", "half")),
        stops("ends one byte short", &after(sized, "half half"), FinishSending, Breaks("reset", "half half")),
        stops("ends before a chunk", chunked, FinishSending, Breaks("reset", "")),
        stops("ends in the size of a chunk", &after(chunked, "4\r\nhalf\r\n1"), FinishSending, Breaks("reset", "half")),
        stops("ends in a chunk", &after(chunked, "a\r\nhalf"), FinishSending, Breaks("reset", "half")),
        stops("ends without the last chunk", &after(chunked, "4\r\nhalf\r\n"), FinishSending, Breaks("reset", "half")),
        stops("ends in the last chunk", &after(chunked, "4\r\nhalf\r\n0\r\n"), FinishSending, Breaks("reset", "half")),
        stops("ends in a trailer", &after(chunked, "4\r\nhalf\r\n0\r\nx: "), FinishSending, Breaks("reset", "half")),
        // ---- sends too much
        says("sends bytes beyond its length", &after(ok, "more"), Whole(200, "ok", Closes)),
        says("sends bytes after the last chunk", &after(chunked, "2\r\nok\r\n0\r\n\r\nmore"), Whole(200, "ok", Closes)),
        says("sends a body with 204", "HTTP/1.1 204 No Content\r\n\r\nmore", Whole(204, "", Closes)),
        says("sends a body with 304", "HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\nmore", Whole(304, "", Closes)),
        stops("sends bytes later", ok, send("more"), Whole(200, "ok", Closes)),
        stops("sends bytes after chunks later", &after(chunked, "2\r\nok\r\n0\r\n\r\n"), send("more"), Whole(200, "ok", Closes)),
        // ---- sends two answers
        says("sends two answers", &after(ok, &with("x: 2")), Whole(200, "ok", Closes)),
        says("sends two answers in chunks", &after(chunked, "2\r\nok\r\n0\r\n\r\n").repeat(2), Whole(200, "ok", Closes)),
        stops("sends another answer later", ok, send(&*with("x: 2")), Whole(200, "ok", Closes)),
        stops("says goodbye later", ok, send("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"), Whole(200, "ok", Closes)),
        // ---- sends bad framing
        says("says two lengths", &with("content-length: 3"), Fails("protocol")),
        says("says its length twice", &with("content-length: 2"), Whole(200, "ok", Keeps)),
        says("says a length that is none", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nok", Fails("protocol")),
        says("says a negative length", "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok", Fails("protocol")),
        says("says a signed length", "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok", Fails("protocol")),
        says("says a length beyond all numbers", "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nok", Fails("protocol")),
        says("says a length and chunks", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Whole(200, "ok", Closes)),
        says("says another coding", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Fails("protocol")),
        says("says chunked twice", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Fails("protocol")),
        says("says a coding that is not the last", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n", Fails("protocol")),
        says("says chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Fails("protocol")),
        stops("sends a size that is none", &after(chunked, "4\r\nhalf\r\n"), send("zz\r\n"), Breaks("protocol", "half")),
        stops("sends a size beyond all numbers", &after(chunked, "4\r\nhalf\r\n"), send("fffffffffffffffff\r\n"), Breaks("protocol", "half")),
        stops("sends a chunk that is too long", &after(chunked, "4\r\nhalf"), send("half\r\n0\r\n\r\n"), Breaks("protocol", "half")),
        stops("sends nonsense in place of a trailer", &after(chunked, "4\r\nhalf\r\n0\r\n"), send("no trailer\r\n\r\n"), Breaks("protocol", "half")),
        says("sends a space before a colon", &with("x : 1"), Fails("protocol")),
        says("sends a name that is none", &with("a b: 1"), Fails("protocol")),
        says("sends a folded field", &with("x: 1\r\n 2"), Fails("protocol")),
        says("sends a control character", &with("x: \u{0}"), Fails("protocol")),
        says("sends no version", "200 OK\r\n\r\n", Fails("protocol")),
        says("sends another version", "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok", Fails("protocol")),
        says("sends no status", "HTTP/1.1\r\n\r\n", Fails("protocol")),
        says("sends a status of two digits", "HTTP/1.1 99 Low\r\ncontent-length: 2\r\n\r\nok", Fails("protocol")),
        says("sends a status of four digits", "HTTP/1.1 2000 High\r\ncontent-length: 2\r\n\r\nok", Fails("protocol")),
        says("sends another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n", Fails("protocol")),
        says("switches protocols unasked", "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", Fails("protocol")),
        // ---- a 1 MB header
        says("sends a field of 1 MiB", &with(&format!("x: {large}")), Fails("protocol")),
        says("sends 1 MiB of fields", &with(&"x: 1\r\n".repeat(180_000)), Fails("protocol")),
        says("sends a status line of 1 MiB", &format!("HTTP/1.1 200 {large}\r\ncontent-length: 2\r\n\r\nok"), Fails("protocol")),
        stops("sends a trailer of 1 MiB", &after(chunked, "4\r\nhalf\r\n"), send(format!("0\r\nx: {large}\r\n\r\n")), Breaks("protocol", "half")),
        stops("sends an extension of 1 MiB", &after(chunked, "4\r\nhalf\r\n"), send(format!("1;{large}\r\n!\r\n0\r\n\r\n")), Breaks("protocol", "half")),
        // ---- a flood of 1xx
        says("sends a hundred 103 first", &after(&"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100), ok), Whole(200, "ok", Keeps)),
        row(
            "floods with 103",
            &[ReadRequest, Step::Flood("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(100).into())],
            Fails("protocol"),
        ),
    ]
}
