//! A decided request on its way to its answer: a read goes with its connection, a write in a task of its own, which tells the lab what it writes.

use crate::message::reply::Problem;
use crate::proxy::answer::AnswerBody;
use crate::proxy::forward::Exchange;
use crate::shadow::WrittenKey;
use http::{Method, Response, StatusCode};
use std::pin::Pin;
use std::sync::Arc;
use tokio::time::Instant;

/// An answer that is being waited for.
pub(super) type Answering = Pin<Box<dyn Future<Output = Response<AnswerBody>> + Send>>;

/// What a request does to the sides.
pub(super) enum Access {
    Read,
    /// It writes this key, if that is known.
    Write(Option<WrittenKey>),
}

/// Begins to answer. Whoever waits for the answer moves a read.
pub(super) fn answer((mut exchange, access): (Exchange, Access)) -> Answering {
    let Access::Write(written) = access else {
        return Box::pin(async move { exchange.run().await });
    };
    // A write whose body has arrived runs to its answer though its client leaves: it lives in a task of its own.
    let (worker, id) = (Arc::clone(&exchange.worker), exchange.id.clone());
    let task = worker.spawn(async move {
        // It acts at some time between the two.
        let mark = |exchange: &Exchange| {
            if let Some(key) = written {
                exchange.worker.offers().writes().mark(key, Instant::now());
            }
        };
        mark(&exchange);
        let answer = exchange.run().await;
        mark(&exchange);
        answer
    });
    Box::pin(async move {
        task.await.unwrap_or_else(|_| {
            let problem = Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The proxy failed.",
            );
            AnswerBody::local(&problem, &Method::POST, &id)
        })
    })
}
