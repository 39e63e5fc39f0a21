//! A thousand swaps of the file under load: good, torn, empty, gone, unreadable. Every request is answered, and by a file that was good.

use super::{Sides, in_force, reloads};
use crate::harness::{Proxy, Setup, wait_until};
use crossfade::route::bucket::bucket;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

const ROUNDS: u64 = 40;
const SWAPS: u64 = 25;
const CLIENTS: usize = 3;

/// The percents of the two routes in the file of this number.
fn percents(number: u64) -> [u64; 2] {
    let percent = number * 37 % 101;
    [percent, 100 - percent]
}

fn file_of(sides: &Sides, number: u64) -> String {
    let setup = Setup::new(&sides.old, &sides.new).set("server", "debug_headers = true");
    let routes = ["a", "b"].into_iter().zip(percents(number));
    let setup = routes.fold(setup, |setup, (name, percent)| {
        setup.route(&format!(
            "name = \"{name}\"\nmatch = \"GET /{name}/{{key}}\"\nkey = \"{{path.key}}\"\npercent = {percent}"
        ))
    });
    setup.text()
}

/// What stands in the file's place after a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Swap {
    Good,
    Torn,
    Empty,
    Gone,
    Unreadable,
}

const SWAP_KINDS: [Swap; 5] = [
    Swap::Torn,
    Swap::Good,
    Swap::Gone,
    Swap::Unreadable,
    Swap::Empty,
];

fn swap(proxy: &Proxy, kind: Swap, text: &str) {
    let draft = proxy.folder().join(".draft");
    match kind {
        Swap::Good => fs::write(&draft, text).unwrap(),
        // Within the last route's match: what is left is no file of routes.
        Swap::Torn => fs::write(&draft, &text[..text.rfind("/{key}").unwrap()]).unwrap(),
        Swap::Empty => fs::write(&draft, "").unwrap(),
        Swap::Gone => {
            let gone = fs::remove_file(proxy.file());
            return assert!(gone.is_ok() || !proxy.file().is_symlink());
        }
        // It leads to itself, which nobody can open, root neither.
        Swap::Unreadable => symlink("routes.toml", &draft).unwrap(),
    }
    fs::rename(draft, proxy.file()).unwrap();
}

/// What was decided: route, bucket, and whether new served.
type Decision = (usize, u16, bool);

/// Asks over one connection until it is done; returns what was decided in each generation.
fn ask_until(done: &AtomicBool, proxy: &Proxy) -> BTreeMap<u64, BTreeSet<Decision>> {
    let mut client = proxy.client();
    let mut seen: BTreeMap<u64, BTreeSet<Decision>> = BTreeMap::new();
    let mut latest = 0;
    for number in 0_u64.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let (route, key) = ((number % 2) as usize, format!("key-{}", number / 2 % 300));
        let answer = client.get(&format!("/{}/{key}", ["a", "b"][route]));
        let word = |word: &str| answer.header(&format!("x-crossfade-{word}")).unwrap();
        assert_eq!((answer.status, answer.text()), (200, word("side")));
        assert_eq!(word("bucket"), bucket("test", &key).to_string());
        let generation: u64 = word("generation").parse().unwrap();
        assert!(latest <= generation, "{latest}, then {generation}");
        latest = generation;
        let decision = (route, bucket("test", &key), word("side") == "new");
        seen.entry(generation).or_default().insert(decision);
    }
    seen
}

/// Whether the file of this number decides so.
fn decides(number: u64, decisions: &BTreeSet<Decision>) -> bool {
    let percents = percents(number);
    decisions
        .iter()
        .all(|(route, bucket, is_new)| (u64::from(*bucket) < percents[*route] * 100) == *is_new)
}

#[test]
fn a_thousand_swaps_under_load_leave_every_answer_right() {
    let sides = Sides::start();
    let proxy = Proxy::start(&file_of(&sides, 0));
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let clients = [(); CLIENTS].map(|()| scope.spawn(|| ask_until(&done, &proxy)));
        let rounds = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..ROUNDS {
                let before = (reloads(&proxy, "rejected"), proxy.generation());
                let numbers = round * SWAPS + 1..=(round + 1) * SWAPS;
                for number in numbers {
                    // The last of a round stays for as long as the proxy needs to see it.
                    let kind = match number % SWAPS {
                        0 if round % 2 == 0 => Swap::Good,
                        0 => Swap::Torn,
                        other => SWAP_KINDS[(other % 5) as usize],
                    };
                    swap(&proxy, kind, &file_of(&sides, number));
                }
                if round % 2 == 0 {
                    let sha256 = crossfade::config::sha256(proxy.text().as_bytes());
                    wait_until("the good one is in force", || {
                        proxy.admin_json("/api/config")["sha256"] == sha256.as_str()
                    });
                    assert!(proxy.generation() > before.1);
                } else {
                    wait_until("the bad one is refused", || {
                        reloads(&proxy, "rejected") > before.0
                    });
                }
                assert!(!clients.iter().any(|client| client.is_finished()));
            }
        }));
        done.store(true, Ordering::Relaxed);
        let seen = clients.map(|client| client.join().unwrap());
        rounds.unwrap();
        seen
    });
    let mut generations: BTreeMap<u64, BTreeSet<Decision>> = BTreeMap::new();
    for (generation, decisions) in seen.into_iter().flatten() {
        generations.entry(generation).or_default().extend(decisions);
    }
    assert!(generations.len() as u64 >= ROUNDS / 2);
    for (generation, decisions) in &generations {
        let one_file = (0..=ROUNDS * SWAPS).any(|number| decides(number, decisions));
        assert!(one_file, "generation {generation}: {decisions:?}");
    }
    let last = Sides::setup(&sides, "new").text();
    let next = proxy.generation() + 1;
    proxy.write(&last);
    in_force(&proxy, next, "new");
    let page = proxy.settle();
    let answered = page.sum("crossfade_requests_total", &[("code_class", "2xx")]);
    assert_eq!(answered, page.sum("crossfade_requests_total", &[]));
    let asked = sides.old.count() + sides.new.count();
    assert_eq!(answered, asked as f64, "each is asked of one side, once");
}
