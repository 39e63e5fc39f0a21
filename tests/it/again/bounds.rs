//! What asking again may take: a tenth of the copies, and a part of the shadows' memory; and what becomes of pairs that wait when the proxy stops.

use super::{Sides, one, rechecks, value, verdicts};
use crate::harness::wait_until;
use crossfade::telemetry::labels::VerdictLabel;
use serde_json::{Value, json};

#[test]
fn at_most_a_tenth_of_the_copies_are_asked_again() {
    let sides = Sides::start("recheck = [\"1ms\", \"2ms\", \"3ms\"]");
    sides.answer(vec![one(1)], vec![one(2)]);
    let mut client = sides.proxy.client();
    for number in 0..500 {
        client.get(&format!("/items/x{number}"));
    }
    let page = sides.proxy.settle();
    assert_eq!(verdicts(&page), [("mismatch", 500.0)]);
    let copies = page.sum("crossfade_shadow_requests_total", &[]);
    assert_eq!(copies, 500.0);
    assert!(
        (6.0..=copies / 10.0).contains(&rechecks(&page)),
        "{}",
        rechecks(&page)
    );
    let rows = sides.proxy.admin_json("/api/mismatches?limit=1000");
    let rows = rows["mismatches"].as_array().unwrap();
    let rechecked = rows.iter().filter(|row| row["rechecked"] == true).count();
    assert_eq!(rechecked as f64, rechecks(&page) / 6.0);
    let row = &sides.proxy.admin_json("/api/routes")["routes"][0];
    assert_eq!(row["rechecks"], rechecks(&page));
    assert_eq!(row["diff_rate"], 1.0);
}

#[test]
fn what_is_not_spent_may_be_spent_on_others() {
    let sides = Sides::start("recheck = [\"1ms\", \"2ms\", \"3ms\", \"4ms\"]");
    // Eight requests are taken for each, and two are made; sixty are left to what was never asked.
    sides.answer(vec![one(1), one(2)], vec![one(2)]);
    sides.earn(800);
    let mut client = sides.proxy.client();
    for number in 0..4 {
        client.get(&format!("/items/x{number}"));
        sides.proxy.settle();
    }
    let page = sides.proxy.settle();
    assert_eq!(verdicts(&page), [("transient", 4.0)]);
    assert_eq!(rechecks(&page), 8.0);
}

/// Sends requests whose pairs wait for a minute.
fn waiting(sides: &Sides, requests: usize) {
    let mut client = sides.proxy.client();
    for number in 0..requests {
        client.get(&format!("/items/x{number}"));
    }
    let route = sides.proxy.running().telemetry().route("items", None);
    wait_until("every copy has been answered", || {
        let page = sides.proxy.metrics();
        page.sum("crossfade_shadow_requests_total", &[]) == route.sampled_count() as f64
            && sides.new.count() as u64 == route.sampled_count()
    });
}

#[test]
fn pairs_that_wait_when_the_proxy_stops_are_mismatches() {
    let mut sides = Sides::start("recheck = [\"60s\"]");
    sides.earn(240);
    sides.answer(vec![one(1)], vec![one(2)]);
    waiting(&sides, 10);
    let running = sides.proxy.running();
    let route = running.telemetry().route("items", None);
    let (memory, mismatches) = (
        running.shadow_memory().clone(),
        running.mismatches().clone(),
    );
    assert_eq!(
        route.verdicts(VerdictLabel::Mismatch),
        0,
        "nothing is judged yet"
    );
    sides.proxy.stop();
    assert!(route.ledger().is_settled(), "{:?}", route.ledger());
    assert_eq!(route.verdicts(VerdictLabel::Mismatch), 10);
    assert_eq!((route.rechecks(), memory.used()), (0, 0));
    let rows = mismatches.latest(None, 100);
    assert_eq!(rows.len(), 10, "none is lost");
    assert!(rows.iter().all(|row| !row.rechecked && !row.flaky));
}

#[test]
fn what_waits_is_bounded_in_bytes() {
    let mut sides = Sides::start("recheck = [\"60s\"]");
    sides.earn(900);
    let long = |number: u64| value(&json!({"a": number, "b": "x".repeat(200_000)}));
    sides.answer(vec![long(1)], vec![long(2)]);
    waiting(&sides, 40);
    let route = sides.proxy.running().telemetry().route("items", None);
    let memory = sides.proxy.running().shadow_memory().clone();
    wait_until(
        "those that find no place are judged, and nothing else is held",
        || route.verdicts(VerdictLabel::Mismatch) > 0 && memory.used() <= 8 << 20,
    );
    let rows = sides.proxy.admin_json("/api/mismatches?limit=1000");
    let rows: &Vec<Value> = rows["mismatches"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["rechecked"] == false));
    assert!(memory.used() > 4 << 20, "{}", memory.used());
    sides.proxy.stop();
    assert_eq!(memory.used(), 0);
    assert_eq!(route.verdicts(VerdictLabel::Mismatch), 40);
    assert!(route.ledger().is_settled());
}
