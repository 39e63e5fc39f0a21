//! A corpus of malformed and ambiguous requests, through the proxy to a side that trusts nothing: never more than one request there, framed in
//! one way, and the client's connection open or closed as it must be.
//!
//! The cases are in `corpus/*.txt`, a line each: what the client gets, and what becomes of its connection; what the side sees; why; the bytes.

mod cases;
mod pingora;
mod recorder;

use crate::harness::client::Ending;
use crate::harness::{Client, Proxy, Setup, with_one_worker_and_with_four};
use cases::{Case, Gets, Then};
use recorder::Recorder;
use std::io::ErrorKind;

with_one_worker_and_with_four!(
    request_lines,
    targets,
    hosts,
    fields,
    lengths,
    codings,
    chunks,
    connections,
);

fn request_lines(workers: usize) {
    check(workers, include_str!("corpus/request_lines.txt"));
}

fn targets(workers: usize) {
    check(workers, include_str!("corpus/targets.txt"));
}

fn hosts(workers: usize) {
    check(workers, include_str!("corpus/hosts.txt"));
}

fn fields(workers: usize) {
    check(workers, include_str!("corpus/fields.txt"));
}

fn lengths(workers: usize) {
    check(workers, include_str!("corpus/lengths.txt"));
}

fn codings(workers: usize) {
    check(workers, include_str!("corpus/codings.txt"));
}

fn chunks(workers: usize) {
    check(workers, include_str!("corpus/chunks.txt"));
}

fn connections(workers: usize) {
    check(workers, include_str!("corpus/connections.txt"));
}

/// Everything goes to one side; `/k/{x}` has a key, where paths that can be read in two ways are refused.
fn proxy(workers: usize, side: &Recorder) -> Proxy {
    Setup::both(side)
        .workers(workers)
        .route("name = \"keyed\"\nmatch = \"* /k/{x}\"\nkey = \"{path.x}\"")
        .start()
}

const PROBE: &str = "GET /probe HTTP/1.1\r\nhost: probe\r\n\r\n";

/// Sends every case of a file on a connection of its own, and tells all that went wrong.
#[track_caller]
fn check(workers: usize, text: &str) {
    let side = Recorder::start();
    let proxy = proxy(workers, &side);
    let wrong: Vec<_> = cases::read(text)
        .iter()
        .filter_map(|case| {
            let fault = differs(&proxy, &side, case)?;
            Some(format!("{}: {}\n    {fault}", case.line, case.why))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// What is not as the case says.
fn differs(proxy: &Proxy, side: &Recorder, case: &Case) -> Option<String> {
    let mut client = proxy.client();
    // A proxy that has heard enough may close before it has taken everything.
    let _ = client.try_send(&case.bytes);
    let answered = client.try_answer(&case.method());
    let status = match &answered {
        Ok(answer) => Gets::Status(answer.status),
        Err(error) if is_the_end(error) => Gets::Nothing,
        Err(error) => return Some(format!("there is neither an answer nor an end: {error}")),
    };
    let then = match status {
        Gets::Status(_) => state(&mut client),
        Gets::Nothing => Ok(Then::Closed),
    };
    // What follows on another connection is seen after everything that this one caused.
    assert_eq!(Client::connect(proxy.address()).get("/barrier").status, 200);
    let seen = side.take();
    let seen: Vec<_> = seen
        .iter()
        .filter(|line| !matches!(line.as_str(), "GET /barrier" | "GET /probe"))
        .collect();
    let expected: Vec<_> = case.seen.iter().collect();
    if (status, &then) != (case.gets, &Ok(case.then)) {
        return Some(format!(
            "expected {:?} {:?}, got {status:?} {then:?}: {answered:?}",
            case.gets, case.then
        ));
    }
    (seen != expected).then(|| format!("the side should see {expected:?}, and saw {seen:?}"))
}

fn is_the_end(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
    )
}

/// Whether the connection takes another request; an error if it answers what was never asked.
fn state(client: &mut Client) -> Result<Then, String> {
    let sent = client.try_send(PROBE);
    match client.try_answer("GET") {
        Ok(answer) if answer.status == 200 && sent.is_ok() => Ok(Then::GoesOn),
        Ok(answer) => Err(format!("the probe was answered {}", answer.status)),
        Err(_) => match client.rest() {
            (rest, Ending::Closed | Ending::Reset) if rest.is_empty() => Ok(Then::Closed),
            (rest, _) => Err(format!("more came: {:?}", String::from_utf8_lossy(&rest))),
        },
    }
}

#[test]
fn there_are_enough_cases_and_each_stands_once() {
    let texts = [
        include_str!("corpus/request_lines.txt"),
        include_str!("corpus/targets.txt"),
        include_str!("corpus/hosts.txt"),
        include_str!("corpus/fields.txt"),
        include_str!("corpus/lengths.txt"),
        include_str!("corpus/codings.txt"),
        include_str!("corpus/chunks.txt"),
        include_str!("corpus/connections.txt"),
    ];
    let mut all: Vec<_> = texts
        .iter()
        .flat_map(|text| cases::read(text))
        .map(|case| case.bytes)
        .collect();
    let count = all.len();
    assert!(count >= 300, "{count}");
    all.sort_unstable();
    let twice: Vec<_> = all
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| String::from_utf8_lossy(&pair[0]))
        .collect();
    assert!(twice.is_empty(), "{twice:?}");
}
