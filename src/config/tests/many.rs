//! Files with thousands of mistakes.

use super::HEAD;
use super::mistakes::found;
use super::read;

fn unknown(count: usize) -> String {
    (0..count).map(|n| format!("x{n} = 1\n")).collect()
}

#[test]
fn the_first_ones_are_told_and_the_others_are_counted() {
    let text = format!("{HEAD}{}", unknown(20_000));
    let problems = read(&text).problems;
    assert_eq!(problems.len(), 501);
    for (line, problem) in (7..).zip(&problems[..500]) {
        assert_eq!((problem.line, problem.code), (line, "unknown-key"));
    }
    assert_eq!(problems[500].code, "too-many");
    assert_eq!(problems[500].message, "19500 more errors are not shown");
    // Every table counts.
    let last = found(&format!(
        "{text}[server]\nnope = 1\nlisten = 1\n[samples]\n"
    ))
    .pop();
    assert_eq!(last.as_deref(), Some("20010:10-20010:10 too-many"));
}

#[test]
fn the_last_that_are_told_leave_nothing_to_count() {
    let problems = read(&format!("{HEAD}{}", unknown(500))).problems;
    assert_eq!(problems.len(), 500);
    assert!(problems.iter().all(|problem| problem.code == "unknown-key"));
}

#[test]
fn the_first_of_many_misspelt_keys_is_read() {
    let misspelt: String = ["pol", "poool", "hots", "hst", "hostt"]
        .map(|key| format!("{key} = 1\n"))
        .concat();
    let expected = [
        "7:1-7:4 unknown-key new.pol",
        "7:7-7:8 wrong-type new.pol",
        "8:1-8:6 unknown-key new.poool",
        "9:1-9:5 unknown-key new.hots",
        "9:8-9:9 wrong-type new.hots",
        "10:1-10:4 unknown-key new.hst",
        "11:1-11:6 unknown-key new.hostt",
    ];
    assert_eq!(found(&format!("{HEAD}{misspelt}")), expected);
}

#[test]
fn of_a_large_file_few_mistakes_of_syntax_are_told() {
    let check = |lines: usize, good: usize, expected: usize| {
        let good = "# good\n".repeat(good);
        let problems = read(&format!("{HEAD}{good}{}", "= 1\n".repeat(lines))).problems;
        assert_eq!(problems.len(), expected, "{lines} lines");
        assert!(problems.iter().all(|problem| problem.code == "syntax"));
    };
    check(49, 0, 49);
    // Where the beginning has that many, nothing else is looked at.
    check(1_000, 0, 50);
    check(100_000, 0, 50);
    check(49, 2_000, 49);
    check(49, 11_000, 13);
    check(49, 60_000, 5);
}

#[test]
fn a_url_is_not_as_long_as_a_file() {
    let check = |count: usize, expected: &[&str]| {
        let url = format!("http://{}", "${NOPE}".repeat(count));
        let text = HEAD.replace("http://127.0.0.1:7002", &url);
        assert_eq!(found(&text), expected, "{count} names");
    };
    check(1, &["6:15-6:16 env-unset new.url"]);
    check(20_000, &["6:7-6:140016 bad-url new.url"]);
}
