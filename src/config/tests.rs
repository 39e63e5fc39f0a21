//! The loader as a whole: good files, and tables of mistakes with the exact place of each.

mod generated;
mod identities;
mod judging;
mod many;
mod mistakes;
mod routes;
mod upstreams;

use crate::config::settings::{
    AccessLog, CertificateFiles, Fallback, HostRule, Http2, Limits, Listen, ListenAddress,
    ListenTls, Log, LogFormat, LogLevel, Samples, Settings, Values,
};
use crate::config::{Loaded, load};
use crate::route::bucket::Share;
use crate::route::decide::Serve;
use std::path::Path;
use std::time::Duration;

pub(super) const HEAD: &str = "\
[migration]
name = \"tags\"
[old]
url = \"http://127.0.0.1:7001\"
[new]
url = \"http://127.0.0.1:7002\"
";

/// Every key that this version reads.
pub(super) const REFERENCE: &str = r#"
[migration]
name   = "tags"
serve  = "old"
shadow = false
[server]
listen  = ["127.0.0.1:8080", { address = "[::1]:8080" }, "unix:cf.sock", { address = "[::1]:8443", tls = { certificates = [{ cert = "a.pem", key = "/etc/a.key" }], client_ca = "ca.pem" } }, { address = "unix:/run/cf.sock", mode = "0600", h2c = true, proxy_protocol = true }]
admin   = "0.0.0.0:9900"
workers = 4
state_dir = "/var/lib/crossfade"
debug_headers = true
trusted_proxies = ["10.1.2.3/8", "127.0.0.1", "fd00::/8"]
admin_hosts = ["Admin.example.org:9900"]
admin_token_file = "token"
drain_delay = "3s"
drain_timeout = "0s"
[old]
url = "http://${HOST}:7001/"
connect_timeout = "2s"
timeout = "1m"
host = "upstream"
pool = { max_connections = 1, max_idle = 0, idle_timeout = "500ms", max_age = "1h", queue = 0 }
[new]
url = "http://tags.new"
host = "tags.example.org"
[log]
level = "warn"
format = "json"
access = "on"
sample = 12.5
file = "access.log"
[samples]
values = "shown"
show = ["$..name"]
max_size = "64MiB"
max_age = "6h"
[[route]]
name    = "content-tags"
match   = "GET /contents/{content}/tags"
host    = "Tags.Example.org"
key     = "{path.content}"
percent = 12.34
serve   = "new"
salt    = "other salt"
pin     = { new = ["0ad"], old = ["bash"] }
fallback = { after = "1s" }
shadow  = { percent = 100, timeout = "2s", max_body = "1MiB" }
[route.compare]
ignore = ["$..updated_at"]
unordered = ["$.tags"]
match_by = { "$.items" = "id", "$.lines" = ["order.kind", "$['no.']"] }
tolerance = { "$..weight" = 1e-6, "$..count" = 1 }
maps = ["$.counts"]
null_is_absent = true
headers = ["Content-Type", "etag"]
status = "class"
[[route]]
name = "search"
match = "POST,GET /search"
read = true
percent = 100
shadow = 0.5
fallback = false
"#;

pub(super) fn read(text: &str) -> Loaded {
    load(text, Path::new("/srv"), &|name| match name {
        "HOST" => Some("tags.internal".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    })
}

fn good(text: &str) -> Settings {
    let loaded = read(text);
    assert!(loaded.problems.is_empty(), "{:#?}", loaded.problems);
    loaded
        .settings
        .expect("a file without problems has settings")
}

#[test]
fn the_smallest_file_has_every_default() {
    let settings = good(HEAD);
    assert_eq!(settings.migration.name, "tags");
    assert_eq!(settings.migration.serve, Serve::Split);
    assert!(settings.migration.shadow);
    let listen = ListenAddress::Tcp("127.0.0.1:8080".parse().unwrap());
    assert_eq!(settings.server.listen, [Listen::new(listen)]);
    assert_eq!(settings.server.admin, "127.0.0.1:9900".parse().unwrap());
    assert_eq!(settings.server.workers, 0);
    assert_eq!(settings.server.state_dir, Path::new("/srv/state"));
    assert!(!settings.server.debug_headers);
    assert_eq!(settings.server.drain_delay, Duration::ZERO);
    assert_eq!(settings.server.drain_timeout, Duration::from_secs(30));
    let Samples {
        values,
        show,
        max_size,
        max_age,
    } = settings.samples;
    assert_eq!((values, &*show), (Values::Redacted, &[][..]));
    assert_eq!(
        (max_size, max_age),
        (256 << 20, Duration::from_secs(86_400))
    );
    assert_eq!(settings.log, Log::default());
    assert_eq!(settings.old.urls[0].to_string(), "http://127.0.0.1:7001");
    assert_eq!(settings.old.connect_timeout, Duration::from_secs(1));
    assert_eq!(settings.old.timeout, Duration::from_secs(15));
    assert_eq!(settings.old.host, HostRule::Preserve);
    assert!(settings.old.breaker && settings.new.breaker);
    assert_eq!((settings.old.urls.len(), &settings.old.health), (1, &None));
    assert_eq!(
        (
            settings.old.pool.max_connections,
            settings.old.pool.max_idle
        ),
        (1024, 256)
    );
    assert_eq!(settings.old.pool.idle_timeout, Duration::from_secs(4));
    assert_eq!(
        (settings.old.pool.max_age, settings.old.pool.queue),
        (Duration::from_secs(600), 1024)
    );
    assert_eq!(settings.old.pool, settings.new.pool);
    assert_eq!(settings.limits, Limits::default());
    assert!(settings.routes.is_empty());

    let route = good(&format!(
        "{HEAD}[[route]]\nname = \"all\"\nmatch = \"* /{{rest*}}\"\n"
    ))
    .routes
    .remove(0);
    assert_eq!(
        (route.percent.steps(), route.shadow.percent.steps()),
        (0, 0)
    );
    assert_eq!(
        (route.shadow.timeout, route.shadow.max_body),
        (Duration::from_secs(5), 256 * 1024)
    );
    assert_eq!(route.fallback, Fallback::On { after: None });
    assert_eq!(route.serve, Serve::Split);
    assert_eq!(
        (route.key, route.salt, route.host, route.read),
        (None, None, None, false)
    );
    assert_eq!(route.compare, crate::compare::Rules::default());
    let millis = |delays: &[Duration]| delays.iter().map(Duration::as_millis).collect::<Vec<_>>();
    assert_eq!(millis(&route.again.recheck), [50, 500, 5_000]);
    assert_eq!(
        millis(&[route.again.lag, route.again.settle]),
        [5_000, 2_000]
    );
}

#[test]
fn the_reference_says_what_it_says() {
    let settings = good(REFERENCE);
    assert_eq!(
        (settings.migration.serve, settings.migration.shadow),
        (Serve::Old, false)
    );
    let listen: Vec<_> = settings
        .server
        .listen
        .iter()
        .map(|l| (l.address.to_string(), l.mode))
        .collect();
    let expected = [
        ("127.0.0.1:8080", 0o660),
        ("[::1]:8080", 0o660),
        ("unix:/srv/cf.sock", 0o660),
        ("[::1]:8443", 0o660),
        ("unix:/run/cf.sock", 0o600),
    ];
    assert_eq!(
        listen,
        expected.map(|(address, mode)| (address.to_owned(), mode))
    );
    let tls = ListenTls {
        certificates: vec![CertificateFiles {
            cert: "/srv/a.pem".into(),
            key: "/etc/a.key".into(),
        }],
        client_ca: Some("/srv/ca.pem".into()),
    };
    assert_eq!(settings.server.listen[3].tls, Some(tls));
    let flags: Vec<_> = settings
        .server
        .listen
        .iter()
        .map(|l| (l.h2c, l.proxy_protocol))
        .collect();
    let (none, both) = ((false, false), (true, true));
    assert_eq!(flags, [none, none, none, none, both]);
    assert_eq!(settings.server.state_dir, Path::new("/var/lib/crossfade"));
    assert_eq!(
        settings.server.admin_token_file.as_deref(),
        Some(Path::new("/srv/token"))
    );
    assert_eq!(settings.server.drain_delay, Duration::from_secs(3));
    assert_eq!(settings.server.drain_timeout, Duration::ZERO);
    assert_eq!(settings.server.admin_hosts, ["admin.example.org:9900"]);
    let nets: Vec<_> = settings
        .server
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(nets, ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"]);
    assert_eq!(
        settings.old.urls[0].to_string(),
        "http://tags.internal:7001"
    );
    assert_eq!(settings.new.urls[0].to_string(), "http://tags.new");
    assert_eq!(settings.old.host, HostRule::Upstream);
    assert_eq!(
        settings.new.host,
        HostRule::Name("tags.example.org".parse().unwrap())
    );
    assert_eq!(
        (settings.old.pool.max_connections, settings.old.pool.queue),
        (1, 0)
    );
    let access = AccessLog {
        sample: Share::from_percent(12.5).unwrap(),
        file: Some("/srv/access.log".into()),
    };
    let log = Log {
        level: LogLevel::Warn,
        format: LogFormat::Json,
        access: Some(access),
        traces: None,
    };
    assert_eq!(settings.log, log);
    let route = &settings.routes[0];
    assert_eq!(route.pattern.as_str(), "GET /contents/{content}/tags");
    assert_eq!(route.host.as_deref(), Some("tags.example.org"));
    assert_eq!(route.key.as_ref().unwrap().as_str(), "{path.content}");
    assert_eq!(route.percent.steps(), 1234);
    assert_eq!(route.salt.as_deref(), Some("other salt"));
    assert!(route.pins.new.contains("0ad") && route.pins.old.contains("bash"));
    assert_eq!(
        route.fallback,
        Fallback::On {
            after: Some(Duration::from_secs(1))
        }
    );
    assert_eq!(
        (route.shadow.percent.steps(), route.shadow.max_body),
        (10_000, 1 << 20)
    );
    assert_eq!(route.compare.ignore[0].as_str(), "$..updated_at");
    let aligned = route.compare.match_by.iter();
    let aligned: Vec<_> = aligned
        .map(|(path, by)| (path.as_str(), by.as_slice()))
        .collect();
    assert_eq!(
        aligned,
        [
            ("$.items", &["id".to_owned()][..]),
            ("$.lines", &["order.kind".to_owned(), "$['no.']".to_owned()]),
        ]
    );
    let tolerances: Vec<_> = route
        .compare
        .tolerance
        .iter()
        .map(|(path, by)| (path.as_str(), *by))
        .collect();
    assert_eq!(tolerances, [("$..weight", 1e-6), ("$..count", 1.0)]);
    assert_eq!(route.compare.headers, ["content-type", "etag"]);
    assert!(route.compare.null_is_absent);
    assert!(settings.routes[1].read);
    assert_eq!(settings.routes[1].fallback, Fallback::Off);
    assert_eq!(settings.routes[1].shadow.percent.steps(), 50);
}

#[test]
fn limits_are_those_of_the_file() {
    let limits = good(&format!(
        "{HEAD}[limits]\nconnections = 1\nhead_timeout = \"2s\"\nhead_size = \"3KiB\"\nhead_fields = 4\nuri_size = \"5KiB\"\n\
         idle_timeout = \"6s\"\nbody_size = \"0B\"\nbody_timeout = \"8s\"\nbody_rate = 0\nresponse_timeout = \"10s\"\n\
         in_flight = 11\nbody_memory = \"12KiB\"\ntls_timeout = \"13s\"\n\
         http2 = {{ streams = 14, stream_window = \"65KiB\", connection_window = \"66KiB\", header_size = \"15KiB\", ping = \"16s\", ping_timeout = \"17s\" }}\n"
    ));
    let expected = Limits {
        connections: 1,
        head_timeout: Duration::from_secs(2),
        head_size: 3 << 10,
        head_fields: 4,
        uri_size: 5 << 10,
        idle_timeout: Duration::from_secs(6),
        body_size: 0,
        body_timeout: Duration::from_secs(8),
        body_rate: 0,
        response_timeout: Duration::from_secs(10),
        in_flight: 11,
        body_memory: 12 << 10,
        tls_timeout: Duration::from_secs(13),
        http2: Http2 {
            streams: 14,
            stream_window: 65 << 10,
            connection_window: 66 << 10,
            header_size: 15 << 10,
            ping: Duration::from_secs(16),
            ping_timeout: Duration::from_secs(17),
        },
    };
    assert_eq!(limits.limits, expected);
    assert_eq!(
        (limits.old.in_flight, limits.new.in_flight),
        (11, 11),
        "fewer than connections"
    );
}

#[test]
fn a_warning_leaves_the_file_usable() {
    let text = format!(
        "{HEAD}[[route]]\nname = \"a\"\nmatch = \"GET /{{x*}}\"\n[[route]]\nname = \"b\"\nmatch = \"GET /b\"\n"
    );
    let loaded = read(&text);
    assert!(loaded.settings.is_some());
    let found: Vec<_> = loaded
        .problems
        .iter()
        .map(|p| (p.code, p.line, p.column))
        .collect();
    assert_eq!(found, [("unreachable-route", 12, 9)]);
}

#[test]
fn what_needs_a_restart_is_named_and_nothing_else() {
    let with = |server: &str| good(&format!("{HEAD}[server]\n{server}\n"));
    let check = |server: &str, expected: &[&str]| {
        assert_eq!(
            crate::config::restart_required(&with(""), &with(server)),
            expected,
            "{server}"
        );
    };
    check("", &[]);
    check(
        "debug_headers = true\ntrusted_proxies = [\"::1\"]\nadmin_hosts = [\"a\"]",
        &[],
    );
    check("listen = \"127.0.0.1:8081\"", &["server.listen"]);
    check(
        "admin = \"127.0.0.1:9901\"\nworkers = 2\nstate_dir = \"s\"",
        &["server.admin", "server.workers", "server.state_dir"],
    );
}

#[test]
fn the_hash_of_a_content_is_the_known_one() {
    let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(crate::config::sha256(b""), expected);
}
