//! Edits while requests run: none fails, each is decided by one generation of the file, and only the predicted keys move.

use super::Sides;
use crate::harness::{Backend, Proxy, Setup, wait_until, with_one_worker_and_with_four};
use crossfade::config::sha256;
use crossfade::route::bucket::bucket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

with_one_worker_and_with_four!(
    two_hundred_edits_under_load_each_flip_two_routes_together,
    a_percent_moves_exactly_the_predicted_keys,
);

const EDITS: u64 = 200;
const CLIENTS: usize = 4;
const ROUTES: [&str; 2] = ["a", "b"];

/// The percents of the two routes in the file of a generation: always a different pair, whose sum is 100.
fn percents(generation: u64) -> [u64; 2] {
    // 37 and 101 have no common divisor, so that a percent comes again only after 101 generations.
    let percent = generation * 37 % 101;
    [percent, 100 - percent]
}

fn file_of(sides: &Sides, workers: usize, generation: u64) -> Setup {
    let setup = Setup::new(&sides.old, &sides.new)
        .workers(workers)
        .set("server", "debug_headers = true");
    let percents = ROUTES.into_iter().zip(percents(generation));
    percents.fold(setup, |setup, (name, percent)| {
        setup.route(&format!(
            "name = \"{name}\"\nmatch = \"GET /{name}/{{key}}\"\nkey = \"{{path.key}}\"\npercent = {percent}"
        ))
    })
}

fn two_hundred_edits_under_load_each_flip_two_routes_together(workers: usize) {
    let sides = Sides::start();
    let proxy = file_of(&sides, workers, 1).start();
    let (done, latest) = (
        AtomicBool::new(false),
        [(); CLIENTS].map(|()| AtomicU64::new(0)),
    );
    std::thread::scope(|scope| {
        let clients = latest.each_ref().map(|latest| {
            let (proxy, done) = (&proxy, &done);
            scope.spawn(move || ask_until(done, proxy, latest))
        });
        // The clients end even if this thread panics.
        let done = Finish(&done);
        for generation in 2..=EDITS + 1 {
            let text = file_of(&sides, workers, generation).text();
            proxy.write(&text);
            wait_until("every client was answered by this generation", || {
                let seen = |latest: &AtomicU64| latest.load(Ordering::Relaxed) >= generation;
                let failed = clients.iter().any(|client| client.is_finished());
                failed || latest.iter().all(seen)
            });
            if clients.iter().any(|client| client.is_finished()) {
                break;
            }
            let config = proxy.admin_json("/api/config");
            assert_eq!(
                (&config["generation"], &config["sha256"]),
                (&generation.into(), &sha256(text.as_bytes()).into())
            );
        }
        drop(done);
        for client in clients {
            client.join().unwrap();
        }
    });
    let page = proxy.metrics();
    let reloads = |result| page.sum("crossfade_config_reloads_total", &[("result", result)]);
    assert_eq!(
        (
            reloads("applied"),
            reloads("rejected"),
            reloads("unchanged")
        ),
        ((EDITS + 1) as f64, 0.0, 0.0)
    );
    let answered = page.sum("crossfade_requests_total", &[]);
    assert_eq!(answered, (sides.old.count() + sides.new.count()) as f64);
    assert_eq!(
        page.sum("crossfade_requests_total", &[("code_class", "2xx")]),
        answered
    );
}

/// Ends the clients when it is dropped.
struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks both routes about one key after another over one connection; every answer must be what the file of its generation says.
fn ask_until(done: &AtomicBool, proxy: &Proxy, latest: &AtomicU64) {
    let mut client = proxy.client();
    for number in 0_u64.. {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let (route, name) = ((number % 2) as usize, ROUTES[(number % 2) as usize]);
        let key = format!("key-{}", number / 2 % 500);
        let answer = client.get(&format!("/{name}/{key}"));
        let word = |word: &str| answer.header(&format!("x-crossfade-{word}")).unwrap();
        let generation: u64 = word("generation").parse().unwrap();
        let bucket = bucket("test", &key);
        let new_serves = u64::from(bucket) < percents(generation)[route] * 100;
        let side = if new_serves { "new" } else { "old" };
        assert_eq!(
            (
                answer.status,
                answer.text(),
                word("side"),
                word("bucket"),
                word("route"),
                word("why")
            ),
            (200, side, side, bucket.to_string().as_str(), name, "bucket"),
            "{name} {key} in generation {generation}"
        );
        let before = latest.swap(generation, Ordering::Relaxed);
        assert!(before <= generation, "{before}, then {generation}");
    }
}

fn a_percent_moves_exactly_the_predicted_keys(workers: usize) {
    let (old, new) = (Backend::text("old"), Backend::text("new"));
    let proxy = Setup::new(&old, &new)
        .workers(workers)
        .route("name = \"all\"\nmatch = \"GET /{key}\"\nkey = \"{path.key}\"\npercent = 5\npin = { old = [\"key-7\"] }")
        .start();
    let keys: Vec<_> = (0..2_000).map(|number| format!("key-{number}")).collect();
    let served = || {
        let mut client = proxy.client();
        let mut ask = |key: &String| client.get(&format!("/{key}")).text().to_owned();
        keys.iter().map(&mut ask).collect::<Vec<_>>()
    };
    let predicted = |steps: u16| {
        let side = |key: &String| {
            let is_new = bucket("test", key) < steps && key != "key-7";
            if is_new { "new" } else { "old" }
        };
        keys.iter().map(side).collect::<Vec<_>>()
    };
    assert_eq!(served(), predicted(500));
    for (generation, (from, to, steps)) in (2..).zip([
        ("percent = 5", "percent = 5.01", 501),
        ("percent = 5.01", "percent = 25", 2_500),
        ("percent = 25", "percent = 99.99", 9_999),
        ("percent = 99.99", "percent = 0", 0),
        ("percent = 0", "percent = 12.5", 1_250),
    ]) {
        let before = served();
        proxy.edit(from, to);
        wait_until("the edit is in force", || proxy.generation() == generation);
        let after = served();
        assert_eq!(after, predicted(steps), "{to}");
        let moved = before
            .iter()
            .zip(&after)
            .filter(|(before, after)| before != after);
        let back = moved.clone().filter(|(_, after)| *after == "old").count();
        assert!(back == 0 || steps == 0, "{to} moved {back} keys back");
        assert!(steps == 501 || moved.count() > 0, "{to} moved nothing");
    }
}
