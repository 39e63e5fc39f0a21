//! Lines and how they are lost, on files of the system.

use super::*;
use crate::telemetry::access::record::Begun;
use crate::telemetry::labels::{FallbackReason, ServedBy};
use http::{Method, StatusCode, Version};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

const PATIENCE: Duration = Duration::from_secs(20);

fn begin(id: &str, path: &str, query: Option<&str>) -> Box<Record> {
    Record::begin(Begun {
        id: id.to_owned(),
        client: "192.0.2.1".parse().unwrap(),
        version: Version::HTTP_11,
        method: &Method::GET,
        path,
        query,
        traceparent: Some(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    })
}

fn open(log: &AccessLog, file: &Path) -> Arc<Sink> {
    let settings = settings::AccessLog {
        sample: Share::ALL,
        file: Some(file.to_owned()),
    };
    log.open(&settings).unwrap()
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_line_tells_what_became_of_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let log = AccessLog::default();
    let sink = open(&log, &file);
    assert!(sink.is_wanted());
    let mut record = begin("mine", "/a/\"b\"", Some("token=PLANTED&c=1"));
    record.routed(&"tags".into());
    record.decided("bucket", Some(42), true);
    record.fell_back(FallbackReason::Timeout);
    record.answered(ServedBy::Old, StatusCode::OK, Duration::from_micros(1_234));
    record.passed(7);
    record.passed(5);
    record.ended(true, Duration::from_millis(2_000));
    sink.tell(record);
    let mut record = begin("other", &"é".repeat(3_000), None);
    record.refused(StatusCode::BAD_REQUEST, "bad_request");
    record.ended(false, Duration::ZERO);
    sink.tell(record);
    log.finish(PATIENCE);
    let [mut first, second] = lines(&file).try_into().unwrap();
    let time = first["time"].take();
    assert!(time.as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert_eq!(
        first,
        json!({
            "time": null, "id": "mine", "client": "192.0.2.1", "protocol": "HTTP/1.1", "method": "GET", "path": "/a/\"b\"",
            "query": "token=$redacted&c=1", "route": "tags", "side": "old", "why": "bucket", "bucket": 42, "status": 200,
            "reason": null, "aborted": false, "bytes": 12, "duration_ms": 2000.0, "upstream_ms": 1.234, "shadow": true,
            "fallback": "timeout", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        })
    );
    assert_eq!(second["path"], "é".repeat(1_024));
    assert_eq!(
        (&second["side"], &second["reason"], &second["aborted"]),
        (&json!("none"), &json!("bad_request"), &json!(true))
    );
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
    assert_eq!(
        LostLine::ALL.iter().map(|why| log.lost(*why)).sum::<u64>(),
        0
    );
}

#[test]
fn a_writer_that_hangs_costs_lines_and_nothing_else() {
    // A pipe that nobody reads takes some 64 KiB; then whoever writes into it waits.
    let (mut reader, writer) = std::io::pipe().unwrap();
    let pipe = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let log = AccessLog::default();
    let sink = open(&log, Path::new(&pipe));
    let told = 4 * QUEUE;
    for _ in 0..told {
        let mut record = begin("x", "/", None);
        record.ended(true, Duration::ZERO);
        sink.tell(record);
    }
    let lost = log.lost(LostLine::Queue);
    assert!(lost > QUEUE as u64, "{lost}");
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    log.finish(PATIENCE);
    // The last one who could write into it.
    drop(writer);
    let written = reading.join().unwrap();
    assert_eq!(written.lines().count() as u64 + lost, told as u64);
    for line in written.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    assert_eq!(log.lost(LostLine::Write), 0);
}

#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let log = AccessLog::default();
    let full = open(&log, Path::new("/dev/full"));
    let missing = open(&log, &folder.path().join("none/access.log"));
    let good = open(&log, &file);
    for sink in [&full, &missing, &good, &full] {
        sink.tell(begin("x", "/", None));
    }
    log.finish(PATIENCE);
    assert_eq!((log.lost(LostLine::Write), lines(&file).len()), (3, 1));
}

#[test]
fn a_renamed_file_is_left_alone_once_it_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let (file, old) = (folder.path().join("log"), folder.path().join("log.1"));
    let log = AccessLog::default();
    let sink = open(&log, &file);
    sink.tell(begin("first", "/", None));
    // Ends with the test's own time, if it never is.
    while !fs::metadata(&file).is_ok_and(|file| file.len() > 0) {
        std::thread::yield_now();
    }
    fs::rename(&file, &old).unwrap();
    log.reopen();
    sink.tell(begin("second", "/", None));
    log.finish(PATIENCE);
    let id = |file: &Path| lines(file)[0]["id"].clone();
    assert_eq!((id(&old), id(&file)), (json!("first"), json!("second")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_request_is_one_line_without_its_secrets(
        path in any::<String>(),
        before in "([a-z]{1,4}=[^&]{0,6}&){0,2}",
        name in "[a-z]{0,3}(token|SECRET|Cookie)[a-z]{0,3}",
    ) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.log");
        let log = AccessLog::default();
        open(&log, &file).tell(begin("x", &path, Some(&format!("{before}{name}=PLANTED"))));
        log.finish(PATIENCE);
        let text = fs::read_to_string(&file).unwrap();
        prop_assert_eq!(text.matches('\n').count(), 1);
        prop_assert!(!text.contains("PLANTED") && !text.trim_end_matches('\n').chars().any(char::is_control));
        prop_assert_eq!(lines(&file).len(), 1);
    }
}
