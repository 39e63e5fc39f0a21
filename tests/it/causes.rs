//! Mismatches read as causes: through the admin API, by command, with what was said of them, and without anybody's values.

use crate::harness::backend::Seen;
use crate::harness::program::{crossfade, output};
use crate::harness::{Backend, Proxy, Reply, Setup, with_one_worker_and_with_four};
use serde_json::{Value, json};

with_one_worker_and_with_four!(
    many_mismatches_are_a_few_causes,
    a_cause_that_was_acknowledged_stays_so_until_it_has_grown,
    causes_say_nothing_of_values,
);

/// Answers with what a pair's number makes of it.
fn side(answer: impl Fn(u32) -> Value + Send + Sync + 'static) -> Backend {
    Backend::start(move |seen: &Seen| {
        let number = seen.target.rsplit('/').next().unwrap_or_default();
        let number = number.split('?').next().unwrap_or_default();
        let body = answer(number.parse().unwrap_or(0)).to_string();
        Reply::status(200)
            .header("content-type", "application/json")
            .body(body)
    })
}

/// Two defects: one on two fields of every fourth pair, one on a third field of every tenth.
fn sides() -> [Backend; 2] {
    let old = side(|n| json!({"n": n, "name": format!("Name {n}"), "city": "Rome", "price": 1.25}));
    let new = side(|n| {
        let mut answer =
            json!({"n": n, "name": format!("Name {n}"), "city": "Rome", "price": 1.25});
        if n.is_multiple_of(4) {
            answer["name"] = format!("name {n}").into();
            answer["city"] = "rome".into();
        }
        if n.is_multiple_of(10) {
            answer["price"] = 1.into();
        }
        answer
    });
    [old, new]
}

fn start(workers: usize, [old, new]: &[Backend; 2], samples: &str) -> Proxy {
    let route = "name = \"items\"\nmatch = \"GET /items/{id}\"\nkey = \"{path.id}\"\nshadow = 100";
    let setup = Setup::new(old, new).workers(workers).route(route);
    setup.set("samples", samples).start()
}

fn ask(proxy: &Proxy, numbers: impl IntoIterator<Item = u32>) {
    let mut client = proxy.client();
    for number in numbers {
        assert_eq!(
            client.get(&format!("/items/{number}?q={number}")).status,
            200
        );
    }
    proxy.settle();
}

fn causes(proxy: &Proxy) -> Vec<Value> {
    let answer = proxy.admin_json("/api/causes");
    answer["causes"].as_array().unwrap().clone()
}

fn acknowledge(proxy: &Proxy, id: &str, body: &Value) -> (u16, Value) {
    let answer = proxy.admin("POST", &format!("/api/causes/{id}/ack"), Some(body));
    (answer.status, answer.json())
}

/// What `crossfade causes` says with these arguments.
fn said(proxy: &Proxy, arguments: &[&str]) -> String {
    let admin = proxy.admin_address().to_string();
    let arguments = [&["causes", "--admin", &admin], arguments].concat();
    let output = output(crossfade(proxy.folder(), &arguments));
    String::from_utf8(output.stdout).unwrap()
}

fn many_mismatches_are_a_few_causes(workers: usize) {
    let sides = sides();
    let proxy = start(workers, &sides, "values = \"shown\"");
    ask(&proxy, 1..=200);
    let answer = proxy.admin_json("/api/causes?route=items");
    // By counting: 50 have the first, 20 the second, 10 of those both.
    assert_eq!(
        (&answer["mismatches"], &answer["rest"]),
        (&json!(60), &json!(0))
    );
    let found = causes(&proxy);
    let brief = |cause: &Value| {
        json!([
            cause["paths"],
            cause["kinds"],
            cause["shape"],
            cause["pairs"],
            cause["state"],
            cause["generations"],
            cause["rule"]
        ])
    };
    assert_eq!(
        found.iter().map(brief).collect::<Vec<_>>(),
        [
            json!([
                ["$.city", "$.name"],
                ["changed"],
                "case",
                50,
                "open",
                [1],
                "compare.ignore = [\"$.city\", \"$.name\"]"
            ]),
            json!([
                ["$.price"],
                ["changed"],
                "rounding",
                20,
                "open",
                [1],
                "compare.tolerance = { \"$.price\" = 1.0 }"
            ]),
        ]
    );
    assert_eq!(found[0]["route"], "items");
    assert!((found[0]["share"].as_f64().unwrap() - 50.0 / 60.0).abs() < 1e-9);
    let keys = found[1]["keys"].as_u64().unwrap();
    assert!((18..=22).contains(&keys), "{keys}");
    let examples = found[1]["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 3);
    let rows = proxy.admin_json("/api/mismatches?limit=1000");
    let rows = rows["mismatches"].as_array().unwrap();
    for example in examples {
        let row = rows.iter().find(|row| row["id"] == example["id"]).unwrap();
        assert_eq!(
            (&row["target"], &row["at"]),
            (&example["target"], &example["at"])
        );
        let target = row["target"].as_str().unwrap();
        for (name, backend) in [("old", &sides[0]), ("new", &sides[1])] {
            let expected = format!("curl -sS 'http://{}{target}'", backend.address());
            assert_eq!(example["curl"][name], expected);
        }
    }
    for row in rows {
        let number: u32 = row["key"].as_str().unwrap().parse().unwrap();
        let mut expected = Vec::new();
        if number.is_multiple_of(10) {
            expected.push(&found[1]["id"]);
        }
        if number.is_multiple_of(4) {
            expected.push(&found[0]["id"]);
        }
        assert_eq!(
            (&row["causes"], &row["cause"]),
            (&json!(expected), expected[0]),
            "{row}"
        );
    }
    let text = said(&proxy, &["--route", "items"]);
    assert!(text.starts_with("60 mismatches are 2 causes\n"), "{text}");
    let text = said(&proxy, &["--output", "json"]);
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["causes"], json!(found));
    assert_eq!(proxy.admin("GET", "/api/causes?limit=1", None).status, 400);
    assert_eq!(
        proxy.admin_json("/api/causes?route=none"),
        json!({"mismatches": 0, "rest": 0, "causes": []})
    );
}

fn a_cause_that_was_acknowledged_stays_so_until_it_has_grown(workers: usize) {
    let sides = sides();
    let mut proxy = start(workers, &sides, "values = \"shown\"");
    ask(&proxy, (1..=3).map(|n| n * 20));
    let cause = causes(&proxy)
        .into_iter()
        .find(|cause| cause["shape"] == "case")
        .unwrap();
    let id = cause["id"].as_str().unwrap().to_owned();
    let state = |proxy: &Proxy| {
        let found = causes(proxy)
            .into_iter()
            .find(|cause| cause["id"] == *id)
            .unwrap();
        (
            found["state"].as_str().unwrap().to_owned(),
            found["pairs"].as_u64().unwrap(),
        )
    };
    let said = json!({"note": "known since May", "until": "2999-01-01T00:00:00Z"});
    assert_eq!(acknowledge(&proxy, "000000000000", &said).0, 404);
    assert_eq!(acknowledge(&proxy, "x", &said).0, 404);
    assert_eq!(acknowledge(&proxy, &id, &json!({"note": "a"})).0, 422);
    let (status, answer) = acknowledge(&proxy, &id, &said);
    assert_eq!(
        (status, &answer["state"], answer.get("durable")),
        (200, &json!("acknowledged"), None)
    );
    assert_eq!(answer["ack"]["note"], "known since May");
    assert_eq!(state(&proxy), ("acknowledged".to_owned(), 3));
    // Its name, and what was said of it, outlive the process.
    proxy.restart();
    ask(&proxy, (1..=29).map(|n| n * 4));
    assert_eq!(state(&proxy), ("acknowledged".to_owned(), 29));
    ask(&proxy, [4]);
    assert_eq!(state(&proxy), ("open".to_owned(), 30));
    assert_eq!(acknowledge(&proxy, &id, &said).0, 200);
    assert_eq!(state(&proxy), ("acknowledged".to_owned(), 30));
}

fn causes_say_nothing_of_values(workers: usize) {
    let old = side(|n| json!({"n": n, "name": format!("SECRET-{n}"), "token": "SECRET-t"}));
    let new = side(
        |n| json!({"n": n, "name": "SECRET-constant", "token": format!("SECRET-{n}"), "more": {"password": "SECRET-p"}}),
    );
    let sides = [old, new];
    for (samples, keys_are_shown) in [
        ("values = \"redacted\"", false),
        ("values = \"shown\"", true),
    ] {
        let proxy = start(workers, &sides, samples);
        ask(&proxy, 77_001..77_041);
        let texts = [
            proxy.admin_json("/api/causes").to_string(),
            said(&proxy, &[]),
        ];
        for text in texts {
            assert!(
                text.contains("$.name") && text.contains("constant"),
                "{text}"
            );
            assert!(!text.contains("SECRET"), "{text}");
            assert_eq!(text.contains("77040"), keys_are_shown, "{text}");
        }
    }
}
