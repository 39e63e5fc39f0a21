//! gRPC passes whole: messages both ways as they come, its fields, trailers, answers that are trailers alone.

use super::setup;
use crate::harness::http2::{Http2, head};
use crate::harness::with_one_worker_and_with_four;
use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use tokio::net::TcpListener;

with_one_worker_and_with_four!(a_call_talks_both_ways, an_answer_may_be_trailers_alone);

/// The heads of the calls that a service got.
type Calls = Arc<Mutex<Vec<Request<()>>>>;

/// A service that gives back each message at once, and `grpc-status` when there are no more. It lasts as long as the tests.
fn service() -> (SocketAddr, Calls) {
    let calls = Calls::default();
    let seen = Arc::clone(&calls);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((call, respond))) = connection.accept().await {
                        let (head, messages) = call.into_parts();
                        let is_known = head.uri.path() == "/echo.Echo/Talk";
                        seen.lock().unwrap().push(Request::from_parts(head, ()));
                        tokio::spawn(answer(is_known, messages, respond));
                    }
                });
            }
        });
    });
    (address, calls)
}

async fn answer(is_known: bool, mut messages: h2::RecvStream, mut respond: SendResponse<Bytes>) {
    let head = Response::builder().header("content-type", "application/grpc");
    if !is_known {
        let head = head.header("grpc-status", "12").body(()).unwrap();
        respond.send_response(head, true).unwrap();
        return;
    }
    let mut sink = respond
        .send_response(head.body(()).unwrap(), false)
        .unwrap();
    while let Some(Ok(message)) = messages.data().await {
        let _ = messages.flow_control().release_capacity(message.len());
        sink.send_data(message, false).unwrap();
    }
    let status = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    sink.send_trailers(status).unwrap();
}

const FIELDS: [(&str, &str); 4] = [
    ("content-type", "application/grpc+proto"),
    ("te", "trailers"),
    ("grpc-timeout", "5S"),
    ("grpc-encoding", "identity"),
];

fn a_call_talks_both_ways(workers: usize) {
    let (address, calls) = service();
    let proxy = setup(&address, workers).start();
    let client = Http2::connect(proxy.address());
    let (response, mut upload) = client.send(head("POST", "/echo.Echo/Talk", &FIELDS), false);
    let response = client.wait(response).unwrap();
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let mut body = response.into_body();
    for number in 0..100_u8 {
        // Each comes back before the next one is sent.
        let message = Bytes::from(vec![0, 0, 0, 0, 1, number]);
        upload.send_data(message.clone(), false).unwrap();
        assert_eq!(client.piece(&mut body), message);
    }
    upload.send_data(Bytes::new(), true).unwrap();
    assert!(client.wait(body.data()).is_none());
    let trailers = client.wait(body.trailers()).unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    let calls = calls.lock().unwrap();
    for (name, value) in FIELDS {
        assert_eq!(calls[0].headers()[name], value);
    }
    assert_eq!(calls[0].uri(), "http://test.example/echo.Echo/Talk");
}

fn an_answer_may_be_trailers_alone(workers: usize) {
    let (address, _) = service();
    let proxy = setup(&address, workers).start();
    let client = Http2::connect(proxy.address());
    let message = b"\0\0\0\0\0";
    let answer = client.request("POST", "/echo.Echo/Unknown", &FIELDS, message);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.headers["grpc-status"], "12");
    let (response, mut upload) = client.send(head("POST", "/echo.Echo/Unknown", &FIELDS), false);
    let answer = client.answer(response).unwrap();
    assert_eq!(
        answer.headers["grpc-status"], "12",
        "before the call has ended"
    );
    upload.send_reset(h2::Reason::CANCEL);
    proxy.wait_for_metric("crossfade_requests_total", &[("code_class", "2xx")], 2.0);
}
