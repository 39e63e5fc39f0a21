//! How fast the sides are, held against each other.

use super::{BOTH, Served, Sides};
use crate::harness::backend::Piece;
use crate::harness::{Gate, Reply, wait_until, with_one_worker_and_with_four};
use std::time::Duration;

with_one_worker_and_with_four!(latencies_of_pairs_are_of_what_both_sides_answered);

fn latencies_of_pairs_are_of_what_both_sides_answered(workers: usize) {
    let slowness = Duration::from_millis(50);
    for served in BOTH {
        let sides = Sides::plain(served, workers);
        let opens = Gate::default();
        let gate = opens.clone();
        sides
            .shadow(served)
            .answer_with(move |seen| match &*seen.target {
                "/items/broken" => Reply::status(200).pieces(vec![Piece::Break]),
                _ => Reply::text("ok").after(&gate),
            });
        assert_eq!(sides.proxy.get("/items/broken").status, 200);
        assert_eq!(sides.proxy.get("/items/slow").status, 200);
        wait_until("both copies", || sides.shadow(served).count() == 2);
        // The slowness itself: nothing waits for it.
        std::thread::sleep(slowness);
        opens.open();
        let page = sides.proxy.settle();
        let (by, to) = match served {
            Served::Old => ("old", "new"),
            Served::New => ("new", "old"),
        };
        let quantile = |side: &str| {
            let labels = [("route", "items"), ("side", side), ("quantile", "0.5")];
            page.sum("crossfade_latency_quantile_seconds", &labels)
        };
        let least = slowness.as_secs_f64() * 0.95;
        assert!(quantile(to) >= least, "{served:?} {}", quantile(to));
        assert!(quantile(by) > 0.0);
        let latency = &sides.proxy.admin_json("/api/routes")["routes"][0]["latency"];
        assert_eq!(latency["pairs"]["count"], 1, "{served:?} {latency}");
        let slow = latency["pairs"][to]["p90_ms"].as_f64().unwrap();
        assert!(slow >= least * 1000.0, "{served:?} {latency}");
    }
}
