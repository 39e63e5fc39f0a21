//! Writes that go through the proxy, and what they explain.

use super::{Sides, one, rechecks, verdicts};
use crate::harness::{Gate, Reply, wait_until};
use serde_json::json;

fn recent(sides: &Sides) -> f64 {
    let page = sides.proxy.settle();
    page.sum(
        "crossfade_incomparable_total",
        &[("reason", "recent_write")],
    )
}

#[test]
fn nothing_is_judged_of_a_key_that_was_just_written() {
    for method in ["PUT", "POST", "PATCH", "DELETE"] {
        let sides = Sides::start("settle = \"1h\"");
        let mut client = sides.proxy.client();
        client.get("/items/a");
        assert_eq!(recent(&sides), 0.0);
        client.request(method, "/items/a", &[], b"{}");
        // Equal or not: what is left out must not depend on what it was.
        client.get("/items/a");
        assert_eq!(recent(&sides), 1.0, "{method}");
        sides.new.answer_with(|_| Reply::text("other"));
        client.get("/items/a");
        assert_eq!(recent(&sides), 2.0, "{method}");
        client.get("/items/b");
        let page = sides.proxy.settle();
        assert_eq!(verdicts(&page), [("mismatch", 1.0), ("incomparable", 2.0)]);
        assert_eq!(rechecks(&page), 0.0);
        let row = &sides.proxy.admin_json("/api/routes")["routes"][0];
        assert_eq!(
            (&row["trials"], &row["diff_rate"]),
            (&json!(2), &json!(0.5))
        );
    }
}

#[test]
fn a_write_counts_while_it_is_under_way() {
    let sides = Sides::start("settle = \"1h\"");
    let gate = Gate::default();
    let held = gate.clone();
    sides.old.answer_with(move |seen| match &*seen.method {
        "PUT" => Reply::text("done").after(&held),
        _ => Reply::text("same"),
    });
    let mut writer = sides.proxy.client();
    writer.send_request("PUT", "/items/a", &[], b"");
    wait_until("old has the write", || sides.old.count() == 1);
    sides.proxy.get("/items/a");
    wait_until("the pair is judged", || {
        let labels = [("reason", "recent_write")];
        sides.proxy.metric("crossfade_incomparable_total", &labels) == 1.0
    });
    gate.open();
    assert_eq!(writer.answer("PUT").text(), "done");
}

#[test]
fn routes_that_mean_the_same_by_a_key_share_its_writes() {
    let write = |name: &str, more: &str| {
        format!("name = \"{name}\"\nmatch = \"PUT /{name}/{{id}}\"\nkey = \"{{path.id}}\"\n{more}")
    };
    let sides = Sides::with("settle = \"1h\"", |setup| {
        setup
            .route(&write("edits", ""))
            .route(&write("others", "salt = \"others\""))
            .route("name = \"keyless\"\nmatch = \"PUT /keyless/{id}\"")
    });
    let mut client = sides.proxy.client();
    for (target, known) in [("/others/a", 0.0), ("/keyless/a", 0.0), ("/edits/a", 1.0)] {
        client.request("PUT", target, &[], b"");
        client.get("/items/a");
        assert_eq!(recent(&sides), known, "{target}");
    }
}

/// A difference that new takes back, after a write, with these keys of `compare`.
fn taken_back(compare: &str) -> Vec<(&'static str, f64)> {
    let sides = Sides::start(&format!("recheck = [\"1ms\"], {compare}"));
    sides.earn(25);
    sides.answer(vec![one(1)], vec![one(2), one(1)]);
    sides.proxy.client().request("PUT", "/items/x", &[], b"");
    let (page, row) = sides.judge();
    assert_eq!(row["flaky"] == true, verdicts(&page)[0].0 == "mismatch");
    verdicts(&page)
}

#[test]
fn new_that_was_behind_a_known_write_lags() {
    assert_eq!(taken_back("settle = \"0s\", lag = \"1h\""), [("lag", 1.0)]);
    assert_eq!(
        taken_back("settle = \"0s\", lag = \"0s\""),
        [("mismatch", 1.0)]
    );
}

#[test]
fn a_write_between_two_looks_leaves_nothing_to_judge() {
    let sides = Sides::start("recheck = [\"1ms\"], settle = \"1h\"");
    sides.earn(25);
    sides.answer(vec![one(1)], vec![one(2)]);
    let gates = [Gate::default(), Gate::default()];
    let [again, write] = gates.clone();
    // The second look is answered once the write is under way, and the write when all is over.
    sides.new.answer_with(move |seen| match seen.number {
        25 => one(2),
        _ => one(2).after(&again),
    });
    sides.old.answer_with(move |seen| match &*seen.method {
        "PUT" => Reply::text("done").after(&write),
        _ => one(1),
    });
    sides.proxy.get("/items/x");
    wait_until("new is asked again", || sides.new.count() == 27);
    let mut writer = sides.proxy.client();
    writer.send_request("PUT", "/items/x", &[], b"");
    wait_until("old has the write", || {
        sides.old.requests().iter().any(|seen| seen.method == "PUT")
    });
    gates[0].open();
    wait_until("the pair is judged", || {
        let labels = [("reason", "recent_write")];
        sides.proxy.metric("crossfade_incomparable_total", &labels) == 1.0
    });
    gates[1].open();
    assert_eq!(writer.answer("PUT").text(), "done");
}
