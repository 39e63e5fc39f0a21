use super::*;
use crate::demo::text::width;
use crate::demo::view::FieldRow;
use proptest::prelude::*;
use std::time::Duration;

fn view() -> View {
    let route = |name: &str, share, served, diff_rate, trials| RouteRow {
        name: name.to_owned(),
        share,
        served,
        latency: [Some((0.312, 1.25)), Some((12.34, 250.4))],
        diff_rate,
        trials,
    };
    let field = |route: &str, field: &str, kind: &str, count| FieldRow {
        route: route.to_owned(),
        field: field.to_owned(),
        kind: kind.to_owned(),
        count,
    };
    View {
        uptime: Duration::from_secs(3_723),
        listen: "127.0.0.1:8080".to_owned(),
        admin: "127.0.0.1:9900".to_owned(),
        file: "routes.toml".to_owned(),
        program: "crossfade".to_owned(),
        routes: vec![
            route("content-tags", 0.05, [114.2, 6.04], Some(0.2741), 1_234_567),
            route("content", 0.05, [57.0, 2.9], Some(0.2739), 51_002),
            route("tags", 0.0, [6.0, 0.0], Some(1.0), 611),
            RouteRow {
                name: "tag-contents".to_owned(),
                ..RouteRow::default()
            },
        ],
        fields: vec![
            field("content-tags", "$.tags[*]", "missing", 338_395),
            field("content-tags", "$.tags[*]", "extra", 338_120),
            field("tags", "$.tags[*].count", "type", 611),
            field("content", "$.tags[*]", "missing", 600),
            field("content", "$.tags[*]", "extra", 598),
        ],
        children: vec![
            ChildRow {
                name: "old",
                pid: 4711,
                state: ChildState::Running,
                said: "29,792 contents on 127.0.0.1:7001".to_owned(),
            },
            ChildRow {
                name: "new",
                pid: 4712,
                state: ChildState::Down("signal 9".to_owned()),
                said: String::new(),
            },
            ChildRow {
                name: "load",
                pid: 4713,
                state: ChildState::Starting,
                said: String::new(),
            },
        ],
        generation: 3,
        rejected: None,
        notice: None,
    }
}

fn check(view: &View, columns: usize, rows: usize, expected: &str) {
    let shown: Vec<String> = lines(view, columns, rows)
        .iter()
        .map(|line| line.text().trim_end().to_owned())
        .collect();
    assert_eq!(
        shown.join("\n"),
        expected.trim_start_matches('\n').trim_end(),
        "{columns}x{rows}"
    );
}

#[test]
fn eighty_columns_and_twenty_four_rows_show_everything() {
    check(&view(), 80, 24, EVERYTHING);
}

const EVERYTHING: &str = "
 crossfade demo  127.0.0.1:8080  admin 127.0.0.1:9900         r restart  q quit

                            served/s       old ms       new ms             pairs
 route            share    old   new    p50   p99    p50   p99    diff        of
 content-tags     5.00%    114   6.0   0.31  1.25   12.3   250  27.41% 1,234,567
 content          5.00%     57   2.9   0.31  1.25   12.3   250  27.39%    51,002
 tags             0.00%    6.0   0.0   0.31  1.25   12.3   250 100.00%       611
 tag-contents     0.00%    0.0   0.0      -     -      -     -       -         0

 differences    field                                      kind            pairs
 content-tags   $.tags[*]                                  missing       338,395
 content-tags   $.tags[*]                                  extra         338,120
 tags           $.tags[*].count                            type              611
 content        $.tags[*]                                  missing           600
 content        $.tags[*]                                  extra             598

 old  pid 4711    running  29,792 contents on 127.0.0.1:7001
 new  pid 4712    down (signal 9): press r to restart it
 load pid 4713    starting

 edit routes.toml   generation 3 is in force
 try  curl -i http://127.0.0.1:8080/contents/0ad/tags
      crossfade explain GET /contents/0ad/tags
      crossfade mismatches --limit 3
";

#[test]
fn a_small_terminal_loses_the_least_important_first() {
    check(&view(), 50, 14, SMALL);
    check(&view(), 30, 3, TINY);
    assert!(lines(&view(), 0, 0).is_empty());
}

const SMALL: &str = "
                                r restart  q quit
                            served/s   pairs
 route            share    old   new    diff
 content-tags     5.00%    114   6.0  27.41%
 content          5.00%     57   2.9  27.39%
 tags             0.00%    6.0   0.0 100.00%
 tag-contents     0.00%    0.0   0.0       -
 differences    field        kind            pairs
 content-tags   $.tags[*]    missing       338,395
 content-tags   $.tags[*]    extra         338,120
 old  pid 4711    running  29,792 contents on 127…
 new  pid 4712    down (signal 9): press r to res…
 load pid 4713    starting
 edit routes.toml   generation 3 is in force
";

const TINY: &str = "
            r restart  q quit
 route            share
 content-tags     5.00%
";

#[test]
fn troubles_are_told() {
    let mut view = view();
    view.rejected = Some("routes.toml:12:1 unknown key \u{1b}[31m".to_owned());
    view.notice = Some("override: old".to_owned());
    let shown = lines(&view, 80, 30);
    let told = |text: &str, tone: Tone| {
        shown.iter().any(|line| {
            line.0
                .iter()
                .any(|(t, piece)| piece.contains(text) && *t == tone)
        })
    };
    assert!(told("not valid: generation 3 stays in force", Tone::Bad));
    assert!(
        told("routes.toml:12:1 unknown key ·[31m", Tone::Bad),
        "an escape does not reach the terminal"
    );
    assert!(told("override: old", Tone::Bad));
    assert!(told("down (signal 9)", Tone::Bad));
    assert!(told("27.41%", Tone::Warn));
    let line = log_line(&view);
    assert!(
        line.contains("content-tags share 5.00% served/s old 114 new 6.0"),
        "{line}"
    );
    assert!(line.contains("diff 27.41% of 1234567"), "{line}");
    assert!(line.contains("new pid 4712 is down (signal 9)"), "{line}");
    assert!(line.contains("unknown key ·[31m | override: old"), "{line}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn nothing_is_wider_or_longer_than_the_terminal(
        columns in 0_usize..150,
        rows in 0_usize..40,
        names in proptest::collection::vec("\\PC{0,40}|[\\x00-\\x7f]{0,20}", 0..15),
        number in any::<u64>(),
    ) {
        let mut view = view();
        for name in &names {
            view.routes.push(RouteRow { name: name.clone(), trials: number, ..RouteRow::default() });
            view.fields.push(FieldRow { route: name.clone(), field: name.clone(), kind: name.clone(), count: number });
            view.notice = Some(name.clone());
        }
        let shown = lines(&view, columns, rows);
        prop_assert!(shown.len() <= rows);
        for line in shown {
            let text = line.text();
            prop_assert!(width(&text) <= columns, "{} columns: {:?}", columns, text);
            prop_assert!(!text.contains(char::is_control));
        }
    }
}
