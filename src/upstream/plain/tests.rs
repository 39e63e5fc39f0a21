//! What is read without hyper and what is not, and what a connection is good for afterwards.

use super::*;
use crate::message::lines::Lines;
use crate::message::request_id::Names;
use crate::upstream::fixture::{connected, run};
use proptest::prelude::*;
use std::future::poll_fn;
use std::task::Waker;
use tokio::io::AsyncWriteExt;

fn read(asked: &Method, text: &str) -> Option<(u16, u64)> {
    let come = Bytes::copy_from_slice(text.as_bytes());
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    answer.parse(&come).unwrap();
    head(asked, &answer, &come).map(|(status, _, left)| (status.as_u16(), left))
}

#[test]
fn only_an_answer_whose_end_is_certain_is_read() {
    let check = |line: &str, fields: &str, expected: Option<(u16, u64)>| {
        let text = format!("HTTP/{line}\r\n{fields}\r\n");
        assert_eq!(read(&Method::GET, &text), expected, "{text}");
    };
    let sized = "content-length: 12\r\n";
    check("1.1 200 OK", sized, Some((200, 12)));
    check("1.1 503 ", "Content-Length:0\r\n", Some((503, 0)));
    check("1.1 204 No", "", Some((204, 0)));
    check("1.1 304 Is", sized, Some((304, 0)));
    check(
        "1.1 200 OK",
        "connection: Keep-Alive\r\ncontent-length: 1\r\n",
        Some((200, 1)),
    );
    check("1.0 200 OK", sized, None);
    check("1.1 100 Go", "", None);
    check("1.1 101 To", sized, None);
    check("1.1 200 OK", "", None);
    check("1.1 200 OK", &sized.repeat(2), None);
    check("1.1 200 OK", "transfer-encoding: chunked\r\n", None);
    check("1.1 204 No", "transfer-encoding: chunked\r\n", None);
    check(
        "1.1 200 OK",
        "content-length: 1\r\ntransfer-encoding: chunked\r\n",
        None,
    );
    for close in ["close", "keep-alive, close", "x-hop", ""] {
        let fields = format!("connection: {close}\r\ncontent-length: 1\r\n");
        check("1.1 200 OK", &fields, None);
    }
    for length in [
        "",
        "+1",
        "-1",
        "1, 1",
        "1 1",
        "0x1",
        "1.0",
        "9999999999999999999",
    ] {
        check("1.1 200 OK", &format!("content-length: {length}\r\n"), None);
    }
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n";
    assert_eq!(read(&Method::HEAD, answer), Some((200, 0)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_head_is_read_back_as_it_was_written(
        method in "GET|HEAD|OPTIONS|PURGE",
        target in "[*]|/[!-~é]{0,60}",
        fields in prop::collection::vec(("[a-z-]{1,20}", prop::collection::vec(any::<u8>(), 0..60)), 0..100),
        lines in prop::option::of(Just("via: 1.1 a\r\nforwarded: for=[::1]\r\n")),
        id in any::<bool>(),
    ) {
        let mut request = Request::new(Outgoing::Empty);
        *request.method_mut() = method.parse().unwrap();
        if let Ok(target) = target.parse() {
            *request.uri_mut() = target;
        }
        for (name, bytes) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            if let Ok(value) = HeaderValue::from_bytes(bytes.trim_ascii()) && name != TRANSFER_ENCODING {
                request.headers_mut().append(name, value);
            }
        }
        if let Some(lines) = lines {
            let lines = Lines { shared: Bytes::from(lines), id: id.then(|| Names::new(1).next()) };
            *request.body_mut() = Outgoing::Stamped(lines);
        }
        let mut text = Vec::new();
        write_head(&request, &mut text);
        Outgoing::settle(&mut request);
        let again = read_head(request.method(), &text).unwrap();
        prop_assert_eq!(again.method(), request.method());
        prop_assert_eq!(again.uri(), request.uri());
        prop_assert_eq!(again.headers(), request.headers());
    }
}

#[test]
fn a_connection_at_rest_keeps_little_memory() {
    run(async {
        let (ours, held, mut theirs) = connected().await;
        let mut plain = Plain::new(ours, held);
        let mut request = Request::new(Outgoing::Empty);
        let long = HeaderValue::from_bytes(&[b'a'; 60_000]).unwrap();
        request.headers_mut().insert("x-long", long);
        assert!(plain.take(&mut Some(request)));
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 4 << 20);
        let ((), largest) = tokio::join!(
            async {
                theirs.read_u8().await.unwrap();
                theirs.write_all(answer.as_bytes()).await.unwrap();
                theirs.write_all(&vec![b'a'; 4 << 20]).await.unwrap();
            },
            async {
                let Heard::Answer(answer) = poll_fn(|cx| plain.poll_ask(cx)).await else {
                    panic!("no answer");
                };
                let mut body = answer.into_body();
                let mut largest = 0;
                while let Some(bytes) = poll_fn(|cx| plain.poll_body(cx, &mut body)).await {
                    largest = largest.max(bytes.unwrap().len());
                }
                largest
            }
        );
        assert!((LEAST + 1..=MOST).contains(&largest), "{largest}");
        assert!(plain.is_ready());
        assert_eq!((plain.read.capacity(), plain.head.capacity()), (0, 0));
    });
}

#[test]
fn who_waits_for_an_answer_has_no_room_for_it() {
    run(async {
        let (ours, held, mut theirs) = connected().await;
        let mut plain = Plain::new(ours, held);
        let nobody = &mut Context::from_waker(Waker::noop());
        // The first look tells that there is nothing, the second one knows it.
        assert!(plain.ending(nobody).is_none());
        let long = HeaderValue::from_bytes(&[b'a'; 5_000]).unwrap();
        let mut request = Request::new(Outgoing::Empty);
        request.headers_mut().insert("x-long", long);
        assert!(plain.take(&mut Some(request)));
        assert_eq!(plain.head.capacity(), plain.head.len());
        assert!(plain.poll_ask(nobody).is_pending());
        assert_eq!(plain.read.capacity(), 0);
        theirs
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .unwrap();
        let heard = poll_fn(|cx| plain.poll_ask(cx)).await;
        assert!(matches!(heard, Heard::Answer(_)));
        assert!(plain.is_ready());
        assert!(plain.ending(nobody).is_none());
        assert_eq!((plain.read.capacity(), plain.head.capacity()), (0, 0));
    });
}
