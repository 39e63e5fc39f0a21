//! When a connection takes another request, and when a request may be sent again.

use super::*;
use crate::upstream::fixture::{connected, run};
use http::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The body of an answer.
async fn body(wire: &mut Wire, asked: Asked) -> Vec<u8> {
    let Asked::Answered(response) = asked else {
        panic!("{asked:?}");
    };
    let mut content = response.into_body();
    let mut body = Vec::new();
    while let Some(frame) = poll_fn(|cx| wire.poll_frame(cx, &mut content)).await {
        body.extend_from_slice(frame.unwrap().data_ref().unwrap());
    }
    body
}

const SIZED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";

/// The rest of it would be taken for the next request.
#[test]
fn a_request_that_is_answered_before_it_is_all_sent_is_the_last_one() {
    let more_than_fits_in =
        HeaderValue::from_maybe_shared(Bytes::from(vec![b'a'; 16 << 20])).unwrap();
    for (answer, fields, ready) in [
        (SIZED, None, true),
        (CHUNKED, None, true),
        (SIZED, Some(&more_than_fits_in), false),
        (CHUNKED, Some(&more_than_fits_in), false),
    ] {
        run(async {
            let (ours, held, mut theirs) = connected().await;
            let mut wire = Wire::open(ours, held);
            let mut request = Request::new(Outgoing::Empty);
            if let Some(value) = fields {
                request.headers_mut().insert("x-long", value.clone());
            }
            let mut request = Some(request);
            let (asked, ()) = tokio::join!(wire.ask(&mut request, None), async {
                theirs.read_u8().await.unwrap();
                theirs.write_all(answer.as_bytes()).await.unwrap();
            });
            assert_eq!(body(&mut wire, asked).await, b"ok");
            assert_eq!(wire.is_ready(), ready, "{answer} {}", fields.is_some());
        });
    }
}

#[test]
fn what_was_not_sent_at_all_may_be_sent_again_whatever_it_is() {
    run(async {
        let (ours, held, theirs) = connected().await;
        let mut wire = Wire::open(ours, held);
        let mut request = Request::new(Outgoing::Empty);
        *request.method_mut() = Method::DELETE;
        let mut request = Some(request);
        // Nobody has looked at the connection since.
        theirs.set_zero_linger().unwrap();
        drop(theirs);
        let asked = wire.ask(&mut request, None).await;
        assert!(matches!(asked, Asked::Failed(Fault::Reset(_))), "{asked:?}");
        let again = request.or_else(|| wire.take_spare()).unwrap();
        assert_eq!(again.method(), Method::DELETE);
    });
}
