//! What old does to itself, and what is known of a route's fields.

use super::{Sides, ask, one, rechecks, verdicts};
use crate::harness::{Backend, Client, Proxy, Setup, wait_until};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

const ROUTE: &str = "name = \"items\"\nmatch = \"GET /items/{id}\"\nkey = \"{path.id}\"\nshadow = 100\ncompare = { recheck = [\"1ms\"] }";

/// One in sixteen answers is another one, in no order.
fn noisy() -> Backend {
    let asked = AtomicU64::new(0);
    Backend::start(move |_| {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        one(1 + u64::from(mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 60 == 0))
    })
}

fn field(proxy: &Proxy) -> Value {
    proxy.admin_json("/api/routes")["routes"][0]["fields"][0].clone()
}

fn fields(proxy: &Proxy, state: &str) -> f64 {
    let labels = [("route", "items"), ("state", state)];
    proxy.metric("crossfade_fields", &labels)
}

#[test]
fn old_is_asked_twice_for_a_share_of_the_pairs() {
    let (old, new) = (Backend::text("same"), Backend::text("same"));
    let proxy = Setup::new(&old, &new)
        .instead("noise", "sample = 10")
        .route(ROUTE)
        .start();
    ask(&proxy, 400);
    let page = proxy.metrics();
    let twice = rechecks(&page);
    assert!((1.0..=40.0).contains(&twice), "{twice}");
    wait_until("all of them have come", || {
        old.count() as f64 == 400.0 + twice
    });
    assert_eq!(new.count(), 400);
    assert_eq!(page.sum("crossfade_shadow_requests_total", &[]), 400.0);
    assert_eq!(
        page.sum("crossfade_comparisons_total", &[("verdict", "match")]),
        400.0
    );
}

#[test]
fn a_twin_is_asked_in_place_of_old() {
    let [old, new, twin] = [(); 3].map(|()| Backend::text("same"));
    let proxy = Setup::new(&old, &new)
        .set("old", &format!("twin = \"http://{}\"", twin.address()))
        .instead("noise", "sample = 10")
        .route(ROUTE)
        .start();
    ask(&proxy, 400);
    assert_eq!((old.count(), new.count()), (400, 400));
    assert_eq!(twin.count() as f64, rechecks(&proxy.metrics()));
    assert!(twin.count() > 0 && twin.requests().iter().all(|seen| seen.is_shadow()));
    // One that is gone costs nothing but what it would tell.
    drop(twin);
    ask(&proxy, 100);
    assert_eq!(verdicts(&proxy.metrics()), []);
}

#[test]
fn what_old_does_to_itself_is_noise() {
    let (old, new) = (noisy(), noisy());
    let proxy = Setup::new(&old, &new)
        .instead("noise", "sample = 10")
        .route(ROUTE)
        .start();
    ask(&proxy, 2_000);
    let before = proxy
        .metrics()
        .sum("crossfade_comparisons_total", &[("verdict", "mismatch")]);
    let shown = field(&proxy);
    assert_eq!(shown["state"], "noisy", "{shown}");
    for rate in ["differs", "own"] {
        let number = |name: &str| shown[rate][name].as_f64().unwrap();
        assert!(
            number("low") < number("rate") && number("rate") < number("high"),
            "{shown}"
        );
        assert!(number("trials") >= 30.0, "{shown}");
    }
    ask(&proxy, 300);
    let page = proxy.metrics();
    let verdict = |name: &str| page.sum("crossfade_comparisons_total", &[("verdict", name)]);
    assert!(verdict("noise") > 0.0);
    assert_eq!(
        verdict("mismatch"),
        before,
        "no difference of this kind counts any more"
    );
    assert_eq!(
        (fields(&proxy, "noisy"), fields(&proxy, "suspicious")),
        (1.0, 0.0)
    );
}

#[test]
fn a_field_in_which_both_sides_stand_by_their_answers_is_suspicious_until_it_is_looked_at_anew() {
    let sides = Sides::start("recheck = [\"1ms\"]");
    sides.answer(vec![one(1)], vec![one(2)]);
    let proxy = &sides.proxy;
    let states = ["clean", "noisy", "blind", "suspicious", "undecided"];
    assert_eq!(states.map(|state| fields(proxy, state)), [0.0; 5]);
    ask(proxy, 2_000);
    let shown = field(proxy);
    assert_eq!(
        (
            &shown["field"],
            &shown["kind"],
            &shown["count"],
            &shown["state"]
        ),
        (
            &json!("$.a"),
            &json!("changed"),
            &json!(2_000),
            &json!("suspicious")
        )
    );
    assert!(shown["test"]["aligned"].as_u64() > Some(20), "{shown}");
    assert_eq!(shown["test"]["crossed"], 0);
    let page = proxy.metrics();
    assert!(rechecks(&page) <= 200.0, "{}", rechecks(&page));
    assert_eq!(
        states.map(|state| fields(proxy, state)),
        [0.0, 0.0, 0.0, 1.0, 0.0]
    );

    let generation = proxy.generation();
    let applied = |number| wait_until("the edit is applied", || proxy.generation() == number);
    proxy.edit("shadow = 100", "shadow = 90");
    applied(generation + 1);
    assert_eq!(
        field(proxy)["state"],
        "suspicious",
        "nothing has changed of what is compared"
    );
    for (from, to) in [
        ("compare = { ", "compare = { maps = [\"$.b\"], "),
        ("[new]\n", "[new]\ntimeout = \"14s\"\n"),
        ("sample = 0", "sample = 1"),
    ] {
        ask(proxy, 1);
        let generation = proxy.generation();
        proxy.edit(from, to);
        applied(generation + 1);
        assert_eq!(field(proxy)["state"], Value::Null, "{to}");
    }
}

#[test]
fn a_route_is_looked_at_anew_when_somebody_says_so() {
    let sides = Sides::start("recheck = []");
    sides.answer(vec![one(1)], vec![one(2)]);
    ask(&sides.proxy, 1);
    assert_eq!(fields(&sides.proxy, "undecided"), 1.0);
    let reset = |name: &str| {
        let target = format!("/api/routes/{name}/reset");
        sides.proxy.admin("POST", &target, Some(&json!({})))
    };
    let absent = reset("absent");
    assert_eq!(
        (absent.status, &absent.json()["code"]),
        (404, &json!("route"))
    );
    assert_eq!(fields(&sides.proxy, "undecided"), 1.0);
    assert_eq!(reset("items").status, 204);
    assert_eq!(fields(&sides.proxy, "undecided"), 0.0);
    let shown = field(&sides.proxy);
    assert_eq!(
        (&shown["count"], &shown["state"]),
        (&json!(1), &Value::Null),
        "counters go on"
    );
    let mut page = Client::connect(sides.proxy.admin_address());
    let strange = page.request("POST", "/api/routes/items/reset", &[], b"{}");
    assert_eq!(strange.status, 403, "what any web page can send");
    assert_eq!(
        sides
            .proxy
            .admin("GET", "/api/routes/items/reset", None)
            .status,
        405
    );
}
