//! How sure a verdict has to be: what the file may say of it, and what not.

use super::mistakes::check_route;

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
