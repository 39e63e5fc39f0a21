//! A breaker that opens while a side is checked or looked at again: what is under way is judged once, and says nothing to the breaker.

use super::{is_open, shown};
use crate::harness::backend::{Piece, Seen};
use crate::harness::{
    Backend, Client, Gate, Proxy, Reply, Setup, wait_until, with_one_worker_and_with_four,
};
use serde_json::json;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

with_one_worker_and_with_four!(
    what_is_looked_at_again_when_a_breaker_opens_is_judged_once,
    a_look_again_is_no_probe,
    a_check_neither_opens_nor_closes_a_breaker,
    a_side_that_fails_and_comes_back_loses_no_pair,
);

/// Two sides that differ in `/items/x` alone. New breaks every answer to `/items/bad`.
struct Sides {
    old: Backend,
    new: Backend,
    /// Whether old's checks find it well.
    well: Arc<AtomicBool>,
    proxy: Proxy,
}

impl Sides {
    /// The `held`th time that new is asked for `/items/x` its answer waits before the gate, and has this status then.
    fn start(workers: usize, recheck: &str, (held, status): (usize, u16), gate: &Gate) -> Self {
        let well = Arc::new(AtomicBool::new(true));
        let (is_well, closed, asked) = (Arc::clone(&well), gate.clone(), AtomicUsize::new(0));
        let old = Backend::start(move |seen| match &*seen.target {
            "/healthz" if !is_well.load(SeqCst) => Reply::status(503),
            "/items/x" => Reply::json(&json!({"a": 1})),
            _ => Reply::text("same"),
        });
        let new = Backend::start(move |seen| match &*seen.target {
            "/items/bad" => Reply::status(200).pieces(vec![Piece::Break]),
            "/items/x" if asked.fetch_add(1, SeqCst) + 1 == held => {
                Reply::status(status).body(r#"{"a":2}"#).after(&closed)
            }
            "/items/x" => Reply::json(&json!({"a": 2})),
            _ => Reply::text("same"),
        });
        let proxy = Setup::new(&old, &new)
            .workers(workers)
            .set("old", "health = \"GET /healthz\"")
            .route(&format!(
                "name = \"items\"\nmatch = \"GET /items/{{id}}\"\nkey = \"{{path.id}}\"\n\
                 shadow = {{ percent = 100, timeout = \"10m\" }}\ncompare = {{ recheck = {recheck} }}"
            ))
            .start();
        let sides = Self {
            old,
            new,
            well,
            proxy,
        };
        // What may be asked again is a tenth of this.
        let mut client = sides.proxy.client();
        (0..100).for_each(|_| sides.matches(&mut client));
        sides.proxy.settle();
        sides
    }

    fn matches(&self, client: &mut Client) {
        assert_eq!(client.get("/items/warm").text(), "same");
    }

    /// Lets copies fail until new gets none any more.
    fn open(&self) {
        let mut client = self.proxy.client();
        wait_until("the breaker is open", || {
            assert_eq!(client.get("/items/bad").text(), "same");
            is_open(&self.proxy, "new", "shadow")
        });
    }

    fn dropped(&self) -> f64 {
        let reason = [("reason", "breaker")];
        self.proxy.metric("crossfade_shadow_dropped_total", &reason)
    }

    fn mismatches(&self) -> f64 {
        let verdict = [("verdict", "mismatch")];
        self.proxy.metric("crossfade_comparisons_total", &verdict)
    }

    /// How often each side was asked for `/items/x`.
    fn asked(&self) -> [usize; 2] {
        [&self.old, &self.new].map(|side| {
            let seen = side.requests();
            seen.iter().filter(|seen| seen.target == "/items/x").count()
        })
    }
}

fn what_is_looked_at_again_when_a_breaker_opens_is_judged_once(workers: usize) {
    // The copy is under way, and is answered when nothing may be asked any more; so is the first of two looks. The second one is no probe.
    for (held, state) in [(1, "open"), (2, "open"), (2, "probing")] {
        let gate = Gate::default();
        let sides = Sides::start(workers, r#"["1ms", "2ms"]"#, (held, 200), &gate);
        sides.proxy.get("/items/x");
        wait_until("new is asked", || sides.asked()[1] == held);
        sides.open();
        wait_until("it is left alone for long enough", || {
            state == "open" || shown(&sides.proxy, 1, "shadow") == state
        });
        assert_eq!(sides.mismatches(), 0.0, "it is not judged yet");
        gate.open();
        let page = sides.proxy.settle();
        assert_eq!(sides.mismatches(), 1.0);
        assert_eq!(sides.asked(), [held; 2], "none is asked any more");
        let looks = page.sum("crossfade_rechecks_total", &[]);
        assert_eq!(looks, 2.0 * (held as f64 - 1.0));
        let rows = sides.proxy.admin_json("/api/mismatches");
        let rows = rows["mismatches"].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{rows:#?}");
        assert_eq!(
            (&rows[0]["rechecked"], &rows[0]["flaky"]),
            (&json!(false), &json!(false))
        );
        // Once new does well it is asked again, and a mismatch looked at again.
        let mut client = sides.proxy.client();
        wait_until("new gets copies again", || {
            sides.matches(&mut client);
            !is_open(&sides.proxy, "new", "shadow")
        });
        sides.proxy.settle();
        client.get("/items/x");
        sides.proxy.settle();
        assert_eq!(sides.mismatches(), 2.0);
        assert_eq!(sides.asked(), [held + 3; 2]);
        let rows = sides.proxy.admin_json("/api/mismatches");
        assert_eq!(rows["mismatches"][0]["rechecked"], true);
        assert_eq!(sides.proxy.running().shadow_memory().used(), 0);
    }
}

/// Five copies that do well close the breaker, and none of five is something else.
fn a_look_again_is_no_probe(workers: usize) {
    for status in [200, 500] {
        let gate = Gate::default();
        let sides = Sides::start(workers, r#"["1ms"]"#, (2, status), &gate);
        sides.proxy.get("/items/x");
        wait_until("new is looked at again", || sides.asked()[1] == 2);
        sides.open();
        wait_until("the pause is over", || {
            shown(&sides.proxy, 1, "shadow") == "probing"
        });
        sides
            .proxy
            .wait_for_metric("crossfade_inflight_requests", &[], 0.0);
        let before = sides.dropped();
        gate.open();
        sides.proxy.settle();
        assert_eq!(sides.mismatches(), 1.0);
        let mut client = sides.proxy.client();
        (0..4).for_each(|_| sides.matches(&mut client));
        sides.proxy.settle();
        // What is shown of the sides is shown after their breakers were judged.
        sides.well.store(false, SeqCst);
        let unwell = [("side", "old"), ("state", "unhealthy")];
        sides
            .proxy
            .wait_for_metric("crossfade_endpoints", &unwell, 1.0);
        assert_eq!(shown(&sides.proxy, 1, "shadow"), "probing", "{status}");
        sides.matches(&mut client);
        wait_until("the last probe closes it", || {
            shown(&sides.proxy, 1, "shadow") == "closed"
        });
        sides.proxy.settle();
        assert_eq!(sides.dropped(), before, "each was a probe");
    }
}

/// A check says which address is well, requests say whether a side is left alone.
fn a_check_neither_opens_nor_closes_a_breaker(workers: usize) {
    let (checks_do_well, requests_do_well) = (AtomicBool::new(true), AtomicBool::new(true));
    let does_well = Arc::new([checks_do_well, requests_do_well]);
    let (told, gate) = (Arc::clone(&does_well), Gate::default());
    let held = gate.clone();
    let handler = move |seen: &Seen| {
        let is_check = seen.target == "/healthz";
        let reply = match told[usize::from(!is_check)].load(SeqCst) {
            true => Reply::text("new"),
            false => Reply::status(500).body("new"),
        };
        if is_check { reply.after(&held) } else { reply }
    };
    let (old, new) = (Backend::text("old"), Backend::start(handler));
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .set("new", "health = \"GET /healthz\"")
        .route("name = \"new\"\nmatch = \"GET /{id}\"\nkey = \"{path.id}\"\npercent = 100")
        .start();
    let state = |state| {
        let labels = [("side", "new"), ("state", state)];
        proxy.metric("crossfade_endpoints", &labels) == 1.0
    };
    let mut client = proxy.client();
    let mut asked = 0;
    let mut ask = || {
        asked += 1;
        client.get("/a").text() == "old"
    };
    // A check is under way, and has no answer, when the breaker opens.
    does_well[1].store(false, SeqCst);
    wait_until("new is checked", || new.count() > 0);
    wait_until("old answers", &mut ask);
    gate.open();
    does_well[1].store(true, SeqCst);
    wait_until("the pause is over", || {
        shown(&proxy, 1, "serve") == "probing"
    });
    // They fail some times, and then do well.
    for (well, address) in [(false, "unhealthy"), (true, "up")] {
        does_well[0].store(well, SeqCst);
        wait_until("it is checked", || state(address));
        assert_eq!(shown(&proxy, 1, "serve"), "probing");
    }
    // Five requests are five probes, whatever was checked.
    (0..5).for_each(|_| assert!(!ask(), "new answers"));
    wait_until("new is asked again", || {
        shown(&proxy, 1, "serve") == "closed"
    });
    drop(client);
    proxy.wait_for_metric("crossfade_inflight_requests", &[], 0.0);
    let page = proxy.metrics();
    let served = |side| page.sum("crossfade_requests_total", &[("side", side)]);
    let spared = page.sum("crossfade_fallbacks_total", &[("reason", "breaker")]);
    assert_eq!(served("old") + served("new"), asked as f64);
    assert_eq!([served("old"), spared], [old.count() as f64; 2]);
    let seen = new.requests();
    let checks = seen.iter().filter(|seen| seen.target == "/healthz").count();
    assert_eq!(served("new"), (seen.len() - checks) as f64);
}

/// Every copy fails for a while, and some are looked at again then: each is one pair, judged once, and whoever was asked was counted.
fn a_side_that_fails_and_comes_back_loses_no_pair(workers: usize) {
    let (old, new) = (Backend::text("same"), Backend::text("same"));
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .route("name = \"items\"\nmatch = \"GET /{id}\"\nkey = \"{path.id}\"\nshadow = 100\ncompare = { recheck = [\"1ms\", \"5ms\", \"20ms\"] }")
        .start();
    let mut clients: Vec<_> = (0..4).map(|_| proxy.client()).collect();
    let asked = Cell::new(0);
    let mut ask = || {
        for client in &mut clients {
            asked.set(asked.get() + 1);
            client.send_request("GET", &format!("/{}", asked.get()), &[], b"");
        }
        for client in &mut clients {
            assert_eq!(client.answer("GET").text(), "same");
        }
    };
    let looks = || proxy.metric("crossfade_rechecks_total", &[]);
    for _ in 0..2 {
        // So that some may be looked at again, which fails too; the second time perhaps none.
        (0..50).for_each(|_| ask());
        proxy.settle();
        new.answer_with(|_| Reply::status(500).body("failed"));
        ask();
        proxy.settle();
        assert!(looks() > 0.0);
        wait_until("the breaker is open", || {
            ask();
            is_open(&proxy, "new", "shadow")
        });
        new.answer_with(|_| Reply::text("same"));
        wait_until("new gets copies again", || {
            ask();
            !is_open(&proxy, "new", "shadow")
        });
        let page = proxy.settle();
        let copies = page.sum("crossfade_shadow_requests_total", &[]);
        assert_eq!(
            (old.count() + new.count()) as f64,
            asked.get() as f64 + copies + looks()
        );
        let rows = proxy.admin_json("/api/mismatches?limit=1000");
        let rows = rows["mismatches"].as_array().unwrap().len();
        let verdict = [("verdict", "mismatch")];
        let mismatches = page.sum("crossfade_comparisons_total", &verdict);
        assert_eq!(rows as f64, mismatches);
        assert_eq!(proxy.running().shadow_memory().used(), 0);
    }
}
