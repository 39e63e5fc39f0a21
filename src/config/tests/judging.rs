//! How sure a verdict has to be: what the file may say of it, and what not.

use super::mistakes::{check_in, check_route, found};
use super::{HEAD, good};

#[test]
fn when_a_mismatch_is_looked_at_again() {
    let nine = (1..=9)
        .map(|delay| format!("\"{delay}ms\""))
        .collect::<Vec<_>>()
        .join(",");
    for (value, problem) in [
        ("\"1s\"", "23-10:27 wrong-type route[0].compare.recheck"),
        (
            "[\"1s\", \"1s\"]",
            "30-10:34 out-of-range route[0].compare.recheck[1]",
        ),
        (
            "[\"1s\", \"61s\"]",
            "30-10:35 out-of-range route[0].compare.recheck[1]",
        ),
        (
            "[\"0s\"]",
            "24-10:28 out-of-range route[0].compare.recheck[0]",
        ),
        (
            "[\"1ms\", \"2\"]",
            "31-10:34 bad-duration route[0].compare.recheck[1]",
        ),
        (
            &format!("[{nine}]"),
            "23-10:78 out-of-range route[0].compare.recheck",
        ),
    ] {
        check_route(
            &format!("compare = {{ recheck = {value} }}"),
            &format!("10:{problem}"),
        );
    }
}

#[test]
fn what_is_asked_twice() {
    check_in(
        "[noise]",
        "floor = 1.5",
        "8:9-8:12 out-of-range noise.floor",
    );
    check_in(
        "[noise]",
        "floor = \"0.1\"",
        "8:9-8:14 wrong-type noise.floor",
    );
    check_in(
        "[noise]",
        "sample = 10.5",
        "8:10-8:14 out-of-range noise.sample",
    );
    check_in(
        "[noise]",
        "sample = 0.001",
        "8:10-8:15 bad-percent noise.sample",
    );
    check_in("[noise]", "shape = []", "8:1-8:6 unknown-key noise.shape");
    let noise = |lines: &str| good(&format!("{HEAD}{lines}")).noise;
    assert_eq!((noise("").floor, noise("").sample.percent()), (0.0003, 1.0));
    let said = noise("[noise]\nfloor = 0\nsample = 0.5\n");
    assert_eq!((said.floor, said.sample.percent()), (0.0, 0.5));
}

#[test]
fn a_twin_is_old_at_another_url() {
    let text = |old: &str| HEAD.replace("[new]", &format!("{old}\n[new]"));
    let twin = |old: &str| good(&text(old)).twin.expect("there is one");
    assert_eq!(good(HEAD).twin, None);
    let plain = twin("twin = \"http://10.0.0.9:1\"\ntimeout = \"3s\"\nhealth = \"GET /\"");
    assert_eq!(plain.urls[0].to_string(), "http://10.0.0.9:1");
    assert_eq!(
        (plain.timeout.as_secs(), plain.health, plain.tls),
        (3, None, None)
    );
    assert!(twin("twin = \"https://twin.test\"").tls.is_some());
    for (url, code) in [("ftp://x", "bad-url"), ("${NOBODY_SET}", "env-unset")] {
        let found = found(&text(&format!("twin = \"{url}\"")));
        assert!(found.len() == 1 && found[0].contains(code), "{found:?}");
    }
}

#[test]
fn what_a_write_explains() {
    check_route(
        "compare = { lag = \"soon\" }",
        "10:19-10:25 bad-duration route[0].compare.lag",
    );
    check_route(
        "compare = { settle = 2 }",
        "10:22-10:23 wrong-type route[0].compare.settle",
    );
}
