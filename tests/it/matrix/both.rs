//! Both sides broken: each is asked once, the client is told of old's failure, and each failure is counted for its side.

use super::expected::moved;
use super::row::{End, Fault};
use super::talk::{Got, Question, Speaks};
use crate::harness::{Gate, Setup, Step, with_one_worker_and_with_four};

with_one_worker_and_with_four!(a_read, a_write);

fn faults() -> Vec<Fault> {
    let row = |what, steps: &[Step], kind| Fault::new(what, steps.to_vec(), End::Fails(kind));
    let nonsense = crate::harness::peer::send("nonsense\r\n\r\n");
    vec![
        Fault::nobody("refuses"),
        row("hangs", &[Step::ReadRequest, Step::Drain], "timeout"),
        row("resets", &[Step::ReadRequest, Step::Reset], "reset"),
        row(
            "talks nonsense",
            &[Step::ReadRequest, nonsense, Step::Drain],
            "protocol",
        ),
    ]
}

/// Asks with each pair of faults; says how often each side is to be asked, and what is to be counted of kinds of old and new.
fn check(workers: usize, method: &'static str, counted: impl Fn(&str, &str) -> Vec<String>) {
    for old in faults() {
        for new in faults() {
            let what = format!("old {}, new {}", old.what, new.what);
            let (old_side, new_side) = (old.side(0), new.side(0));
            let proxy = Setup::new(&old_side, &new_side)
                .workers(workers)
                .set("old", old.limits())
                .set("new", new.limits())
                .route("name = \"items\"\nmatch = \"GET,POST /items\"\npercent = 100")
                .start();
            let before = proxy.metrics();
            let question = Question {
                method,
                target: "/items",
                body: if method == "POST" { "body" } else { "" },
                gate: (Gate::default(), 0),
                leaves: false,
            };
            let got = Speaks::Http11.connect(&proxy).ask(&question);
            let (kind, other) = (old.kind().unwrap(), new.kind().unwrap());
            let expected = Got::whole(old.status, &format!("upstream_{kind}"));
            assert_eq!(got, expected, "{what}");
            let mut expected = counted(kind, other);
            expected.push(format!("requests 5xx {method} none 1"));
            expected.sort();
            assert_eq!(moved(&before, &proxy.settle()), expected, "{what}");
            let asked = |fault: &Fault| usize::from(fault.goes_on());
            let asked_new = if method == "GET" { asked(&new) } else { 0 };
            assert_eq!(
                (old_side.received().len(), new_side.received().len()),
                (asked(&old), asked_new),
                "{what}"
            );
            for text in [old_side.received(), new_side.received()].concat() {
                let line = format!("{method} /items HTTP/1.1\r\n");
                assert!(text.starts_with(&line) && text.matches(" HTTP/1.1\r\n").count() == 1);
                assert_eq!(text.ends_with("body"), method == "POST", "{what}: {text}");
            }
        }
    }
}

fn a_read(workers: usize) {
    check(workers, "GET", |old, new| {
        vec![
            format!("fallbacks {new} 1"),
            format!("upstream_errors {old} serve old 1"),
            format!("upstream_errors {new} serve new 1"),
        ]
    });
}

fn a_write(workers: usize) {
    check(workers, "POST", |old, _| {
        vec![format!("upstream_errors {old} serve old 1")]
    });
}
