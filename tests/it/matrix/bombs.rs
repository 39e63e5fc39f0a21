//! Answers that are small on the wire and enormous decoded, on a route that compares: the client gets them as they are, and the lab opens them no
//! further than it may: all of them together take less than one that is opened.

use super::expected::moved;
use crate::harness::client::admin;
use crate::harness::metrics::Page;
use crate::harness::program::{Program, crossfade};
use crate::harness::{Backend, Client, Reply, Setup, wait_until};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

const MIB: usize = 1 << 20;

/// What each of them would take, at least.
const DECODED: usize = 160 * MIB;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Members of a mebibyte each.
fn gzip_bomb() -> Vec<u8> {
    gzip(&vec![b' '; MIB]).repeat(DECODED / MIB)
}

/// A frame (RFC 8878) of blocks that repeat one byte.
fn zstd_bomb() -> Vec<u8> {
    const BLOCK: usize = 128 * 1024;
    let block = |last: usize| {
        let header = (last | 1 << 1 | BLOCK << 3).to_le_bytes();
        [&header[..3], b" "].concat()
    };
    // No checksum, no length, a window of 128 KiB.
    let head = b"\x28\xb5\x2f\xfd\x00\x38";
    [&head[..], &block(0).repeat(DECODED / BLOCK), &block(1)].concat()
}

fn peak(program: &Program) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let kibibytes = line.split_whitespace().nth(1).unwrap();
    kibibytes.parse::<usize>().unwrap() * 1024
}

#[test]
fn bombs_pass_and_are_not_opened() {
    let bombs = [
        ("gzip", gzip_bomb()),
        ("zstd", zstd_bomb()),
        ("gzip, gzip", gzip(&gzip_bomb())),
        ("zstd, gzip", gzip(&zstd_bomb())),
    ];
    for (_, bomb) in &bombs {
        assert!(bomb.len() * 600 < DECODED, "{}", bomb.len());
    }
    let all = bombs.clone();
    let side = |more: &'static [u8]| {
        let bombs = all.clone();
        Backend::start(move |seen| {
            let number: usize = seen.target.trim_start_matches("/items/").parse().unwrap();
            let (coding, bomb) = &bombs[number];
            // Equal bytes would be equal answers, without a look into them.
            let body = [&bomb[..], more].concat();
            Reply::status(200)
                .header("content-type", "application/json")
                .header("content-encoding", coding)
                .body(body)
        })
    };
    let (old, new) = (side(b""), side(b"!"));
    let setup =
        Setup::new(&old, &new).route("name = \"items\"\nmatch = \"GET /items/{id}\"\nshadow = 100");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.toml"), setup.text()).unwrap();
    let mut program = Program::start(crossfade(folder.path(), &["run"]));
    let (address, api) = program.addresses();
    let page = || Page::parse(admin(api, "GET", "/metrics", None).text());
    let (before, at_first) = (page(), peak(&program));
    const ROUNDS: usize = 5;
    let asked = ROUNDS * bombs.len();
    std::thread::scope(|scope| {
        for _ in 0..ROUNDS {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                for (number, (coding, bomb)) in bombs.iter().enumerate() {
                    let answer = client.get(&format!("/items/{number}"));
                    assert_eq!(
                        (answer.status, answer.header("content-encoding")),
                        (200, Some(*coding))
                    );
                    assert!(answer.body == bomb[..], "{coding}");
                }
            });
        }
    });
    wait_until("all are judged", || {
        page().sum("crossfade_comparisons_total", &[]) == asked as f64
    });
    let moved = moved(&before, &page());
    let expected = [
        format!("comparisons incomparable {asked}"),
        format!("incomparable too_large {asked}"),
        format!("requests 2xx GET old {asked}"),
        format!("shadow_requests new {asked}"),
        format!("shadow_sampled {asked}"),
    ];
    assert_eq!(moved, expected);
    assert_eq!((old.count(), new.count()), (asked, asked));
    let grown = peak(&program) - at_first;
    assert!(grown < DECODED, "{grown} bytes more");
}
