//! Answers of the proxy's own to requests whose body was not read, and the graceful stop.

use crate::harness::client::Ending;
use crate::harness::proxy::own_address;
use crate::harness::{
    Backend, Client, Gate, Peer, Proxy, Reply, Setup, Step, wait_until,
    with_one_worker_and_with_four,
};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};

with_one_worker_and_with_four!(
    a_short_body_is_read_away_and_the_connection_goes_on,
    a_long_body_is_read_in_part_and_the_connection_closed,
    a_body_that_never_comes_is_not_waited_for_long,
    a_stop_lets_what_runs_finish,
    a_stop_tells_idle_connections_with_their_next_answer,
    an_answer_under_way_at_a_stop_is_not_the_last_one,
    what_is_left_closes_after_drain_timeout,
);

/// A proxy that answers `/a%2Fb` itself, with 400.
fn strict(workers: usize, backend: &Backend) -> Proxy {
    Setup::both(backend)
        .workers(workers)
        .route("name = \"all\"\nmatch = \"* /{x}\"\nkey = \"{path.x}\"")
        .start()
}

fn a_short_body_is_read_away_and_the_connection_goes_on(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = strict(workers, &backend);
    let mut client = proxy.client();
    for length in [1, 1_000, 60_000] {
        let refused = client.request("POST", "/a%2Fb", &[], &vec![b'x'; length]);
        assert_eq!(
            (refused.status, refused.json()["code"].as_str()),
            (400, Some("encoded_path")),
            "{length}"
        );
        assert_eq!(client.get("/ab").text(), "ok", "after a body of {length}");
    }
    client.send("POST /a%2Fb HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n");
    assert_eq!(client.answer("POST").status, 400);
    assert_eq!(client.get("/ab").text(), "ok");
    assert!(backend.requests().iter().all(|seen| seen.target == "/ab"));
}

fn a_long_body_is_read_in_part_and_the_connection_closed(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = strict(workers, &backend);
    let mut client = proxy.client();
    client.send("POST /a%2Fb HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n");
    let block = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    let refused = loop {
        match client.try_send(&block) {
            Ok(()) => sent += block.len(),
            Err(error) => break error,
        }
        assert!(sent < 100_000_000, "the whole body was taken");
    };
    assert!(
        matches!(
            refused.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ),
        "{refused}"
    );
    assert_eq!(backend.count(), 0);
    proxy.wait_for_connections(0);
}

fn a_body_that_never_comes_is_not_waited_for_long(workers: usize) {
    let backend = Backend::text("ok");
    let proxy = strict(workers, &backend);
    let mut client = proxy.client();
    client.send("POST /a%2Fb HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
    let answer = client.answer("POST");
    assert_eq!(answer.status, 400);
    assert_eq!(client.rest(), (Vec::new(), Ending::Closed));
}

fn a_stop_lets_what_runs_finish(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |seen| Reply::text(seen.target.clone()).after(&opened));
    let mut proxy = Setup::both(&backend)
        .listen(own_address())
        .workers(workers)
        .start();
    let mut clients: Vec<_> = (0..8).map(|_| proxy.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send_request(
            if number % 2 == 0 { "GET" } else { "POST" },
            &format!("/{number}"),
            &[],
            b"",
        );
    }
    wait_until("all requests are with the side", || backend.count() == 8);
    let address = proxy.address();
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| proxy.stop());
        refuses(address);
        assert!(
            !stopping.is_finished(),
            "the stop did not wait for what runs"
        );
        gate.open();
        for (number, client) in clients.iter_mut().enumerate() {
            let answer = client.answer("GET");
            assert_eq!(answer.text(), format!("/{number}"));
            assert_eq!(answer.header("connection"), Some("close"));
            assert_eq!(client.rest(), (Vec::new(), Ending::Closed));
        }
    });
    assert_eq!((backend.count(), backend.broken()), (8, 0));
}

/// A connection may be idle because its client is about to send: nobody closes it before the client was told to go.
fn a_stop_tells_idle_connections_with_their_next_answer(workers: usize) {
    let peer = Peer::always(vec![
        Step::ReadHead,
        crate::harness::peer::send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        Step::Again,
    ]);
    let mut proxy = Setup::both(&peer)
        .listen(own_address())
        .workers(workers)
        .start();
    let mut clients = [proxy.client(), proxy.client()];
    let first = clients[0].get("/");
    assert_eq!((first.text(), first.header("connection")), ("ok", None));
    proxy.wait_for_connections(2);
    let address = proxy.address();
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| proxy.stop());
        refuses(address);
        for client in &mut clients {
            ask_until_told_to_go(client);
        }
        stopping.join().unwrap();
    });
    wait_until("pooled connections are closed", || {
        peer.contacts().iter().all(|contact| contact.ended)
    });
}

/// Its head went out before the stop, and said nothing of an end: the client may take the connection for its next request.
fn an_answer_under_way_at_a_stop_is_not_the_last_one(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::start(move |_| Reply::halting_at(&opened));
    let mut proxy = Setup::both(&backend)
        .listen(own_address())
        .workers(workers)
        .start();
    let mut client = proxy.client();
    client.send_request("GET", "/", &[], b"");
    assert_eq!(client.head().headers.get("connection"), None);
    let address = proxy.address();
    std::thread::scope(|scope| {
        let stopping = scope.spawn(|| proxy.stop());
        refuses(address);
        gate.open();
        let rest = "7\r\nbegun, \r\n8\r\nand done\r\n0\r\n\r\n";
        assert_eq!(client.read_exactly(rest.len()), rest.as_bytes());
        ask_until_told_to_go(&mut client);
        stopping.join().unwrap();
    });
    assert_eq!(backend.broken(), 0);
}

/// The key as the file says it when the proxy stops, not as it said it at the start.
fn what_is_left_closes_after_drain_timeout(workers: usize) {
    let backend = Backend::start(|seen| match &*seen.target {
        "/slow" => Reply::text("late").after(&Gate::default()),
        "/half" => Reply::halting_at(&Gate::default()),
        _ => Reply::text("ok"),
    });
    let mut proxy = Setup::both(&backend)
        .set("server", "drain_timeout = \"720h\"")
        .workers(workers)
        .start();
    let [mut idle, mut unused, mut waiting, mut half] = [(); 4].map(|()| proxy.client());
    assert_eq!(idle.get("/").text(), "ok");
    waiting.send_request("GET", "/slow", &[], b"");
    // For this client the end of the connection is the end of the answer.
    half.send("GET /half HTTP/1.0\r\nhost: a\r\n\r\n");
    assert_eq!(half.head().status, 200);
    assert_eq!(half.read_exactly(7), b"begun, ");
    wait_until("all requests are with the side", || backend.count() == 3);
    proxy.wait_for_connections(4);
    proxy.edit("\"720h\"", "\"10ms\"");
    wait_until("the edit is in force", || proxy.generation() == 2);
    let config = proxy.admin_json("/api/config");
    assert_eq!(config["restart_required"], serde_json::json!([]));
    proxy.stop();
    for client in [&mut idle, &mut unused, &mut waiting] {
        assert_eq!(client.rest(), (Vec::new(), Ending::Closed));
    }
    assert_eq!(half.rest(), (Vec::new(), Ending::Reset));
}

#[track_caller]
fn refuses(address: SocketAddr) {
    wait_until("nobody can connect any more", || {
        TcpStream::connect(address).is_err()
    });
}

/// The listener may be closed before a worker hears of the stop, so some answers may still say nothing. The one that does is whole, and the last.
#[track_caller]
fn ask_until_told_to_go(client: &mut Client) {
    wait_until("an answer says that the connection closes", || {
        let answer = client.get("/");
        assert_eq!(answer.status, 200);
        answer.header("connection") == Some("close")
    });
    assert_eq!(client.rest(), (Vec::new(), Ending::Closed));
}
