//! Bad files: each line of a table is one mistake, and must give one problem with this code at this place.

use super::{HEAD, read};

/// `LINE:COLUMN-LINE:COLUMN code path` of every problem.
pub(super) fn found(text: &str) -> Vec<String> {
    let show = |p: &crate::config::Problem| {
        assert!(
            !p.message.is_empty() && !p.message.ends_with('.'),
            "{}",
            p.message
        );
        let path = if p.path.is_empty() {
            String::new()
        } else {
            format!(" {}", p.path)
        };
        format!(
            "{}:{}-{}:{} {}{path}",
            p.line, p.column, p.end_line, p.end_column, p.code
        )
    };
    read(text).problems.iter().map(show).collect()
}

/// One mistake on line 7, below a good head.
fn check_line(line: &str, expected: &str) {
    assert_eq!(found(&format!("{HEAD}{line}\n")), [expected], "{line}");
}

/// One mistake on line 8, in a table.
pub(super) fn check_in(header: &str, line: &str, expected: &str) {
    assert_eq!(
        found(&format!("{HEAD}{header}\n{line}\n")),
        [expected],
        "{header} {line}"
    );
}

/// One mistake on line 10 of a good route that matches `GET /a/{id}`.
pub(super) fn check_route(line: &str, expected: &str) {
    let text = format!("{HEAD}[[route]]\nname = \"a\"\nmatch = \"GET /a/{{id}}\"\n{line}\n");
    assert_eq!(found(&text), [expected], "{line}");
}

#[test]
fn keys_that_must_be_there() {
    let check = |text: &str, expected: &[&str]| assert_eq!(found(text), expected, "{text}");
    check(
        "",
        &[
            "1:1-1:1 missing-key migration.name",
            "1:1-1:1 missing-key old.url",
            "1:1-1:1 missing-key new.url",
        ],
    );
    check(
        "[migration]\n[old]\nurl = \"http://a\"\n[new]\nurl = \"http://b\"\n",
        &["1:1-1:12 missing-key migration.name"],
    );
    check(
        "[old]\nurl = \"http://a\"\n[migration]\nname = \"x\"\n",
        &["4:11-4:11 missing-key new.url"],
    );
    check(
        &format!("{HEAD}[[route]]\n"),
        &[
            "7:1-7:10 missing-key route[0].name",
            "7:1-7:10 missing-key route[0].match",
        ],
    );
    check(
        "migration = {}\nold = { url = \"http://a\" }\nnew.url = \"http://b\"",
        &["1:13-1:15 missing-key migration.name"],
    );
}

#[test]
fn unknown_keys_and_keys_of_later_versions() {
    check_line("routes = 1", "7:1-7:7 unknown-key new.routes");
    check_line("[servr]", "7:2-7:7 unknown-key servr");
    check_line(
        "[[routes]]\nname = \"a\"\nmatch = \"GET /a\"",
        "7:3-7:9 unknown-key routes",
    );
    check_line("protocol = \"h3\"", "7:12-7:16 bad-value new.protocol");
    check_line("tls = {}", "7:7-7:9 bad-value new.tls");
    check_line("urls = []", "7:8-7:10 bad-url new.urls");
    check_line("health = \"POST /x\"", "7:10-7:19 bad-value new.health");
    check_line("health = \"GET x\"", "7:10-7:17 bad-value new.health");
    check_line("health = \"GET /x#y\"", "7:10-7:20 bad-value new.health");
    check_line("breaker = \"on\"", "7:11-7:15 wrong-type new.breaker");
    check_line("twin = \"\"", "7:1-7:5 unknown-key new.twin");
    check_route("write = {}", "10:1-10:6 not-implemented route[0].write");
    check_route(
        "[route.old]\npath = \"/x\"",
        "10:8-10:11 not-implemented route[0].old",
    );
    check_route("[route.new]", "10:8-10:11 not-implemented route[0].new");
}

#[test]
fn a_misspelt_key_is_not_missing_too() {
    let text = "[migratoin]\nname = \"a\"\n[old]\nulr = \"http://a\"\n[new]\nurl = \"http://a\"\n";
    assert_eq!(
        found(text),
        [
            "1:2-1:11 unknown-key migratoin",
            "4:1-4:4 unknown-key old.ulr"
        ]
    );
    check_route(
        "kye = \"{path.id}\"\npercent = 5",
        "10:1-10:4 unknown-key route[0].kye",
    );
    let hint = read(text).problems[0].hint.clone();
    assert_eq!(hint.as_deref(), Some("did you mean `migration`?"));
}

#[test]
fn wrong_types() {
    check_line("timeout = 5", "7:11-7:12 wrong-type new.timeout");
    check_line("pool = 5", "7:8-7:9 wrong-type new.pool");
    check_line(
        "pool = { queue = \"5\" }",
        "7:18-7:21 wrong-type new.pool.queue",
    );
    check_line("route = 5", "7:1-7:6 unknown-key new.route");
    check_line("[route]\nname = \"a\"", "7:1-7:8 wrong-type route");
    check_in(
        "[server]",
        "workers = 1.5",
        "8:11-8:14 wrong-type server.workers",
    );
    check_in(
        "[server]",
        "listen = 8080",
        "8:10-8:14 wrong-type server.listen",
    );
    check_in(
        "[server]",
        "debug_headers = \"true\"",
        "8:17-8:23 wrong-type server.debug_headers",
    );
    check_in(
        "[server]",
        "trusted_proxies = \"::1\"",
        "8:19-8:24 wrong-type server.trusted_proxies",
    );
    check_route(
        "percent = \"5%\"",
        "10:11-10:15 wrong-type route[0].percent",
    );
    check_route("serve = true", "10:9-10:13 wrong-type route[0].serve");
    check_route(
        "fallback = \"1s\"",
        "10:12-10:16 wrong-type route[0].fallback",
    );
    check_route("shadow = true", "10:10-10:14 wrong-type route[0].shadow");
    check_route(
        "key = \"{path.id}\"\npin = { new = [42] }",
        "11:16-11:18 wrong-type route[0].pin.new[0]",
    );
    check_route(
        "compare = { ignore = \"$.a\" }",
        "10:22-10:27 wrong-type route[0].compare.ignore",
    );
    check_route(
        "compare = { tolerance = { \"$.a\" = \"x\" } }",
        "10:35-10:38 wrong-type route[0].compare.tolerance.\"$.a\"",
    );
    let text =
        "migration = 1\nold = { url = \"http://a\" }\nnew = { url = \"http://b\" }\nroute = [1]\n";
    assert_eq!(
        found(text),
        [
            "1:13-1:14 wrong-type migration",
            "4:10-4:11 wrong-type route[0]"
        ]
    );
}

#[test]
fn values_out_of_bounds() {
    check_in(
        "[server]",
        "workers = -1",
        "8:11-8:13 out-of-range server.workers",
    );
    check_in(
        "[server]",
        "workers = 99999999999999999999",
        "8:11-8:31 out-of-range server.workers",
    );
    check_line(
        "pool = { max_connections = 0 }",
        "7:28-7:29 out-of-range new.pool.max_connections",
    );
    check_line("timeout = \"0s\"", "7:11-7:15 out-of-range new.timeout");
    for (line, place) in [
        ("connections = 0", "8:15-8:16 out-of-range"),
        ("head_fields = 1001", "8:15-8:19 out-of-range"),
        ("in_flight = 0", "8:13-8:14 out-of-range"),
        ("head_size = \"1B\"", "8:13-8:17 out-of-range"),
        ("uri_size = \"64KiB\"", "8:12-8:19 out-of-range"),
        ("body_rate = -1", "8:13-8:15 out-of-range"),
        ("body_memory = \"0B\"", "8:15-8:19 out-of-range"),
        ("body_size = 1", "8:13-8:14 wrong-type"),
        ("idle_timeout = \"0s\"", "8:16-8:20 out-of-range"),
        ("tls_timeout = 1", "8:15-8:16 wrong-type"),
    ] {
        let key = line.split(' ').next().unwrap();
        check_in("[limits]", line, &format!("{place} limits.{key}"));
    }
    for (inside, place) in [
        ("streams = 0", "8:21-8:22 out-of-range limits.http2.streams"),
        (
            "stream_window = \"1KiB\"",
            "8:27-8:33 out-of-range limits.http2.stream_window",
        ),
        ("window = 1", "8:11-8:17 unknown-key limits.http2.window"),
    ] {
        check_in("[limits]", &format!("http2 = {{ {inside} }}"), place);
    }
    check_line("timeout = \"5 sec\"", "7:11-7:18 bad-duration new.timeout");
    check_line("timeout = \"800h\"", "7:11-7:17 bad-duration new.timeout");
    check_route(
        "percent = 100.01",
        "10:11-10:17 out-of-range route[0].percent",
    );
    check_route("percent = -1", "10:11-10:13 out-of-range route[0].percent");
    check_route("percent = nan", "10:11-10:14 out-of-range route[0].percent");
    check_route(
        "percent = 5.005",
        "10:11-10:16 bad-percent route[0].percent",
    );
    check_route("shadow = 101", "10:10-10:13 out-of-range route[0].shadow");
    check_route(
        "shadow = { percent = 0.001 }",
        "10:22-10:27 bad-percent route[0].shadow.percent",
    );
    check_route(
        "shadow = { max_body = \"256KB\" }",
        "10:23-10:30 bad-size route[0].shadow.max_body",
    );
    check_route(
        "shadow = { max_body = \"1GiB\" }",
        "10:23-10:29 out-of-range route[0].shadow.max_body",
    );
    check_route("serve = \"nwe\"", "10:9-10:14 bad-value route[0].serve");
    check_route(
        "compare = { tolerance = { \"$.a\" = -1 } }",
        "10:35-10:37 out-of-range route[0].compare.tolerance.\"$.a\"",
    );
    check_route(
        "compare = { status = \"same\" }",
        "10:22-10:28 bad-value route[0].compare.status",
    );
    check_route(
        "compare = { headers = [\"a b\"] }",
        "10:24-10:29 bad-header route[0].compare.headers[0]",
    );
    check_route(
        "compare = { match_by = { \"$.a\" = \"\" } }",
        "10:35-10:36 bad-path route[0].compare.match_by.\"$.a\"",
    );
    for (field, column) in [("a..b", 37), ("$", 35), ("$.x[*]", 35), ("$.x[?]", 39)] {
        check_route(
            &format!("compare = {{ match_by = {{ \"$.a\" = \"{field}\" }} }}"),
            &format!(
                "10:{column}-10:{} bad-path route[0].compare.match_by.\"$.a\"",
                column + 1
            ),
        );
    }
    for (fields, expected) in [
        ("7", "34-10:35 wrong-type {}"),
        ("{ by = \"id\" }", "34-10:47 wrong-type {}"),
        ("[]", "34-10:36 bad-value {}"),
        ("[\"id\", 7]", "41-10:42 wrong-type {}[1]"),
        ("[\"id\", \"a..b\"]", "44-10:45 bad-path {}[1]"),
        (
            "[\"a.b\", \"id\", \"$.a['b']\"]",
            "48-10:58 bad-value {}[2]",
        ),
        (
            "[\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", \"i\"]",
            "34-10:79 out-of-range {}",
        ),
    ] {
        let expected = expected.replace("{}", "route[0].compare.match_by.\"$.a\"");
        check_route(
            &format!("compare = {{ match_by = {{ \"$.a\" = {fields} }} }}"),
            &format!("10:{expected}"),
        );
    }
    check_in("[log]", "level = \"loud\"", "8:9-8:15 bad-value log.level");
    check_in("[log]", "access = true", "8:10-8:14 wrong-type log.access");
    check_in(
        "[samples]",
        "values = \"hidden\"",
        "8:10-8:18 bad-value samples.values",
    );
    check_in(
        "[samples]",
        "show = [\"name\"]",
        "8:10-8:11 bad-path samples.show[0]",
    );
    check_in(
        "[samples]",
        "max_size = \"1MiB\"",
        "8:12-8:18 out-of-range samples.max_size",
    );
    check_in(
        "[samples]",
        "max_age = \"0s\"",
        "8:11-8:15 out-of-range samples.max_age",
    );
    check_in(
        "[server]",
        "state_dir = \"\"",
        "8:13-8:15 bad-value server.state_dir",
    );
    check_in(
        "[server]",
        "listen = []",
        "8:10-8:12 bad-value server.listen",
    );
}

#[test]
fn addresses() {
    check_in(
        "[server]",
        "listen = \"localhost:80\"",
        "8:10-8:24 bad-address server.listen",
    );
    check_in(
        "[server]",
        "listen = \"127.0.0.1\"",
        "8:10-8:21 bad-address server.listen",
    );
    check_in(
        "[server]",
        "listen = [\"127.0.0.1:1\", \":80\"]",
        "8:26-8:31 bad-address server.listen[1]",
    );
    check_in(
        "[server]",
        "listen = [\"[::1]:1\", \"[::1]:1\"]",
        "8:22-8:31 same-address server.listen[1]",
    );
    check_in(
        "[server]",
        "listen = [{ address = \"127.0.0.1\" }]",
        "8:23-8:34 bad-address server.listen[0].address",
    );
    check_in(
        "[server]",
        "listen = [{ mode = \"0600\" }]",
        "8:11-8:28 missing-key server.listen[0].address",
    );
    check_in(
        "[server]",
        "listen = \"unix:\"",
        "8:10-8:17 bad-address server.listen",
    );
    check_in(
        "[server]",
        "listen = [\"unix:x\", \"unix:./x\"]",
        "8:21-8:31 same-address server.listen[1]",
    );
    check_in(
        "[server]",
        "listen = { address = \"127.0.0.1:1\", mode = \"0600\" }",
        "8:44-8:50 bad-value server.listen.mode",
    );
    let listener = "listen = { address = \"127.0.0.1:1\", tls =";
    let at = listener.len() + 2;
    for (tls, width, problem) in [
        ("{}", 2, "missing-key server.listen.tls.certificates"),
        ("true", 4, "wrong-type server.listen.tls"),
    ] {
        let end = at + width;
        check_in(
            "[server]",
            &format!("{listener} {tls} }}"),
            &format!("8:{at}-8:{end} {problem}"),
        );
    }
    let at = at + "{ certificates = ".len();
    for (list, from, to, problem) in [
        ("[]", 0, 2, "bad-value server.listen.tls.certificates"),
        (
            "[{ cert = \"a\" }]",
            1,
            15,
            "missing-key server.listen.tls.certificates[0].key",
        ),
        (
            "[{ cert = \"a\", key = \"\" }]",
            21,
            23,
            "bad-value server.listen.tls.certificates[0].key",
        ),
        (
            "[{ cert = \"a\", key = \"b\", ca = \"c\" }]",
            26,
            28,
            "unknown-key server.listen.tls.certificates[0].ca",
        ),
    ] {
        let line = format!("{listener} {{ certificates = {list} }} }}");
        check_in(
            "[server]",
            &line,
            &format!("8:{}-8:{} {problem}", at + from, at + to),
        );
    }
    let listener = "listen = { address = \"127.0.0.1:1\", tls = { certificates = [{ cert = \"a\", key = \"b\" }] }, h2c = true }";
    check_in(
        "[server]",
        listener,
        "8:97-8:101 bad-value server.listen.h2c",
    );
    for mode in ["600", "0o600", "01777", "0800", "0000", ""] {
        check_in(
            "[server]",
            &format!("listen = {{ address = \"unix:x\", mode = \"{mode}\" }}"),
            &format!("8:39-8:{} bad-value server.listen.mode", 41 + mode.len()),
        );
    }
    check_in(
        "[server]",
        "listen = \"127.0.0.1:9900\"",
        "8:10-8:26 same-address server.listen",
    );
    check_in(
        "[server]",
        "admin = \"127.0.0.1:8080\"",
        "8:9-8:25 same-address server.admin",
    );
    check_in(
        "[server]",
        "admin = \"0.0.0.0:1\"",
        "8:9-8:20 admin-open server.admin",
    );
    check_in(
        "[server]",
        "trusted_proxies = [\"10.0.0.0/33\"]",
        "8:20-8:33 bad-network server.trusted_proxies[0]",
    );
    check_in(
        "[server]",
        "admin_hosts = [\"a b\"]",
        "8:18-8:19 bad-host server.admin_hosts[0]",
    );
    check_line("host = \"a b\"", "7:8-7:13 bad-host new.host");
    check_line("host = \"preserved\"", "7:8-7:19 odd-host new.host");
    check_route(
        "host = \"a.example:80\"",
        "10:18-10:19 bad-host route[0].host",
    );
    check_route("host = \"*.example\"", "10:9-10:10 bad-host route[0].host");
}

#[test]
fn urls() {
    let check = |url: &str, expected: &str| {
        let text = format!(
            "[migration]\nname = \"a\"\n[old]\nurl = \"http://a\"\n[new]\nurl = \"{url}\"\n"
        );
        assert_eq!(found(&text), [expected], "{url}");
    };
    check("ftp://a", "6:8-6:9 bad-url new.url");
    check("https://a-", "6:16-6:17 bad-url new.url");
    check("unix:", "6:13-6:14 bad-url new.url");
    check("http://a/v2", "6:16-6:17 bad-url new.url");
    check("http://a/?x", "6:17-6:18 bad-url new.url");
    check("http://u@a", "6:15-6:16 bad-url new.url");
    check("http://a:x", "6:17-6:18 bad-url new.url");
    check("http://${NOPE}", "6:15-6:16 env-unset new.url");
    check("http://${EMPTY}", "6:15-6:16 env-unset new.url");
    check("http://${HOST}/x", "6:7-6:25 bad-url new.url");
    check("http://${HOST", "6:15-6:16 bad-url new.url");
    check("http://${1}", "6:15-6:16 bad-url new.url");
    check("http://127.0.0.1:8080", "6:7-6:30 own-address new.url");
}
