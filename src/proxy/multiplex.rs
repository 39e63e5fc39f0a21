//! A connection that speaks HTTP/2: many requests at once, within bounds that no client can make it exceed.
//!
//! The library bounds each head, CONTINUATION, empty DATA, and resets of what it has not handed out yet. What it can't see is bounded here: streams that
//! are reset as soon as they are served, answers that nobody takes, and connections on which nothing is asked; by `overseen` PINGs and SETTINGS that come in
//! floods, and what all heads become together.

use crate::config::settings::{Http2, Limits};
use crate::proxy::greet::Guest;
use crate::proxy::overseen::{Overseen, Oversight};
use crate::proxy::phases::Pulse;
use crate::proxy::serve::serve;
use crate::proxy::streams::{Streams, Taken};
use crate::proxy::worker::Worker;
use crate::telemetry::Rejected;
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Looks at a connection's streams in the shorter of its times, and one.
const LOOKS: u32 = 5;
/// Streams that a connection's client may have made the library reset. With the next one the connection ends.
const MOST_ERRORS: usize = 100;
/// Streams that a client may reset before the library has handed them out. With the next one the connection ends.
const MOST_UNSEEN: usize = 20;
/// Bytes of an answer that wait for a stream's client to take them.
const SEND_BUFFER: usize = 64 * 1024;

/// Runs the tasks of a connection's streams: a stop waits for them.
#[derive(Clone)]
struct Tasks(Arc<Worker>);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// Why a connection is ended by this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The proxy stops, or nothing has been asked for long: what runs may go on.
    Leave,
    /// An answer was not taken in time.
    Response,
    /// A head did not come whole in time.
    Head,
    /// Its client resets what it asks for.
    Resets,
}

/// Serves the requests of a connection.
pub(super) async fn converse(worker: Arc<Worker>, guest: Guest) {
    let Guest {
        socket, address, ..
    } = guest;
    let address = Arc::new(address);
    let streams = Arc::new(Streams::default());
    let (serving, counted) = (Arc::clone(&worker), Arc::clone(&streams));
    let pulse = Arc::new(Pulse::default());
    let service = service_fn(move |mut request: Request<Incoming>| {
        if request.method() == Method::CONNECT {
            // What it may become lasts longer than its answer.
            request.extensions_mut().insert(Arc::clone(&counted));
        }
        let place = counted.begin();
        // It keeps time for bodies; connections and answers have other limits here.
        let busy = pulse.begin(request.version());
        let answer = serve(Arc::clone(&serving), Arc::clone(&address), request, &busy);
        Taken::new(answer, place)
    });
    let plan = worker.plan();
    let limits = plan.settings.limits.clone();
    let builder = builder(&worker, &limits.http2);
    // The limits hold for as long as the connection does, the Plan need not.
    drop(plan);
    let oversight = Oversight::new(worker.telemetry(), limits.http2.streams);
    let socket = TokioIo::new(Overseen::new(socket, &oversight));
    let mut connection = pin!(builder.serve_connection(socket, service));
    let process = worker.telemetry().process();
    let mut leaving = false;
    let mut patience = limits.idle_timeout;
    loop {
        let end = tokio::select! {
            biased;
            result = connection.as_mut() => {
                if result.is_err_and(|error| oversight.is_abused() || is_refused(&error)) {
                    process.rejected(Rejected::Http2);
                }
                return;
            }
            () = worker.left(), if !leaving => End::Leave,
            end = watch(&streams, &oversight, &limits, patience) => end,
        };
        match end {
            // Nothing is asked on a connection that should be over: it is closed without a word.
            End::Leave if leaving => return,
            End::Leave => {
                leaving = true;
                // A client that has nothing to wait for goes as soon as it hears of it.
                patience = patience.min(limits.http2.ping_timeout);
                connection.as_mut().graceful_shutdown();
            }
            End::Response => return process.rejected(Rejected::ResponseTimeout),
            End::Head => return process.rejected(Rejected::HeadTimeout),
            End::Resets => return process.rejected(Rejected::Http2),
        }
    }
}

fn builder(worker: &Arc<Worker>, limits: &Http2) -> http2::Builder<Tasks> {
    let mut builder = http2::Builder::new(Tasks(Arc::clone(worker)));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_header_list_size(limits.header_size)
        .keep_alive_interval(limits.ping)
        .keep_alive_timeout(limits.ping_timeout)
        .max_send_buf_size(SEND_BUFFER)
        .enable_connect_protocol()
        .max_local_error_reset_streams(MOST_ERRORS)
        .max_pending_accept_reset_streams(MOST_UNSEEN);
    builder
}

/// Ends when the connection should. Nobody reads a clock for a request: what has moved since the last look is seen.
async fn watch(streams: &Streams, oversight: &Oversight, limits: &Limits, idle: Duration) -> End {
    let (answer, head) = (limits.response_timeout, limits.head_timeout);
    let step = answer.min(head).min(idle) / (LOOKS - 1);
    // As many as the time has, and the one that comes at any time after it began.
    let looks = |time: Duration| time.div_duration_f64(step).ceil() as u32 + 1;
    let (answer, head) = (looks(answer), looks(head));
    let mut idle_since = Instant::now();
    let mut begun = streams.begun();
    let mut was_stuck = false;
    loop {
        tokio::select! {
            () = streams.too_many_resets() => return End::Resets,
            () = sleep(step) => {}
        }
        let waiting = oversight.look();
        if waiting.head >= head {
            return End::Head;
        }
        // What was handed over whole is nobody's any more, but has not ended. Twice, since its last bytes may be about to be written.
        let is_stuck = oversight.stuck(answer) > streams.answering() as usize;
        if streams.waits_in_vain(answer) || waiting.socket >= answer || is_stuck && was_stuck {
            return End::Response;
        }
        was_stuck = is_stuck;
        if streams.active() > 0 || streams.begun() != begun {
            begun = streams.begun();
            idle_since = Instant::now();
        } else if idle_since.elapsed() >= idle {
            return End::Leave;
        }
    }
}

/// Whether the connection ended because its client broke the protocol, or asked for more than it may.
fn is_refused(error: &hyper::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.is_library() && error.is_go_away();
        }
        cause = error.source();
    }
    false
}
