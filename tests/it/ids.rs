//! Identities that differ: sides that call one thing by different names say the same, until one of them calls it by another thing's name.

use crate::harness::backend::Seen;
use crate::harness::metrics::Page;
use crate::harness::{Backend, Proxy, Reply, Setup, wait_until};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const TAGS: &str = "name = \"tags\"\nmatch = \"GET /tags/{id}\"\nkey = \"{path.id}\"\nshadow = 100\ncompare = { map = { \"$.id\" = \"tag-id\" }, recheck = [\"1ms\"] }";
const LISTS: &str = "name = \"lists\"\nmatch = \"GET /lists/{ids}\"\nshadow = 100\ncompare = { map = { \"$.tags[*].id\" = \"tag-id\" }, match_by = { \"$.tags\" = \"id\" }, recheck = [] }";

/// Two sides with the same tags under other names: old counts them, new has texts. Of a list new says the last one first.
struct Sides {
    old: Backend,
    new: Backend,
    /// For this tag new tells the next one's name.
    wrong: Arc<AtomicU32>,
}

impl Sides {
    fn start() -> Self {
        let wrong = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&wrong);
        let name = move |id: u32| {
            let id = id + u32::from(id == told.load(Ordering::SeqCst));
            json!(format!("t-{id}"))
        };
        Self {
            old: side(|id| json!(id), false),
            new: side(name, true),
            wrong,
        }
    }

    fn setup(&self, max_pairs: usize) -> Setup {
        Setup::new(&self.old, &self.new)
            .set("ids.tag-id", &format!("max_pairs = {max_pairs}"))
            .route(TAGS)
            .route(LISTS)
    }

    /// New tells a wrong name for this tag.
    fn confuse(&self, id: u32) {
        self.wrong.store(id, Ordering::SeqCst);
    }
}

fn side(name: impl Fn(u32) -> Value + Send + Sync + 'static, reversed: bool) -> Backend {
    Backend::start(move |seen: &Seen| {
        let tag = |id: &str| {
            let id = id.parse().unwrap();
            json!({"id": name(id), "title": format!("Tag {id}")})
        };
        let (_, what) = seen.target.rsplit_once('/').unwrap();
        if !seen.target.starts_with("/lists") {
            return Reply::json(&tag(what));
        }
        let mut tags: Vec<_> = what.split(',').map(tag).collect();
        if reversed {
            tags.reverse();
        }
        Reply::json(&json!({"tags": tags}))
    })
}

fn ask(proxy: &Proxy, targets: &[&str]) -> Page {
    for target in targets {
        assert_eq!(proxy.get(target).status, 200);
        // What the next pair has to be compared with is what this one has taught.
        proxy.settle();
    }
    proxy.metrics()
}

/// Matches, mismatches, and pairs of which nothing is known of an identity.
fn verdicts(page: &Page) -> [f64; 3] {
    let verdict = |name| page.sum("crossfade_comparisons_total", &[("verdict", name)]);
    let unknown = page.sum("crossfade_incomparable_total", &[("reason", "identity")]);
    [verdict("match"), verdict("mismatch"), unknown]
}

/// Candidates, confirmed pairings, and those that were evicted.
fn known(page: &Page) -> [f64; 3] {
    ["candidate", "confirmed", "evicted"]
        .map(|state| page.sum("crossfade_ids", &[("name", "tag-id"), ("state", state)]))
}

#[test]
fn other_names_are_no_difference_and_another_things_name_is_one() {
    let sides = Sides::start();
    let proxy = sides.setup(1_000).start();
    assert_eq!(known(&proxy.metrics()), [0.0; 3]);
    let page = ask(&proxy, &["/tags/1", "/tags/2", "/tags/2"]);
    assert_eq!(
        (verdicts(&page), known(&page)),
        ([3.0, 0.0, 0.0], [2.0, 0.0, 0.0])
    );
    // A second record, in which they stand in another order.
    let page = ask(&proxy, &["/lists/1,2,3"]);
    assert_eq!(
        (verdicts(&page), known(&page)),
        ([4.0, 0.0, 0.0], [1.0, 2.0, 0.0])
    );

    sides.confuse(1);
    let page = ask(&proxy, &["/tags/1"]);
    assert_eq!(verdicts(&page), [4.0, 1.0, 0.0]);
    assert_eq!(known(&page), [1.0, 2.0, 0.0], "a mismatch teaches nothing");
    let labels = [("route", "tags"), ("field", "$.id"), ("kind", "identity")];
    assert_eq!(page.sum("crossfade_divergences_total", &labels), 1.0);
    let row = &proxy.admin_json("/api/mismatches")["mismatches"][0];
    assert_eq!(
        row["fields"],
        json!([{"path": "$.id", "at": "$.id", "kind": "identity"}])
    );
    assert_eq!(row["patch"][0]["value"]["$redacted"], "string");
    let causes = proxy.admin_json("/api/causes");
    let cause = &causes["causes"][0];
    assert_eq!(
        (&cause["shape"], &cause["kinds"], &cause["rule"]),
        (&json!("identity"), &json!(["identity"]), &Value::Null)
    );
    let learnt = proxy.admin_json("/api/learn?route=tags");
    assert_eq!(learnt["routes"][0]["rules"], json!([]));
    let sample = &proxy.admin_json("/api/samples")["samples"][0];
    assert_eq!(
        sample["fields"],
        json!([{"path": "$.id", "kind": "identity", "change": "identity"}])
    );

    // In a list it is another element.
    let page = ask(&proxy, &["/lists/1,3"]);
    assert_eq!(verdicts(&page), [4.0, 2.0, 0.0]);
    let kinds = page.values("crossfade_divergences_total", "kind");
    assert!(
        kinds.contains(&"missing".to_owned()) && kinds.contains(&"extra".to_owned()),
        "{kinds:?}"
    );
    sides.confuse(0);
    let page = ask(&proxy, &["/tags/1", "/lists/2,1"]);
    assert_eq!(verdicts(&page), [6.0, 2.0, 0.0]);
}

#[test]
fn what_is_not_sure_is_not_judged() {
    let sides = Sides::start();
    let proxy = sides.setup(1_000).start();
    sides.confuse(1);
    let page = ask(&proxy, &["/tags/1"]);
    assert_eq!(
        (verdicts(&page), known(&page)),
        ([1.0, 0.0, 0.0], [1.0, 0.0, 0.0])
    );
    sides.confuse(0);
    let page = ask(&proxy, &["/lists/1"]);
    assert_eq!(
        (verdicts(&page), known(&page)),
        ([1.0, 0.0, 1.0], [1.0, 0.0, 0.0])
    );
    let page = ask(&proxy, &["/tags/1", "/tags/1"]);
    assert_eq!(
        (verdicts(&page), known(&page)),
        ([3.0, 0.0, 1.0], [0.0, 1.0, 0.0])
    );
}

#[test]
fn what_was_evicted_is_never_a_match() {
    let sides = Sides::start();
    let proxy = sides.setup(1).start();
    let page = ask(&proxy, &["/tags/1", "/tags/2"]);
    assert_eq!(
        (verdicts(&page), known(&page)),
        ([2.0, 0.0, 0.0], [1.0, 0.0, 1.0])
    );
    let page = ask(&proxy, &["/tags/1", "/tags/1"]);
    assert_eq!(verdicts(&page), [2.0, 0.0, 2.0]);
    // Until two records have shown it anew.
    let page = ask(&proxy, &["/lists/1", "/tags/1"]);
    assert_eq!(
        (verdicts(&page), known(&page)),
        ([3.0, 0.0, 3.0], [0.0, 1.0, 2.0])
    );
    // More may be kept from now on: what is known stays.
    proxy.edit("max_pairs = 1", "max_pairs = 10");
    wait_until("the edit", || proxy.generation() == 2);
    let page = ask(&proxy, &["/tags/1", "/tags/2"]);
    assert_eq!(
        (verdicts(&page), known(&page)),
        ([4.0, 0.0, 4.0], [1.0, 1.0, 2.0])
    );
}

#[test]
fn a_side_is_held_against_itself_by_its_own_names() {
    let sides = Sides::start();
    let proxy = sides.setup(1_000).instead("noise", "sample = 5").start();
    ask(&proxy, &["/tags/1", "/lists/1"]);
    let mut client = proxy.client();
    for _ in 0..400 {
        assert_eq!(client.get("/tags/1").status, 200);
    }
    let page = proxy.settle();
    assert!(page.sum("crossfade_rechecks_total", &[]) > 0.0);
    assert_eq!(verdicts(&page), [402.0, 0.0, 0.0]);
    assert_eq!(page.sum("crossfade_fields", &[]), 0.0);
    // Both are asked again, and each stands by what it says.
    sides.confuse(1);
    let page = ask(&proxy, &["/tags/1"]);
    assert_eq!(verdicts(&page), [402.0, 1.0, 0.0]);
    let row = &proxy.admin_json("/api/mismatches")["mismatches"][0];
    assert_eq!(
        (&row["rechecked"], &row["flaky"]),
        (&json!(true), &json!(false))
    );
}

#[test]
fn what_is_known_survives_a_restart() {
    let sides = Sides::start();
    let mut proxy = sides.setup(1_000).start();
    ask(&proxy, &["/tags/1", "/lists/1", "/tags/2"]);
    proxy.restart();
    assert_eq!(known(&proxy.metrics()), [1.0, 1.0, 0.0]);
    sides.confuse(1);
    let page = ask(&proxy, &["/tags/1"]);
    assert_eq!(verdicts(&page), [0.0, 1.0, 0.0]);
}

#[test]
fn a_disk_that_is_no_place_costs_only_the_restart() {
    let sides = Sides::start();
    let proxy = sides.setup(1_000).start_beside(|folder| {
        std::fs::write(folder.join("state"), "no directory").unwrap();
    });
    let page = ask(&proxy, &["/tags/1", "/lists/1"]);
    assert_eq!(
        (verdicts(&page), known(&page)),
        ([2.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    );
    sides.confuse(1);
    assert_eq!(verdicts(&ask(&proxy, &["/tags/1"])), [2.0, 1.0, 0.0]);
}
