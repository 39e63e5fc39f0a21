//! What slow, idle and many peers can't do, and how the listener stops.

use super::{Limits, Reply, Rig, Setup, change};
use crate::side::Side;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

#[test]
fn idle_peers_keep_nobody_out() {
    let limits = Limits {
        connections: 4,
        ..Limits::default()
    };
    let rig = Rig::with(&Setup {
        limits,
        ..Setup::default()
    });
    let mut idle: Vec<_> = (0..8).map(|_| rig.connect()).collect();
    for stream in &mut idle {
        stream.write_all(b"GET /api/config HTT").unwrap();
    }
    assert_eq!(rig.change("PUT", r#"{"serve":"old"}"#).status, 200);
    let ended = idle[0].read(&mut [0; 1]).map_err(|error| error.kind());
    assert!(
        matches!(ended, Ok(0) | Err(ErrorKind::ConnectionReset)),
        "the oldest made room: {ended:?}"
    );
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let limits = Limits {
        head: Duration::from_millis(50),
        ..Limits::default()
    };
    let rig = Rig::with(&Setup {
        limits,
        ..Setup::default()
    });
    for begun in ["", "GET /livez HTTP/1.1\r\nhost:"] {
        let mut stream = rig.connect();
        stream.write_all(begun.as_bytes()).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{begun:?}");
    }
}

#[test]
fn an_old_connection_ends_between_requests() {
    let limits = Limits {
        age: Duration::from_millis(50),
        ..Limits::default()
    };
    let rig = Rig::with(&Setup {
        limits,
        ..Setup::default()
    });
    let mut stream = rig.connect();
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    assert_eq!(
        Reply::read(&mut stream).status,
        200,
        "read to the end of the connection"
    );
}

#[test]
fn stopping_lets_a_running_request_end() {
    let rig = Rig::new();
    let text = change("PUT", "localhost", "application/json", r#"{"serve":"old"}"#)
        .replace("connection: close\r\n", "expect: 100-continue\r\n");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut stream = rig.connect();
    stream
        .write_all(format!("{head}\r\n\r\n").as_bytes())
        .unwrap();
    // The interim answer says that the handler waits for the body.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    let mut idle = rig.connect();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    rig.stop.send(()).unwrap();
    // A connection that waits for its next request ends at once, which also shows that the stop has come through.
    idle.read_to_end(&mut Vec::new()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut stream).status, 200);
    rig.thread.join().unwrap();
    assert_eq!(
        rig.admin
            .live
            .snapshot()
            .overrule
            .as_ref()
            .map(|saved| saved.serve),
        Some(Side::Old)
    );
}
