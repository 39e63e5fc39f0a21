use super::*;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;

/// A table whose routes hold their own line: `[HOST] METHODS PATH`, the host in front where there is one.
fn table(lines: &[&str]) -> Table<String> {
    Table::new(lines.iter().map(|line| entry(line)).collect())
}

fn entry(line: &str) -> Entry<String> {
    let (host, pattern) = match line.split_once("] ") {
        Some((host, pattern)) => (host.strip_prefix('['), pattern),
        None => (None, line),
    };
    Entry {
        pattern: Pattern::parse(pattern).unwrap(),
        host: host.map(str::to_owned),
        policy: line.to_owned(),
    }
}

/// `INDEX name=value ..`, or `-` where nothing matches.
fn found(table: &Table<String>, request: &str) -> String {
    let mut parts = request.split(' ');
    let method = Method::from_bytes(parts.next().unwrap().as_bytes()).unwrap();
    let path = parts.next().unwrap();
    let target = Target {
        method: &method,
        host: parts.next(),
        path,
    };
    let Some(found) = table.lookup(target) else {
        return "-".to_owned();
    };
    assert_eq!(found.policy, &table.policies()[found.index]);
    let captures = found.captures.values().map(|(name, _)| {
        let value = found.captures.value(name).unwrap();
        let place = table.patterns[found.index].place(name).unwrap();
        assert_eq!(found.captures.at(place), Some(value.clone()), "{name}");
        format!(" {name}={}", value.escape_ascii())
    });
    format!("{}{}", found.index, captures.collect::<String>())
}

#[track_caller]
fn check(lines: &[&str], rows: &[(&str, &str)]) {
    let table = table(lines);
    for (request, expected) in rows {
        assert_eq!(found(&table, request), *expected, "{request} in {lines:?}");
    }
}

#[test]
fn the_first_match_wins_whatever_its_kind() {
    check(
        &["GET /a/{x}", "GET /a/b", "PUT /a/b", "* /{rest*}", "GET /z"],
        &[
            ("GET /a/b", "0 x=b"),
            ("HEAD /a/b", "0 x=b"),
            ("PUT /a/b", "2"),
            ("POST /a/b", "3 rest=a/b"),
            ("GET /z", "3 rest=z"),
            ("GET /", "3 rest="),
            ("OPTIONS *", "-"),
        ],
    );
    check(
        &["GET /{a}/{b}/c", "GET /x/{b}/d", "GET /x/y/{c}"],
        &[
            ("GET /x/y/c", "0 a=x b=y"),
            ("GET /x/y/d", "1 b=y"),
            ("GET /x/y/e", "2 c=e"),
            ("GET /x/z/e", "-"),
        ],
    );
}

#[test]
fn segments_are_decoded_once_and_nothing_else_is_done_to_them() {
    check(
        &["GET /a%20b/{x}", "GET /files/{p*}", "GET /{x}/"],
        &[
            ("GET /a%20b/c%2Fd", "0 x=c/d"),
            ("GET /%61%20b/%2541", "0 x=%41"),
            ("GET /a%20b/", "2 x=a b"),
            ("GET /a+b/c", "-"),
            ("GET /A%20b/c", "-"),
            ("GET /a%20b/c/", "-"),
            ("GET /a%20b//c", "-"),
            ("GET /files/", "1 p="),
            ("GET /files", "-"),
            ("GET /files/a//b%2520/../c/", "1 p=a//b%20/../c/"),
            ("GET /a%20b/%ff", "0 x=\\xff"),
            ("GET /a%20b/%zz%4", "0 x=%zz%4"),
            ("GET //", "-"),
        ],
    );
}

#[test]
fn methods_of_one_path_go_to_routes_of_their_own() {
    check(
        &[
            "GET,PURGE /a",
            "PUT,BAN /a",
            "* /a",
            "BAN,LOCK /b",
            "* /{x}/c",
            "PUT /d/c",
        ],
        &[
            ("GET /a", "0"),
            ("PURGE /a", "0"),
            ("PUT /a", "1"),
            ("BAN /a", "1"),
            ("PATCH /a", "2"),
            ("LOCK /a", "2"),
            ("LOCK /b", "3"),
            ("BAN /b", "3"),
            ("PURGE /b", "-"),
            ("GET /b", "-"),
            ("PUT /d/c", "4 x=d"),
            ("OPTIONS /b/c", "4 x=b"),
            ("SEARCH /b/c", "4 x=b"),
        ],
    );
}

#[test]
fn a_literal_may_be_as_long_as_it_likes() {
    // Around what finds a place within a node, alone and with what stands before it.
    for length in 20..40 {
        let long = "x".repeat(length);
        let lines = [
            format!("GET /{long}"),
            format!("GET /{long}/{{id}}/{long}"),
            format!("GET /a/b/{long}/{long}"),
            format!("GET /a/b/{long}y/c"),
        ];
        check(
            &lines.each_ref().map(String::as_str),
            &[
                (&format!("GET /{long}"), "0"),
                (&format!("GET /%78{}", &long[1..]), "0"),
                (&format!("GET /{long}x"), "-"),
                (&format!("GET /{long}/"), "-"),
                (&format!("GET /{long}/7/{long}"), "1 id=7"),
                (&format!("GET /{long}//{long}"), "-"),
                (&format!("GET /{long}/7/{long}/"), "-"),
                (&format!("GET /a/b/{long}/{long}"), "2"),
                (&format!("GET /a/b/{long}/{}", &long[1..]), "-"),
                (&format!("GET /a/b/{long}y/c"), "3"),
                (&format!("GET /a/b/{long}y"), "-"),
            ],
        );
    }
}

#[test]
fn each_of_thousands_of_literals_leads_to_its_route() {
    let lines: Vec<String> = (0..3_000)
        .map(|n| format!("GET /v1/r{n}/{{id}}/tags"))
        .collect();
    let table = table(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    for n in 0..3_000 {
        let request = format!("GET /v1/r{n}/k{n}/tags");
        assert_eq!(found(&table, &request), format!("{n} id=k{n}"));
        assert_eq!(
            found(&table, &request.replace("/r", "/%72")),
            format!("{n} id=k{n}")
        );
        for other in [format!("r{}", n + 3_000), format!("s{n}"), format!("r{n}%")] {
            let request = format!("GET /v1/{other}/k/tags");
            assert_eq!(found(&table, &request), "-", "{request}");
        }
        assert_eq!(found(&table, &format!("GET /v1/r{n}/k/tag")), "-");
    }
}

#[test]
fn hosts_are_compared_without_port_and_case() {
    check(
        &[
            "[Tags.example.org:8080] GET /a",
            "GET /{x}",
            "[[::1]] GET /b",
            "[tags.example.org] GET /c",
        ],
        &[
            ("GET /a tags.example.org", "0"),
            ("GET /a TAGS.EXAMPLE.ORG:9", "0"),
            ("GET /a other.example.org", "1 x=a"),
            ("GET /a", "1 x=a"),
            ("GET /c tags.example.org", "1 x=c"),
            ("GET /b [::1]:80", "1 x=b"),
        ],
    );
    check(
        &["[[::1]:1] GET /b", "[::1] GET /c"],
        &[
            ("GET /b [::1]:80", "0"),
            ("GET /b [::2]", "-"),
            ("GET /b", "-"),
        ],
    );
}

#[test]
fn hidden_routes_are_named_with_what_hides_them() {
    type Row = (&'static [&'static str], &'static [(usize, usize)]);
    let rows: [Row; 8] = [
        (&["GET /a/{x}", "GET /a/b", "PUT /a/b"], &[(1, 0)]),
        (&["* /{all*}", "GET /a", "[h] GET /b"], &[(1, 0), (2, 0)]),
        (&["[h] * /{all*}", "GET /a", "[H:80] GET /b"], &[(2, 0)]),
        (&["GET /a", "PUT /a", "GET,PUT /a", "* /a"], &[(2, 0)]),
        (&["HEAD /a", "GET /a", "GET,HEAD /a"], &[(2, 0)]),
        (&["GET /a", "HEAD /a"], &[(1, 0)]),
        (&["GET /{x}", "GET /", "GET /a/"], &[]),
        (&["GET /b", "GET /a", "GET /b", "GET /b"], &[(2, 0), (3, 0)]),
    ];
    for (lines, expected) in rows {
        let entries: Vec<_> = lines.iter().map(|line| entry(line)).collect();
        let routes: Vec<_> = entries
            .iter()
            .map(|entry| (&entry.pattern, entry.host.as_deref()))
            .collect();
        assert_eq!(unreachable(&routes), expected, "{lines:?}");
    }
}

#[test]
fn a_path_hides_what_it_covers() {
    let rows = [
        ("/a", "/a", true),
        ("/a", "/b", false),
        ("/a", "/a/", false),
        ("/a/", "/a", false),
        ("/{x}", "/a", true),
        ("/{x}", "/", false),
        ("/{x}", "/{y}", true),
        ("/a", "/{y}", false),
        ("/{x}", "/{y*}", false),
        ("/{x*}", "/{y*}", true),
        ("/{x*}", "/a/{b}/c", true),
        ("/{x*}", "/", true),
        ("/a/{x*}", "/a", false),
        ("/a/{x*}", "/a/", true),
        ("/a/b", "/a", false),
        ("/a", "/a/b", false),
    ];
    for (mine, theirs, expected) in rows {
        let [mine, theirs] =
            [mine, theirs].map(|path| Pattern::parse(&format!("* {path}")).unwrap());
        assert_eq!(covers(&mine, &theirs), expected, "{mine:?} {theirs:?}");
        let hidden = unreachable(&[(&mine, None), (&theirs, None)]);
        assert_eq!(!hidden.is_empty(), expected, "{mine:?} {theirs:?}");
    }
}

#[test]
fn paths_that_two_parsers_could_read_differently_are_ambiguous() {
    for path in [
        "/a%2Fb",
        "/a%2fb",
        "/.",
        "/..",
        "/a/../b",
        "/a/./b",
        "/%2e",
        "/%2E%2e/b",
        "/.%2e",
        "/%2e./",
        "a/..",
    ] {
        assert!(is_ambiguous(path), "{path}");
    }
    for path in [
        "",
        "/",
        "/a/b",
        "/...",
        "/.a",
        "/a..",
        "/%252F",
        "/%252e",
        "/%2",
        "/a//b",
        "/%2e%2e%2e",
        "/%5c",
    ] {
        assert!(!is_ambiguous(path), "{path}");
    }
}

/// The rules as they are written, one route after the other.
fn naive(lines: &[String], method: &str, host: Option<&str>, path: &str) -> Option<usize> {
    let matches = |line: &String| {
        let (route_host, pattern) = match line.split_once("] ") {
            Some((host, pattern)) => (Some(host.trim_start_matches('[')), pattern),
            None => (None, line.as_str()),
        };
        let (methods, template) = pattern.split_once(' ').unwrap();
        let has = methods == "*"
            || methods
                .split(',')
                .any(|m| m == method || m == "GET" && method == "HEAD");
        let host = host.map(|host| host.split(':').next().unwrap().to_lowercase());
        has && route_host.is_none_or(|wanted| host.as_deref() == Some(wanted))
            && naive_path(template, path)
    };
    lines.iter().position(matches)
}

fn naive_path(template: &str, path: &str) -> bool {
    let wanted: Vec<&str> = template.split('/').collect();
    let given: Vec<&str> = path.split('/').collect();
    let rest = template.ends_with("*}");
    (if rest {
        given.len() >= wanted.len()
    } else {
        given.len() == wanted.len()
    }) && wanted
        .iter()
        .zip(&given)
        .all(|(wanted, given)| match *wanted {
            name if name.ends_with("*}") => true,
            name if name.starts_with('{') => !given.is_empty(),
            literal => percent_decode_str(given).collect::<Vec<u8>>() == literal.as_bytes(),
        })
}

fn template() -> impl Strategy<Value = String> {
    let segment = |place: usize| prop_oneof![4 => "[ab]?", 3 => Just(format!("{{x{place}}}"))];
    let segments = (0..4_usize).prop_flat_map(move |n| (0..=n).map(segment).collect::<Vec<_>>());
    (segments, prop::bool::weighted(0.2)).prop_map(|(segments, rest)| {
        format!(
            "/{}{}",
            segments.join("/"),
            if rest { "/{rest*}" } else { "" }
        )
    })
}

fn line() -> impl Strategy<Value = String> {
    let host = prop_oneof![3 => Just(""), 1 => Just("[h] "), 1 => Just("[i] ")];
    let methods = prop_oneof![
        Just("*"),
        Just("GET"),
        Just("PUT"),
        Just("HEAD"),
        Just("GET,POST")
    ];
    (host, methods, template())
        .prop_map(|(host, methods, template)| format!("{host}{methods} {template}"))
}

/// Paths with so many literals that most forks have a table of them.
fn wide_line() -> impl Strategy<Value = String> {
    let segment = |place: usize| {
        prop_oneof![
            8 => "r[0-9]{1,2}",
            1 => "[bc]{24,32}",
            1 => Just(format!("{{x{place}}}")),
        ]
    };
    let segments = (1..4_usize).prop_flat_map(move |n| (0..n).map(segment).collect::<Vec<_>>());
    let methods = prop_oneof![Just("*"), Just("GET"), Just("PUT"), Just("PURGE,GET")];
    (methods, segments).prop_map(|(methods, segments)| format!("{methods} /{}", segments.join("/")))
}

/// Whether every path that `theirs` matches is one that `mine` matches too.
fn covers(mine: &Pattern, theirs: &Pattern) -> bool {
    let mut theirs = theirs.segments().iter();
    for mine in mine.segments() {
        let covered = match (mine, theirs.next()) {
            (Segment::Rest(_), their) => return their.is_some(),
            (_, None | Some(Segment::Rest(_))) => false,
            (Segment::One(_), Some(Segment::One(_))) => true,
            (Segment::One(_), Some(Segment::Literal(literal))) => !literal.is_empty(),
            (Segment::Literal(_), Some(Segment::One(_))) => false,
            (Segment::Literal(mine), Some(Segment::Literal(theirs))) => mine == theirs,
        };
        if !covered {
            return false;
        }
    }
    theirs.next().is_none()
}

/// What hides each route, by every pair of them.
fn hidden_by_pairs(entries: &[Entry<String>]) -> Vec<(usize, usize)> {
    let hider_of = |index: usize, method: Option<&Method>| {
        let theirs = &entries[index];
        (0..index).find(|&earlier| {
            let mine = &entries[earlier];
            let all_methods = mine.pattern.methods().is_none();
            (mine.host.is_none() || mine.host == theirs.host)
                && covers(&mine.pattern, &theirs.pattern)
                && method.map_or(all_methods, |method| mine.pattern.has_method(method))
        })
    };
    let hider = |index: usize| match entries[index].pattern.methods() {
        None => hider_of(index, None),
        Some(methods) => {
            let hiders: Option<Vec<_>> = methods
                .iter()
                .map(|method| hider_of(index, Some(method)))
                .collect();
            hiders.and_then(|hiders| hiders.into_iter().min())
        }
    };
    (0..entries.len())
        .filter_map(|index| Some((index, hider(index)?)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_trie_knows_what_hides_a_route(lines in prop::collection::vec(line(), 0..24)) {
        let entries: Vec<_> = lines.iter().map(|line| entry(line)).collect();
        let routes: Vec<_> = entries.iter().map(|entry| (&entry.pattern, entry.host.as_deref())).collect();
        prop_assert_eq!(unreachable(&routes), hidden_by_pairs(&entries), "{:?}", lines);
    }

    #[test]
    fn the_trie_agrees_with_a_search_through_the_file(
        lines in prop::collection::vec(line(), 0..24),
        requests in prop::collection::vec(
            ("GET|HEAD|PUT|POST|PATCH", prop::option::of("h|H:80|i:1|j"), "(/(a|b|%61|%62|%41|)){1,5}"), 1..16),
    ) {
        let table = Table::new(lines.iter().map(|line| entry(line)).collect());
        for (method, host, path) in &requests {
            let target = Target { method: &Method::from_bytes(method.as_bytes()).unwrap(), host: host.as_deref(), path };
            let found = table.lookup(target).map(|found| found.index);
            prop_assert_eq!(found, naive(&lines, method, host.as_deref(), path), "{} {:?} {}", method, host, path);
        }
    }

    #[test]
    fn a_route_that_is_called_unreachable_is_never_found(
        lines in prop::collection::vec(line(), 0..16),
        requests in prop::collection::vec(("GET|HEAD|PUT|POST|PATCH", prop::option::of("h|i"), "(/[ab]?){1,5}"), 1..16),
    ) {
        let entries: Vec<_> = lines.iter().map(|line| entry(line)).collect();
        let routes: Vec<_> = entries.iter().map(|entry| (&entry.pattern, entry.host.as_deref())).collect();
        let hidden: Vec<usize> = unreachable(&routes).into_iter().map(|(index, _)| index).collect();
        for (method, host, path) in &requests {
            let found = naive(&lines, method, host.as_deref(), path);
            prop_assert!(found.is_none_or(|found| !hidden.contains(&found)), "{:?} of {:?}", found, lines);
        }
    }

    #[test]
    fn arbitrary_paths_never_panic(path in "\\PC{0,32}|[/%.2eEfF]{0,24}", host in "\\PC{0,12}|[\\[\\]:a]{0,8}") {
        let table = table(&["[a] GET /{x}/{y*}", "GET /{x}/a", "* /{all*}"]);
        let low = path.to_lowercase();
        let dots = |segment: &str| matches!(segment.replace("%2e", ".").as_str(), "." | "..");
        prop_assert_eq!(is_ambiguous(&path), low.contains("%2f") || low.split('/').any(dots));
        let found = table.lookup(Target { method: &Method::GET, host: Some(&host), path: &path });
        prop_assert_eq!(found.is_some(), path.starts_with('/'));
    }
}

proptest! {
    // Fewer, since each of them is long.
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn many_literals_agree_with_a_search_through_the_file(
        lines in prop::collection::vec(wide_line(), 40..120),
        requests in prop::collection::vec(("GET|PUT|PURGE|LOCK", "(/(r[0-9]{1,2}|%72[0-9]|)){1,4}"), 1..16),
    ) {
        let table = Table::new(lines.iter().map(|line| entry(line)).collect());
        let find = |method: &str, path: &str| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            table.lookup(Target { method: &method, host: None, path }).map(|found| found.index)
        };
        let own = lines.iter().map(|line| ("PUT", line.split_once(' ').unwrap().1));
        let others = requests.iter().map(|(method, path)| (method.as_str(), path.as_str()));
        for (method, path) in own.chain(others) {
            prop_assert_eq!(find(method, path), naive(&lines, method, None, path), "{} {}", method, path);
        }
    }
}
