//! The harness does what the topics rely on.

use super::backend::Piece;
use super::client::{Ending, get};
use super::metrics::Page;
use super::peer::send;
use super::*;
use http::{HeaderMap, HeaderValue};

#[test]
fn a_backend_records_what_it_sees_and_answers_as_told() {
    let backend = Backend::start(|seen| {
        Reply::text(format!("{} {}", seen.method, seen.target)).header("x-one", "1")
    });
    let mut client = Client::connect(backend.address());
    let answer = client.request("POST", "/a?b=%20", &[("x-two", "2")], b"body");
    assert_eq!(
        (answer.status, answer.text(), answer.header("x-one")),
        (200, "POST /a?b=%20", Some("1"))
    );
    assert_eq!(client.get("/c").text(), "GET /c");
    let requests = backend.requests();
    assert_eq!(
        (
            requests[0].target.as_str(),
            &requests[0].body[..],
            requests[0].whole
        ),
        ("/a?b=%20", &b"body"[..], true)
    );
    assert_eq!(
        (requests[0].header("x-two"), requests[1].connection),
        (vec!["2"], 0)
    );
    assert_eq!(
        (
            backend.accepted(),
            backend.open(),
            backend.most_open(),
            backend.broken()
        ),
        (1, 1, 1, 0)
    );
    backend.answer_with(|_| Reply::status(204));
    assert_eq!(get(backend.address(), "/").status, 204);
    drop(client);
    wait_until("both connections are closed", || backend.open() == 0);
    assert_eq!((backend.accepted(), backend.count()), (2, 3));
}

#[test]
fn a_backend_follows_the_pieces_of_a_reply() {
    let gate = Gate::default();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("7"));
    let pieces = vec![
        Piece::Data("a".into()),
        Piece::Wait(gate.clone()),
        Piece::Data("b".into()),
        Piece::Trailers(trailers.clone()),
    ];
    let backend = Backend::start(move |_| {
        Reply::status(200)
            .header("trailer", "x-sum")
            .pieces(pieces.clone())
    });
    let mut client = Client::connect(backend.address());
    client.send_request("GET", "/", &[("te", "trailers")], b"");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.read_exactly(6), b"1\r\na\r\n");
    gate.open();
    assert_eq!(client.read_exactly(6), b"1\r\nb\r\n");
    client.send_request("GET", "/", &[("te", "trailers")], b"");
    assert_eq!(client.read_exactly(15), b"0\r\nx-sum: 7\r\n\r\n");
    let answer = client.answer("GET");
    assert_eq!((answer.text(), &answer.trailers), ("ab", &trailers));
    assert_eq!(backend.broken(), 0);
    backend.answer_with(|_| Reply::status(200).pieces(vec![Piece::Data("a".into()), Piece::Break]));
    client.send_request("GET", "/", &[], b"");
    assert!(client.try_answer("GET").is_err());
    wait_until("the break is counted", || backend.broken() == 1);
}

#[test]
fn a_backend_notices_clients_that_leave_and_can_be_stopped_and_started() {
    let gate = Gate::default();
    let mut backend = Backend::start_at(proxy::own_address(), move |_| {
        Reply::text("late").after(&gate)
    });
    let mut client = Client::connect(backend.address());
    client.send_request("GET", "/", &[], b"");
    wait_until("the request is seen", || backend.count() == 1);
    assert!(!client.has_news());
    client.reset();
    wait_until("the client's end is seen", || backend.broken() == 1);
    let mut half = Client::connect(backend.address());
    half.send("PUT /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab");
    wait_until("the second request is seen", || backend.count() == 2);
    drop(half);
    wait_until("the end of its body is seen", || backend.broken() == 2);
    assert!(!backend.requests()[1].whole);
    let address = backend.address();
    backend.stop();
    assert!(std::net::TcpStream::connect(address).is_err());
    let again = Backend::start_at(address, |_| Reply::text("again"));
    assert_eq!(get(again.address(), "/").text(), "again");
}

#[test]
fn a_peer_follows_its_scripts() {
    let gate = Gate::default();
    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let peer = Peer::start(vec![
        vec![
            Step::ReadHead,
            Step::ReadBody(3),
            send("HTTP/1.1 100 Continue\r\n\r\n"),
            Step::Trickle(ok.to_vec()),
            Step::Drain,
        ],
        vec![Step::ReadHead, Step::Wait(gate.clone()), Step::Reset],
        vec![Step::ReadHead, send(*ok), Step::Again],
        vec![
            send("HTTP/1.1 200 OK\r\n\r\nto the end"),
            Step::FinishSending,
            Step::Drain,
        ],
        vec![],
    ]);
    let mut client = Client::connect(peer.address());
    let answer = client.request("PUT", "/x", &[], b"abc");
    assert_eq!((answer.text(), &answer.interim[..]), ("ok", &[100][..]));
    assert!(
        peer.contacts()[0].text().starts_with("PUT /x HTTP/1.1\r\n")
            && peer.contacts()[0].text().ends_with("\r\n\r\nabc")
    );
    assert!(!peer.contacts()[0].ended);
    drop(client);
    wait_until("the peer sees the end", || {
        peer.contacts()[0].ended && peer.open() == 0
    });

    let mut client = Client::connect(peer.address());
    client.send_request("GET", "/", &[], b"");
    wait_until("the request is there", || {
        peer.contacts()
            .get(1)
            .is_some_and(|contact| !contact.received.is_empty())
    });
    gate.open();
    assert_eq!(client.rest(), (Vec::new(), Ending::Reset));

    let mut client = Client::connect(peer.address());
    assert_eq!(
        (client.get("/1").text(), client.get("/2").text()),
        ("ok", "ok")
    );
    assert_eq!(get(peer.address(), "/").text(), "to the end");
    assert_eq!(
        Client::connect(peer.address()).rest(),
        (Vec::new(), Ending::Closed)
    );
    assert_eq!(peer.accepted(), 5);
}

#[test]
fn a_metrics_page_is_read_back() {
    let page = Page::parse(
        "# HELP a b\n# TYPE a counter\na_total{route=\"x\",side=\"old\"} 3\na_total{route=\"y, \\\"z\\\"\"} 4.5\nup 1\n\nbad NaN\n",
    );
    assert_eq!(page.sum("a_total", &[]), 7.5);
    assert_eq!(page.sum("a_total", &[("side", "old"), ("route", "x")]), 3.0);
    assert_eq!(page.sum("a_total", &[("side", "new")]), 0.0);
    assert_eq!(page.values("a_total", "route"), ["x", "y, \"z\""]);
    assert_eq!(page.series("up", &[]).len(), 1);
}
