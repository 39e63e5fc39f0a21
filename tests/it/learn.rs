//! Rules that write themselves: what a route's differences call for is proposed with its evidence, and written into the file only when asked to.

use crate::harness::program::{crossfade, output};
use crate::harness::{Backend, Proxy, Reply, Setup, wait_until};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};

/// Elements in this order, a load that is never quite the same, and a field in which the sides differ for one key.
fn side(order: [u64; 3], real: u64) -> Backend {
    let asked = AtomicU64::new(0);
    Backend::start(move |seen| {
        // A thousand values before one comes again, so that old differs from itself whenever it is asked twice.
        let load = asked.fetch_add(7_919, Ordering::Relaxed) % 1_000;
        let load = 0.5 + load as f64 * 1e-8;
        let real = if seen.target == "/a/7" { real } else { 0 };
        let items = order.map(|id| json!({"id": id, "name": format!("item {id}")}));
        Reply::json(&json!({"items": items, "load": load, "real": real}))
    })
}

fn ask(proxy: &Proxy, times: usize) {
    let mut client = proxy.client();
    for number in 0..times {
        assert_eq!(client.get(&format!("/a/{}", number % 20)).status, 200);
    }
    proxy.settle();
}

fn is_blind(proxy: &Proxy, field: &str) -> bool {
    let routes = proxy.admin_json("/api/routes");
    let fields = routes["routes"][0]["fields"].as_array().unwrap();
    fields
        .iter()
        .any(|one| one["field"] == field && one["state"] == "blind")
}

/// What `crossfade learn` says, and with which status it ends.
fn learn(proxy: &Proxy, arguments: &[&str]) -> (Option<i32>, String) {
    let (file, admin) = (proxy.file(), proxy.admin_address().to_string());
    let file = file.to_str().unwrap();
    let whole = [&["learn", "--config", file, "--admin", &admin], arguments].concat();
    let done = output(crossfade(proxy.folder(), &whole));
    let said = String::from_utf8(done.stdout).unwrap() + &String::from_utf8_lossy(&done.stderr);
    (done.status.code(), said)
}

#[test]
fn what_differs_calls_for_rules_and_they_are_applied_when_asked() {
    let (old, new) = (side([1, 2, 3], 1), side([3, 1, 2], 2));
    let proxy = Setup::new(&old, &new)
        .instead("noise", "sample = 10")
        .route("name = \"a\"\nmatch = \"GET /a/{id}\"\nkey = \"{path.id}\"\nshadow = 100 # all\ncompare = { recheck = [\"1ms\"] } # soon more")
        .start();
    assert_eq!(
        learn(&proxy, &[]),
        (
            Some(0),
            "# a: 0 pairs differed, and no rule is called for\n# unmatched: 0 pairs differed, and no rule is called for\n"
                .to_owned()
        )
    );
    // Chance says how often old is asked twice: until it is known what the load is.
    let mut pairs = 0;
    while !is_blind(&proxy, "$.load") {
        assert!(pairs < 10_000, "{}", proxy.admin_json("/api/routes"));
        ask(&proxy, 200);
        pairs += 200;
    }
    let before = proxy.text();
    let (status, said) = learn(&proxy, &["--route", "a"]);
    assert_eq!(status, Some(0), "{said}");
    for line in [
        &*format!("# a: {pairs} pairs differed\n"),
        &*format!(
            "# 100 % of the {pairs} pairs that differ here differ in order only; \"id\" is unique in each array, of "
        ),
        "\ncompare.match_by = { \"$.items\" = \"id\" }\n",
        "; 1e-5 covers all ",
        "\ncompare.tolerance = { \"$.load\" = 1e-5 }\n",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert!(!said.contains("real"), "a defect calls for no rule: {said}");
    assert_eq!(proxy.text(), before, "nothing is applied by itself");

    let generation = proxy.generation();
    let (status, said) = learn(&proxy, &["--route", "a", "--apply"]);
    assert_eq!(status, Some(0), "{said}");
    let expected = before.replace(
        "compare = { recheck = [\"1ms\"] } # soon more",
        "compare = { recheck = [\"1ms\"], match_by = { \"$.items\" = \"id\" }, tolerance = { \"$.load\" = 1e-5 } } # soon more",
    );
    assert_eq!(proxy.text(), expected);
    wait_until("the edit is live", || proxy.generation() > generation);
    let verdicts = |name: &str| proxy.metric("crossfade_comparisons_total", &[("verdict", name)]);
    let (matches, mismatches) = (verdicts("match"), verdicts("mismatch"));
    ask(&proxy, 100);
    assert_eq!(verdicts("match") - matches, 95.0);
    assert_eq!(verdicts("mismatch") - mismatches, 5.0);
}

#[test]
fn lines_that_two_fields_tell_apart_are_aligned_by_both() {
    let side = |order: [(&'static str, u64); 3], price: u64| {
        Backend::start(move |_| {
            let lines = order.map(|(kind, no)| {
                let price = if (kind, no) == ("b", 1) { price } else { 5 };
                json!({"kind": kind, "no": no, "price": price})
            });
            Reply::json(&json!({"lines": lines}))
        })
    };
    let old = side([("a", 1), ("a", 2), ("b", 1)], 5);
    let new = side([("b", 1), ("a", 2), ("a", 1)], 6);
    let proxy = Setup::new(&old, &new)
        .route("name = \"a\"\nmatch = \"GET /a/{id}\"\nkey = \"{path.id}\"\nshadow = 100\ncompare = { recheck = [], match_by = { \"$.lines\" = [\"kind\", \"no\"] } }")
        .start();
    ask(&proxy, 10);
    let rows = proxy.admin_json("/api/mismatches");
    let fields = rows["mismatches"][0]["fields"].as_array().unwrap();
    let found: Vec<_> = fields
        .iter()
        .map(|one| (&one["kind"], &one["path"]))
        .collect();
    assert_eq!(found, [(&json!("changed"), &json!("$.lines[*].price"))]);
}

#[test]
fn what_cannot_be_learned_is_said() {
    let backend = Backend::text("same");
    let proxy = Setup::both(&backend)
        .route("name = \"a\"\nmatch = \"GET /a\"")
        .start();
    let (status, said) = learn(&proxy, &["--route", "b"]);
    assert_eq!(status, Some(5), "{said}");
    assert!(said.contains("No route has the name \"b\""), "{said}");
    let refused = proxy.admin("GET", "/api/learn?limit=3", None);
    assert_eq!(refused.status, 400, "{}", refused.text());
}
