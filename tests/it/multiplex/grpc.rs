//! gRPC passes whole: messages both ways as they come, its fields, trailers, answers that are trailers alone.

use super::{service, setup};
use crate::harness::http2::{Http2, head};
use crate::harness::with_one_worker_and_with_four;
use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

with_one_worker_and_with_four!(
    a_call_talks_both_ways,
    an_answer_may_be_trailers_alone,
    a_call_that_is_answered_may_be_silent,
);

/// The heads of the calls that a service got.
pub(super) type Calls = Arc<Mutex<Vec<Request<()>>>>;

/// A service that gives back each message at once, and `grpc-status` when there are no more.
pub(super) fn echo() -> (SocketAddr, Calls) {
    let calls = Calls::default();
    let seen = Arc::clone(&calls);
    let address = service(h2::server::Builder::new(), move |call, respond| {
        let (head, messages) = call.into_parts();
        let path = head.uri.path().to_owned();
        seen.lock().unwrap().push(Request::from_parts(head, ()));
        tokio::spawn(answer(path, messages, respond));
    });
    (address, calls)
}

async fn answer(path: String, mut messages: h2::RecvStream, mut respond: SendResponse<Bytes>) {
    let head = Response::builder().header("content-type", "application/grpc");
    if path == "/echo.Echo/Sink" {
        while let Some(Ok(message)) = messages.data().await {
            let _ = messages.flow_control().release_capacity(message.len());
        }
    }
    if path != "/echo.Echo/Talk" {
        let head = head.header("grpc-status", "12").body(()).unwrap();
        let _ = respond.send_response(head, true);
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
    // A client may have left.
    let _ = sink.send_trailers(status);
}

pub(super) const FIELDS: [(&str, &str); 4] = [
    ("content-type", "application/grpc+proto"),
    ("te", "trailers"),
    ("grpc-timeout", "5S"),
    ("grpc-encoding", "identity"),
];

fn a_call_talks_both_ways(workers: usize) {
    let (address, calls) = echo();
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
    let (address, _) = echo();
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

fn a_call_that_is_answered_may_be_silent(workers: usize) {
    let (address, _) = echo();
    let limits = "body_timeout = \"2s\"\nbody_rate = 1000000";
    let proxy = setup(&address, workers).set("limits", limits).start();
    let client = Http2::connect(proxy.address());
    let (response, mut upload) = client.send(head("POST", "/echo.Echo/Talk", &FIELDS), false);
    let mut body = client.wait(response).unwrap().into_body();
    let message = Bytes::from_static(b"\0\0\0\0\x01.");
    upload.send_data(message.clone(), false).unwrap();
    assert_eq!(client.piece(&mut body), message);
    // An upload that nobody has answered has its time, and so does one whose length is told, while the call is silent.
    let (unanswered, _upload) = client.send(head("POST", "/echo.Echo/Sink", &FIELDS), false);
    let sized = head("POST", "/echo.Echo/Talk", &[("content-length", "10")]);
    let (sized, _sized) = client.send(sized, false);
    let mut sized = client.wait(sized).unwrap().into_body();
    assert_eq!(client.answer(unanswered).unwrap().status, 408);
    assert!(client.wait(sized.data()).unwrap().is_err());
    let reason = [("reason", "body_timeout")];
    proxy.wait_for_metric("crossfade_rejected_total", &reason, 2.0);
    upload.send_data(message.clone(), false).unwrap();
    assert_eq!(client.piece(&mut body), message);
    upload.send_data(Bytes::new(), true).unwrap();
    assert!(client.wait(body.data()).is_none());
    let trailers = client.wait(body.trailers()).unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
}
