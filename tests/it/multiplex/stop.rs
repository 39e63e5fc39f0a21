//! How a SIGTERM meets sides that speak HTTP/2: what runs ends well, nothing new begins, and what takes too long is broken and not ended.

use super::grpc::{FIELDS, echo};
use super::{H2C, MANY, setup};
use crate::harness::client::Ending;
use crate::harness::http2::{Http2, head};
use crate::harness::program::{Program, crossfade};
use crate::harness::proxy::own_address;
use crate::harness::{
    Backend, Client, Gate, Reply, Setup, wait_until, with_one_worker_and_with_four,
};
use bytes::Bytes;
use h2::client::ResponseFuture;
use rustix::process::Signal;
use std::net::{SocketAddr, TcpStream};
use tempfile::TempDir;

with_one_worker_and_with_four!(
    what_runs_at_a_stop_ends_well_and_nothing_new_begins,
    a_call_under_way_at_a_stop_ends_with_its_trailers,
    what_takes_longer_than_drain_timeout_is_broken,
);

/// A process of its own, since a signal is for all of it.
struct Run {
    _folder: TempDir,
    program: Program,
    address: SocketAddr,
}

impl Run {
    fn start(setup: &Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // When this has closed nobody else gets its port.
        let own = H2C.replace("127.0.0.1:0", &own_address().to_string());
        let text = setup.text().replace(H2C, &own);
        std::fs::write(folder.path().join("routes.toml"), text).unwrap();
        let mut program = Program::start(crossfade(folder.path(), &["run"]));
        let (address, _) = program.addresses();
        Self {
            _folder: folder,
            program,
            address,
        }
    }

    /// Tells it to stop, and waits until nobody can connect any more, and `told` has heard that its connection takes nothing new. Returned is what was
    /// asked before it heard, which may still be answered.
    fn stop(&self, told: &Http2) -> Vec<ResponseFuture> {
        self.program.signal(Signal::TERM);
        wait_until("nobody can connect any more", || {
            TcpStream::connect(self.address).is_err()
        });
        let mut late = Vec::new();
        wait_until("new requests are refused", || {
            match told.try_send(head("GET", "/late", &[]), true) {
                Ok((answer, _)) => late.push(answer),
                Err(_) => return true,
            }
            false
        });
        late
    }

    /// Waits until it has ended, as it should; returns what it said.
    fn ended(self) -> String {
        let (status, said) = self.program.wait();
        assert_eq!(status.code(), Some(0), "{said}");
        said
    }
}

fn what_runs_at_a_stop_ends_well_and_nothing_new_begins(workers: usize) {
    let gate = Gate::default();
    let opened = gate.clone();
    let backend = Backend::multiplexed(MANY, move |seen| match &*seen.target {
        "/begun" => Reply::halting_at(&opened),
        "/late" | "/next" => Reply::text("ok"),
        _ => Reply::text(format!("{} bytes", seen.body.len())).after(&opened),
    });
    // So long that it is no reason to end.
    let long = "drain_timeout = \"720h\"";
    let run = Run::start(&setup(&backend, workers).set("server", long));
    let [mut waits, mut begun, mut idle, mut uploads] =
        [(); 4].map(|()| Client::connect(run.address));
    assert_eq!(idle.get("/next").text(), "ok");
    waits.send_request("POST", "/waits", &[], b"body");
    begun.send_request("GET", "/begun", &[], b"");
    assert_eq!(begun.head().headers.get("connection"), None);
    uploads.send("PUT /half HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nhalf");
    let many = Http2::connect(run.address);
    let many_wait: Vec<_> = (0..8)
        .map(|_| many.send(head("GET", "/waits", &[]), true).0)
        .collect();
    let (many_begun, _) = many.send(head("GET", "/begun", &[]), true);
    let many_begun = many.wait(many_begun).unwrap();
    let (many_half, mut upload) = many.send(head("PUT", "/half", &[]), false);
    upload
        .send_data(Bytes::from_static(b"half"), false)
        .unwrap();
    let asked = 1 + 3 + 8 + 2;
    wait_until("all are with the side", || backend.count() == asked);

    let late = run.stop(&many);
    // Whoever waits for an answer, or sends, goes on.
    uploads.send("half");
    upload.send_data(Bytes::from_static(b"half"), true).unwrap();
    gate.open();
    let answer = waits.answer("POST");
    assert_eq!(
        (answer.text(), answer.header("connection")),
        ("4 bytes", Some("close"))
    );
    assert_eq!(waits.rest(), (Vec::new(), Ending::Closed));
    let answer = uploads.answer("PUT");
    assert_eq!(
        (answer.text(), answer.header("connection")),
        ("8 bytes", Some("close"))
    );
    let rest = "7\r\nbegun, \r\n8\r\nand done\r\n0\r\n\r\n";
    assert_eq!(begun.read_exactly(rest.len()), rest.as_bytes());
    for answer in many_wait {
        assert_eq!(many.answer(answer).unwrap().body, "0 bytes");
    }
    assert_eq!(many.rest(many_begun).unwrap().body, "begun, and done");
    assert_eq!(many.answer(many_half).unwrap().body, "8 bytes");
    let late = late.into_iter().map(|answer| many.answer(answer));
    let late = late.filter(Result::is_ok).count();
    many.closed();
    // Two connections may be about to be used: their next answer tells them to go.
    for client in [&mut begun, &mut idle] {
        let answer = client.get("/next");
        assert_eq!(
            (answer.text(), answer.header("connection")),
            ("ok", Some("close"))
        );
        assert_eq!(client.rest(), (Vec::new(), Ending::Closed));
    }
    let said = run.ended();
    assert!(!said.contains("the time to drain is over"), "{said}");
    assert_eq!((backend.count(), backend.broken()), (asked + late + 2, 0));
    assert_eq!(backend.open(), 0);
}

/// It talks on after the stop, as long as it likes.
fn a_call_under_way_at_a_stop_ends_with_its_trailers(workers: usize) {
    let (address, _) = echo();
    let long = "drain_timeout = \"720h\"";
    let run = Run::start(&setup(&address, workers).set("server", long));
    let client = Http2::connect(run.address);
    let (response, mut upload) = client.send(head("POST", "/echo.Echo/Talk", &FIELDS), false);
    let mut body = client.wait(response).unwrap().into_body();
    let mut talk = || {
        for number in 0..20_u8 {
            let message = Bytes::from(vec![0, 0, 0, 0, 1, number]);
            upload.send_data(message.clone(), false).unwrap();
            assert_eq!(client.piece(&mut body), message);
        }
    };
    talk();
    let _late = run.stop(&client);
    talk();
    upload.send_data(Bytes::new(), true).unwrap();
    assert!(client.wait(body.data()).is_none());
    let trailers = client.wait(body.trailers()).unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    client.closed();
    let said = run.ended();
    assert!(!said.contains("the time to drain is over"), "{said}");
}

/// Whatever tells a client that an answer is whole must not come: the last chunk, the last byte, a clean end, END_STREAM.
fn what_takes_longer_than_drain_timeout_is_broken(workers: usize) {
    let backend = Backend::multiplexed(MANY, |seen| match &*seen.target {
        "/sized" => Reply::halting_at(&Gate::default()).sized(),
        "/silent" => Reply::text("never").after(&Gate::default()),
        _ => Reply::halting_at(&Gate::default()),
    });
    let short = "drain_timeout = \"100ms\"";
    let run = Run::start(&setup(&backend, workers).set("server", short));
    let [mut chunked, mut sized, mut until_closed, mut silent] =
        [(); 4].map(|()| Client::connect(run.address));
    chunked.send_request("GET", "/chunked", &[], b"");
    sized.send_request("GET", "/sized", &[], b"");
    until_closed.send("GET /chunked HTTP/1.0\r\nhost: a\r\n\r\n");
    silent.send_request("GET", "/silent", &[], b"");
    let many = Http2::connect(run.address);
    let (many_begun, _) = many.send(head("GET", "/chunked", &[]), true);
    let many_begun = many.wait(many_begun).unwrap();
    let (many_silent, _) = many.send(head("GET", "/silent", &[]), true);
    for (client, length) in [(&mut chunked, 12), (&mut sized, 7), (&mut until_closed, 7)] {
        assert_eq!(client.head().status, 200);
        client.read_exactly(length);
    }
    wait_until("all are with the side", || backend.count() == 6);

    run.program.signal(Signal::TERM);
    assert_eq!(chunked.rest(), (Vec::new(), Ending::Closed));
    assert_eq!(sized.rest(), (Vec::new(), Ending::Closed));
    assert_eq!(until_closed.rest(), (Vec::new(), Ending::Reset));
    assert_eq!(silent.rest(), (Vec::new(), Ending::Closed));
    many.rest(many_begun).unwrap_err();
    many.answer(many_silent).unwrap_err();
    many.closed();
    let said = run.ended();
    assert!(said.contains("the time to drain is over"), "{said}");
    wait_until("the side is left", || backend.open() == 0);
}
