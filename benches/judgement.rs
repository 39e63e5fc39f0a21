//! What judgement costs: `cargo bench`. All of it is pure, so the figures need no sockets and no warm-up.

use mimalloc::MiMalloc;

/// The allocator of the program itself: the yardstick allocates more than what is measured by it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[path = "judgement/bodies.rs"]
mod bodies;
#[path = "judgement/lab.rs"]
mod lab;
#[path = "judgement/paths.rs"]
mod paths;

fn main() {
    divan::main();
    compare::ratio::print();
    // Without a name all is measured, and by this one nothing else.
    if std::env::args()
        .skip(1)
        .all(|argument| argument == "--bench" || argument == "judging")
    {
        lab::print(compare::bodies, &compare::headers());
        paths::print();
    }
}

/// Who serves: match, key, decision and sampling of one request.
mod route {
    use crossfade::route::bucket::{Salt, Share, bucket};
    use crossfade::route::decide::{Pins, Policy, Serve, Switches, decide, is_read, sampling};
    use crossfade::route::key::{Sources, lone_place};
    use crossfade::route::pattern::Pattern;
    use crossfade::route::table::{Entry, Table, Target, is_ambiguous};
    use crossfade::template::Template;
    use divan::{Bencher, black_box};
    use http::{HeaderMap, Method};
    use std::sync::Arc;

    #[divan::bench(args = ["42", "linux-headers-6.1.0-18-amd64"])]
    fn bucket_of(bencher: Bencher<'_, '_>, text: &str) {
        bencher.bench(|| bucket(black_box("tags"), black_box(text)));
    }

    fn pattern(index: usize) -> Pattern {
        let text = format!("GET /v1/things-{index}/{{content}}/tags");
        Pattern::parse(&text).expect("a valid pattern")
    }

    fn policy(index: usize, salt: &Arc<Salt>) -> Policy {
        let key = Template::parse("{path.content}").expect("a valid key");
        Policy {
            name: format!("route-{index}").into(),
            serve: Serve::Split,
            percent: Share::from_percent(25.0).expect("25 is a percent"),
            lone: lone_place(&key, &pattern(index)),
            key: Some(Box::new(key)),
            salt: Arc::clone(salt),
            pins: Some(Box::new(Pins {
                old: ["bash".to_owned()].into(),
                new: ["0ad".to_owned()].into(),
            })),
            shadow: Share::ALL,
            read: false,
        }
    }

    fn table(routes: usize) -> Table<Policy> {
        let salt = Arc::new(Salt::new("tags"));
        let entry = |index| Entry {
            pattern: pattern(index),
            host: None,
            policy: policy(index, &salt),
        };
        Table::new((0..routes).map(entry).collect())
    }

    /// Everything that judgement does for one request, on its way from the path to a side.
    #[divan::bench(args = [1, 10, 1_000])]
    fn decide_with_routes(bencher: Bencher<'_, '_>, routes: usize) {
        let table = table(routes);
        let switches = Switches {
            shadow: true,
            ..Switches::default()
        };
        let headers = HeaderMap::new();
        let path = format!("/v1/things-{}/libc6/tags", routes - 1);
        bencher.bench(|| {
            let target = Target {
                method: &Method::GET,
                host: Some("tags.example.org"),
                path: black_box(&path),
            };
            let found = table.lookup(target).expect("the last route matches");
            assert!(!is_ambiguous(target.path));
            let policy = found.policy;
            let sources = Sources {
                captures: &found.captures,
                query: None,
                headers: &headers,
                body: None,
                client_ip: None,
            };
            let key = policy.key_of(&sources);
            let read = is_read(policy, target.method);
            let decision = decide(policy, &switches, read, key.as_deref());
            (decision, sampling(policy, &switches, read, key.as_deref()))
        });
    }

    #[divan::bench]
    fn decide_alone(bencher: Bencher<'_, '_>) {
        let policy = policy(0, &Arc::new(Salt::new("tags")));
        let switches = Switches {
            shadow: true,
            ..Switches::default()
        };
        bencher.bench(|| {
            decide(
                black_box(&policy),
                &switches,
                true,
                black_box(Some("libc6")),
            )
        });
    }
}

/// `crossfade check`: a file's text to settings, or to every problem.
mod check {
    use crossfade::config::{Colour, load, render};
    use divan::{Bencher, black_box};
    use std::path::Path;

    fn file(routes: usize, percent: &str) -> String {
        let route = |index| {
            format!(
                "[[route]]\nname = \"r{index}\"\nmatch = \"GET /v1/things-{index}/{{content}}/tags\"\n\
                 key = \"{{path.content}}\"\npercent = {percent}\nshadow = 100\n\
                 compare = {{ ignore = [\"$..updated_at\"], unordered = [\"$.tags\"] }}\n"
            )
        };
        let head = "[migration]\nname = \"tags\"\n[old]\nurl = \"http://127.0.0.1:7001\"\n\
                    [new]\nurl = \"http://127.0.0.1:7002\"\n";
        head.to_owned() + &(0..routes).map(route).collect::<String>()
    }

    #[divan::bench(args = [1, 10, 1_000])]
    fn good_file_with_routes(bencher: Bencher<'_, '_>, routes: usize) {
        let text = file(routes, "5");
        assert!(load(&text, Path::new("."), &|_| None).settings.is_some());
        bencher.bench(|| load(black_box(&text), Path::new("."), &|_| None));
    }

    /// One problem a route, rendered with its source line; of more than 500 not all are told.
    #[divan::bench(args = [1, 10, 400])]
    fn bad_file_with_routes(bencher: Bencher<'_, '_>, routes: usize) {
        let text = file(routes, "500");
        bencher.bench(|| {
            let loaded = load(black_box(&text), Path::new("."), &|_| None);
            assert_eq!(loaded.problems.len(), routes);
            render(&loaded.problems, "routes.toml", &text, Colour::Off)
        });
    }
}

/// Do both sides say the same: a pair of answers of about 1, 10 and 100 KB.
mod compare {
    use crate::bodies::{Bodies, CLOCK};
    use crossfade::compare::{Answer, Rules, Unlimited, Verdict, compare};
    use crossfade::json::FieldPath;
    use divan::counter::BytesCount;
    use divan::{Bencher, black_box};
    use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
    use serde_json::{Value, json};

    const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

    /// A page of contents with their tags, as the demo's services answer.
    fn document(size: usize) -> Value {
        let item = |number: usize| {
            json!({
                "content": format!("package-{number}"),
                "title": "A program that does one thing, and does it well",
                "section": "utils",
                "tags": ["implemented-in::c", "interface::commandline", "role::program", "scope::utility"],
                "weight": number as f64 / 8.0,
                "updated_at": "2026-01-01T00:00:00Z",
            })
        };
        let mut items: Vec<Value> = Vec::new();
        while serde_json::to_string(&items).expect("items are JSON").len() < size {
            items.push(item(items.len()));
        }
        json!({ "items": items, "next": null })
    }

    /// The same with the members of every object the other way round.
    fn reordered(value: &Value) -> Value {
        match value {
            Value::Object(members) => members
                .iter()
                .rev()
                .map(|(name, member)| (name.clone(), reordered(member)))
                .collect(),
            Value::Array(elements) => elements.iter().map(reordered).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }

    /// The same with one text changed, in the middle.
    fn changed(value: &Value) -> Value {
        let mut value = value.clone();
        let items = value["items"].as_array_mut().expect("a list of items");
        let middle = items.len() / 2;
        items[middle]["section"] = "admin".into();
        value
    }

    /// A document, the same with its names in another order, and the same with one text changed; the first two with a clock in them, too.
    pub(crate) fn bodies(size: usize) -> Bodies {
        let old = document(size);
        let mut clock = old.clone();
        clock["items"][0]["updated_at"] = CLOCK.into();
        Bodies::new(
            [bytes(&old), bytes(&reordered(&old)), bytes(&changed(&old))],
            &[bytes(&clock), bytes(&reordered(&clock))],
        )
    }

    pub(crate) fn headers() -> HeaderMap {
        let json = HeaderValue::from_static("application/json");
        HeaderMap::from_iter([(CONTENT_TYPE, json)])
    }

    fn judge(headers: &HeaderMap, bodies: [&[u8]; 2], rules: &Rules) -> Verdict {
        let [old, new] = bodies.map(|body| Answer {
            status: StatusCode::OK,
            headers,
            body: Some(body),
        });
        compare(&old, &new, black_box(rules), &mut Unlimited).verdict
    }

    /// Compares two bodies, which must give a certain verdict.
    fn bench(bencher: Bencher<'_, '_>, bodies: [&[u8]; 2], rules: &Rules, expected: Verdict) {
        let headers = headers();
        let judge = || judge(&headers, bodies.map(black_box), rules);
        assert_eq!(judge(), expected);
        bencher
            .counter(BytesCount::new(bodies[0].len()))
            .bench(judge);
    }

    fn bytes(value: &Value) -> Vec<u8> {
        value.to_string().into_bytes()
    }

    #[divan::bench(args = SIZES)]
    fn equal_bytes(bencher: Bencher<'_, '_>, size: usize) {
        let old = bytes(&document(size));
        bench(
            bencher,
            [&old, &old.clone()],
            &Rules::default(),
            Verdict::Match,
        );
    }

    /// A pair that is equal but for the order of names, beside the least that one could do: without rules, exact numbers or a word on what differs.
    mod reordered {
        use super::{Pair, SIZES};
        use divan::Bencher;

        #[divan::bench(args = SIZES)]
        fn crossfade(bencher: Bencher<'_, '_>, size: usize) {
            let pair = Pair::reordered(size);
            bencher
                .counter(pair.bytes())
                .bench(|| pair.equal_by_crossfade());
        }

        #[divan::bench(args = SIZES)]
        fn serde_json(bencher: Bencher<'_, '_>, size: usize) {
            let pair = Pair::reordered(size);
            bencher
                .counter(pair.bytes())
                .bench(|| pair.equal_by_serde_json());
        }
    }

    /// The same two once more, taken in turns, and what one is of the other.
    pub(crate) mod ratio {
        use super::{Pair, SIZES};
        use std::time::{Duration, Instant};

        const ROUNDS: usize = 41;

        /// Prints a line for each size; only where everything is measured.
        #[expect(clippy::print_stdout, reason = "the benchmark's figures")]
        pub(crate) fn print() {
            if std::env::args()
                .skip(1)
                .any(|argument| argument != "--bench")
            {
                return;
            }
            println!("reordered keys: crossfade / serde_json, medians of {ROUNDS} rounds in turns");
            for size in SIZES {
                let pair = Pair::reordered(size);
                let turns = 2_000_000 / size;
                let mut times = [Vec::new(), Vec::new()];
                for _ in 0..ROUNDS {
                    times[0].push(time(turns, || pair.equal_by_crossfade()));
                    times[1].push(time(turns, || pair.equal_by_serde_json()));
                }
                let [ours, theirs] = times.map(|mut times| {
                    times.sort_unstable();
                    times[ROUNDS / 2] / u32::try_from(turns).expect("a few thousand turns")
                });
                let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
                println!("{size:>7} B  {ours:>10.2?} / {theirs:>10.2?}  = {ratio:.3}");
            }
        }

        #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
        fn time(turns: usize, equal: impl Fn() -> bool) -> Duration {
            let start = Instant::now();
            for _ in 0..turns {
                assert!(equal());
            }
            start.elapsed()
        }
    }

    /// Two bodies.
    struct Pair {
        old: Vec<u8>,
        new: Vec<u8>,
        headers: HeaderMap,
    }

    impl Pair {
        fn reordered(size: usize) -> Self {
            let old = document(size);
            Self {
                new: bytes(&reordered(&old)),
                old: bytes(&old),
                headers: headers(),
            }
        }

        fn bytes(&self) -> BytesCount {
            BytesCount::new(self.old.len())
        }

        fn equal_by_crossfade(&self) -> bool {
            let bodies = [&self.old, &self.new].map(|body| black_box(body.as_slice()));
            judge(&self.headers, bodies, &Rules::default()) == Verdict::Match
        }

        fn equal_by_serde_json(&self) -> bool {
            let [old, new] = [&self.old, &self.new]
                .map(|body| serde_json::from_slice::<Value>(black_box(body)).expect("JSON"));
            old == new
        }
    }

    /// As above, with rules that have to be asked at every place: one to ignore, one for arrays without order.
    #[divan::bench(args = SIZES)]
    fn equal_by_rules(bencher: Bencher<'_, '_>, size: usize) {
        let old = document(size);
        let mut new = reordered(&old);
        for item in new["items"].as_array_mut().expect("a list of items") {
            item["updated_at"] = "2026-02-02T00:00:00Z".into();
            item["tags"]
                .as_array_mut()
                .expect("a list of tags")
                .reverse();
        }
        let path = |text| FieldPath::parse(text).expect("a valid path");
        let rules = Rules {
            ignore: vec![path("$..updated_at")],
            unordered: vec![path("$.items[*].tags")],
            ..Rules::default()
        };
        bench(
            bencher,
            [&bytes(&old), &bytes(&new)],
            &rules,
            Verdict::Match,
        );
    }

    #[divan::bench(args = SIZES)]
    fn one_change(bencher: Bencher<'_, '_>, size: usize) {
        let old = document(size);
        let new = changed(&old);
        bench(
            bencher,
            [&bytes(&old), &bytes(&new)],
            &Rules::default(),
            Verdict::Mismatch,
        );
    }
}
