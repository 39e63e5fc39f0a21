//! Sides at Unix sockets: they are asked like all others, and fail like all others.

use crate::harness::client::Ending;
use crate::harness::peer::switch_and_echo;
use crate::harness::proxy::nobody;
use crate::harness::{Backend, Proxy, Reply, Setup, wait_until, with_one_worker_and_with_four};
use std::os::unix::net::UnixListener;
use std::path::Path;

with_one_worker_and_with_four!(
    a_side_at_a_path_is_asked_as_one_at_a_port,
    the_host_is_what_the_file_says,
    a_socket_that_is_missing_or_refuses_is_a_side_that_can_not_be_reached,
    paths_are_checked_and_left_out_as_ports_are,
    copies_go_to_a_path,
    a_tunnel_leads_to_a_path,
);

/// Old at `a.sock` beside the file, new nowhere.
fn setup(workers: usize) -> Setup {
    Setup::new(&nobody(), &nobody())
        .workers(workers)
        .instead("old", "url = \"unix:a.sock\"")
}

/// A proxy that starts once `place` has put sockets into its folder.
fn start<T>(setup: &Setup, place: impl FnOnce(&Path) -> T) -> (Proxy, T) {
    let mut placed = None;
    let proxy = setup.start_beside(|folder| placed = Some(place(folder)));
    (proxy, placed.unwrap())
}

fn a_side_at_a_path_is_asked_as_one_at_a_port(workers: usize) {
    let (proxy, backend) = start(&setup(workers), |folder| {
        Backend::start_unix(&folder.join("a.sock"), |seen| {
            Reply::text(format!("{} bytes", seen.body.len()))
        })
    });
    let mut client = proxy.client();
    assert_eq!(client.get("/a").text(), "0 bytes");
    let body = vec![b'x'; 300_000];
    assert_eq!(
        client.request("POST", "/b", &[], &body).text(),
        "300000 bytes"
    );
    backend.answer_with(|_| Reply::text("y".repeat(300_000)));
    assert_eq!(client.get("/c").body.len(), 300_000);
    assert_eq!(client.request("HEAD", "/d", &[], b"").status, 200);
    assert_eq!(backend.accepted(), 1, "the connection is used again");
    let shown = &proxy.admin_json("/api/upstreams")["sides"][0]["endpoints"];
    let url = format!("unix:{}", proxy.folder().join("a.sock").display());
    assert_eq!(*shown, serde_json::json!([{"url": url, "state": "up"}]));
    let connections = proxy.metric("crossfade_upstream_connections", &[("side", "old")]);
    assert_eq!(connections, 1.0);
}

fn the_host_is_what_the_file_says(workers: usize) {
    for (host, expected) in [
        ("preserve", "test.example"),
        ("upstream", "localhost"),
        ("tags.internal", "tags.internal"),
    ] {
        let setup = setup(workers).set("old", &format!("host = \"{host}\"\nhealth = \"GET /up\""));
        let (proxy, backend) = start(&setup, |folder| {
            Backend::start_unix(&folder.join("a.sock"), |_| Reply::text("ok"))
        });
        assert_eq!(proxy.get("/").text(), "ok");
        let of = |target: &str| {
            let seen = backend.requests();
            let hosts = seen.iter().filter(|seen| seen.target == target);
            hosts.map(|seen| seen.header("host").join(",")).next()
        };
        assert_eq!(of("/").as_deref(), Some(expected));
        // A check is nobody's request, so that there is no client's Host to keep.
        wait_until("it is checked", || of("/up").is_some());
        let own = if host == "preserve" {
            "localhost"
        } else {
            expected
        };
        assert_eq!(of("/up").as_deref(), Some(own));
    }
}

fn a_socket_that_is_missing_or_refuses_is_a_side_that_can_not_be_reached(workers: usize) {
    let (proxy, ()) = start(&setup(workers), |_| ());
    let path = proxy.folder().join("a.sock");
    let mut client = proxy.client();
    let fails = |client: &mut crate::harness::Client, so_far: f64| {
        let answer = client.get("/");
        assert_eq!(answer.status, 502);
        assert_eq!(answer.json()["code"], "upstream_connect");
        let refused = [("side", "old"), ("kind", "connect")];
        assert_eq!(
            proxy.metric("crossfade_upstream_errors_total", &refused),
            so_far
        );
    };
    fails(&mut client, 1.0);
    // A file that a process has left behind.
    drop(UnixListener::bind(&path).unwrap());
    fails(&mut client, 2.0);
    std::fs::remove_file(&path).unwrap();
    // No socket at all.
    std::fs::write(&path, "").unwrap();
    fails(&mut client, 3.0);
    std::fs::remove_file(&path).unwrap();
    let backend = Backend::start_unix(&path, |_| Reply::text("ok"));
    assert_eq!(client.get("/").text(), "ok");
    drop(backend);
    std::fs::remove_file(&path).unwrap();
    fails(&mut client, 4.0);
}

fn paths_are_checked_and_left_out_as_ports_are(workers: usize) {
    let setup = setup(workers).instead(
        "old",
        "urls = [\"unix:a.sock\", \"unix:b.sock\"]\nhealth = \"GET /up\"",
    );
    let (proxy, [mut first, second]) = start(&setup, |folder| {
        ["a.sock", "b.sock"]
            .map(|name| Backend::start_unix(&folder.join(name), move |_| Reply::text(name)))
    });
    let state = |state: &str| {
        let labels = [("side", "old"), ("state", state)];
        proxy.metric("crossfade_endpoints", &labels)
    };
    wait_until("each is checked", || {
        first.count() > 0 && second.count() > 0
    });
    first.stop();
    wait_until("it is found out", || state("up") == 1.0);
    let mut client = proxy.client();
    for _ in 0..20 {
        assert_eq!(client.get("/").text(), "b.sock");
    }
    std::fs::remove_file(proxy.folder().join("a.sock")).unwrap();
    let _again = Backend::start_unix(&proxy.folder().join("a.sock"), |_| Reply::text("again"));
    wait_until("it is well again", || state("up") == 2.0);
    wait_until("it serves", || client.get("/").text() == "again");
}

fn copies_go_to_a_path(workers: usize) {
    let setup = Setup::new(&nobody(), &nobody())
        .workers(workers)
        .instead("old", "url = \"unix:old.sock\"")
        .instead("new", "url = \"unix:new.sock\"")
        .route("name = \"a\"\nmatch = \"GET /a\"\nshadow = 100");
    let (proxy, [_old, new]) = start(&setup, |folder| {
        ["old.sock", "new.sock"].map(|name| {
            Backend::start_unix(&folder.join(name), |_| {
                Reply::json(&serde_json::json!({"a": 1}))
            })
        })
    });
    assert_eq!(proxy.get("/a").status, 200);
    let page = proxy.settle();
    let matches = page.sum("crossfade_comparisons_total", &[("verdict", "match")]);
    assert_eq!((matches, new.count()), (1.0, 1));
    assert!(new.only_request().is_shadow());
}

fn a_tunnel_leads_to_a_path(workers: usize) {
    let (proxy, listener) = start(&setup(workers), |folder| {
        UnixListener::bind(folder.join("a.sock")).unwrap()
    });
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        switch_and_echo(&mut stream);
    });
    let mut client = proxy.client();
    let heard = client.switch_and_hear(b"ping");
    assert_eq!(heard, (b"ping".to_vec(), Ending::Closed));
    echo.join().unwrap();
}

#[test]
fn a_side_that_is_the_proxy_itself_is_told() {
    let text = "[migration]\nname = \"t\"\n[server]\nlisten = \"unix:./a.sock\"\n\
                [old]\nurl = \"http://127.0.0.1:1\"\n[new]\nurl = \"unix:a.sock\"\n";
    let found = crossfade::config::load(text, Path::new("/x"), &|_| None).problems;
    let found: Vec<_> = found.iter().map(|p| (p.code, &*p.path)).collect();
    assert_eq!(found, [("own-address", "new.url")]);
}
