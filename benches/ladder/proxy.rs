//! The way of a request through hyper's server and client, with the connections that wait for the next one.

use crate::Rung;
use crate::promises::{Meter, Promises};
use bytes::Bytes;
use crossfade::config::Settings;
use crossfade::message::forwarded::Address;
use crossfade::message::hop;
use crossfade::message::survey::Survey;
use crossfade::plan::RoutePlan;
use crossfade::side::Side;
use crossfade::telemetry::Telemetry;
use crossfade::upstream::out_of_time;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

type Failure = Box<dyn Error + Send + Sync>;

/// A proxy with one thread.
pub(crate) struct Proxy {
    rung: Rung,
    promises: Promises,
    idle: Mutex<Vec<Idle>>,
    address: String,
    answer_timeout: Duration,
    idle_timeout: Duration,
}

/// A connection to the side at rest.
struct Idle {
    sender: SendRequest<Incoming>,
    /// No limit below the rung of timers.
    until: Option<Instant>,
}

impl Proxy {
    pub(crate) fn new(rung: Rung, settings: Settings) -> Self {
        let side = settings.upstream(Side::Old);
        Self {
            rung,
            address: side.urls[0]
                .authority()
                .expect("the ladder asks over TCP")
                .to_string(),
            answer_timeout: side.timeout,
            idle_timeout: side.pool.idle_timeout,
            idle: Mutex::default(),
            promises: Promises::new(settings),
        }
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        self.promises.telemetry()
    }

    pub(crate) async fn serve(
        self: Arc<Self>,
        peer: Arc<Address>,
        request: Request<Incoming>,
    ) -> Response<Answer> {
        match self.forward(peer, request).await {
            Ok(response) => response,
            Err(error) => {
                eprintln!("{error}");
                let mut response = Response::new(Answer::default());
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response
            }
        }
    }

    async fn forward(
        self: Arc<Self>,
        peer: Arc<Address>,
        request: Request<Incoming>,
    ) -> Result<Response<Answer>, Failure> {
        let mut meter = None;
        let mut route = None;
        let request = if self.rung == Rung::Bare {
            request
        } else {
            let started = (self.rung >= Rung::Metrics).then(Instant::now);
            let (mut head, body) = request.into_parts();
            let survey = Survey::of(&head.headers);
            if hop::expects_continue(head.version, &head.headers, survey) {
                return Err("nobody expects 100 (Continue) here".into());
            }
            let host = self
                .promises
                .admit(&mut head, survey)
                .map_err(|status| status.to_string())?;
            meter = started.map(|started| self.promises.begin(started, head.method.clone()));
            if self.rung >= Rung::Decision {
                let decided = self
                    .promises
                    .decide(&head, &peer)
                    .map_err(|status| status.to_string())?;
                if decided.decision.side == Side::New || decided.mirrored {
                    return Err("everything goes to old here, and nothing is copied".into());
                }
                route = Some(decided.route);
            }
            let route = route.get_or_insert_with(|| Arc::clone(self.promises.any_route()));
            self.promises
                .prepare(&mut head, survey, (&peer, host.as_ref()), route);
            Request::from_parts(head, body)
        };
        let mut sender = self.checkout().await?;
        if let Some(meter) = &mut meter {
            meter.sent();
        }
        let mut response = self.ask(&mut sender, request).await?;
        if let (Some(meter), Some(route)) = (&meter, &route) {
            meter.answered(route);
        }
        if self.rung >= Rung::Headers {
            let survey = Survey::of(response.headers());
            if !hop::is_only_chunked(response.headers(), survey) {
                return Err("a transfer coding that nobody asked for".into());
            }
            hop::remove_hop_by_hop(response.headers_mut(), survey);
        }
        let status = response.status();
        Ok(response.map(|incoming| {
            let nothing_follows = incoming.is_end_stream();
            let mut answer = Answer {
                incoming: Some(incoming),
                open: Some(Open {
                    proxy: self,
                    sender,
                    counted: meter.zip(route),
                    status,
                }),
            };
            if nothing_follows {
                answer.ended();
            }
            answer
        }))
    }

    async fn ask(
        &self,
        sender: &mut SendRequest<Incoming>,
        request: Request<Incoming>,
    ) -> Result<Response<Incoming>, Failure> {
        let answer = sender.send_request(request);
        if self.rung < Rung::Timers {
            return Ok(answer.await?);
        }
        tokio::select! {
            biased;
            answer = answer => Ok(answer?),
            () = out_of_time(Instant::now(), self.answer_timeout, None) => Err("no answer in time".into()),
        }
    }

    async fn checkout(&self) -> Result<SendRequest<Incoming>, Failure> {
        let now = (self.rung >= Rung::Timers).then(Instant::now);
        loop {
            let Some(mut idle) = self.idle().pop() else {
                return self.connect().await;
            };
            let over = now.is_some() && idle.until < now;
            if !over && !idle.sender.is_closed() {
                idle.sender.ready().await?;
                return Ok(idle.sender);
            }
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a connection lives until its side closes it"
    )]
    async fn connect(&self) -> Result<SendRequest<Incoming>, Failure> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("{error}");
            }
        });
        Ok(sender)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A side's answer; empty where there is none.
#[derive(Default)]
pub(crate) struct Answer {
    incoming: Option<Incoming>,
    open: Option<Open>,
}

/// What an answer holds until it has ended.
struct Open {
    proxy: Arc<Proxy>,
    sender: SendRequest<Incoming>,
    counted: Option<(Meter, Arc<RoutePlan>)>,
    status: StatusCode,
}

impl Answer {
    fn ended(&mut self) {
        let Some(open) = self.open.take() else { return };
        let until =
            (open.proxy.rung >= Rung::Timers).then(|| Instant::now() + open.proxy.idle_timeout);
        open.proxy.idle().push(Idle {
            sender: open.sender,
            until,
        });
        if let Some((meter, route)) = open.counted {
            meter.complete(&route, open.status);
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some(incoming) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        let over = frame.is_none() || incoming.is_end_stream();
        if over {
            this.ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}
