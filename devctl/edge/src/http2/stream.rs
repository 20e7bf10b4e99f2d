//! One stream: from the request's head to the answer's trailers.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response, StatusCode, Uri, request};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::admit::{Admitted, Denied, Unreached, admit};
use crate::capture::{Outcome, Served};
use crate::edge::Inner;
use crate::fault::{End, Fault, FaultKind, Stream};
use crate::hold::Waiting;
use crate::http2::answer::{DEADLINE_EXCEEDED, answer, grpc_code, grpc_timeout};
use crate::http2::body::{Pace, Replay, Stopped, download, upload};
use crate::http2::log::Log;
use crate::http2::provider::Providers;
use crate::http2::stub;
use crate::id::Protocol;
use crate::swap::{Generation, Target};

/// How often a request that a provider refused without looking is sent again.
const TRIES: usize = 5;

/// What the streams of one connection share.
pub(crate) struct Shared {
    pub(crate) edge: Arc<Inner>,
    pub(crate) target: watch::Receiver<Arc<Generation>>,
    pub(crate) providers: Providers,
}

/// Serves one stream.
pub(crate) async fn run(shared: Arc<Shared>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let (mut head, body) = request.into_parts();
    let grpc = head
        .headers
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let protocol = if grpc { Protocol::Grpc } else { Protocol::Http2 };
    shared.edge.stats.see(protocol);
    let faults = shared.edge.faults.pick();
    let log = Log::new(&shared.edge, &mut head, protocol, &faults);
    let mut exchange = Exchange {
        shared: &shared,
        respond,
        log,
        grpc,
        faults: &faults,
    };
    let outcome = tokio::select! {
        biased;
        outcome = Box::pin(exchange.lead(head, body)) => Some(outcome),
        () = shared.edge.faults.lifted(&faults), if !faults.is_empty() => None,
    };
    let outcome = outcome.unwrap_or_else(|| reset(&mut exchange.respond, End::Close));
    exchange.log.close(&shared.edge, outcome);
}

/// Ends a stream as a fault wants it.
pub(crate) fn reset(respond: &mut SendResponse<Bytes>, end: End) -> Outcome {
    respond.send_reset(if end == End::Reset {
        Reason::INTERNAL_ERROR
    } else {
        Reason::CANCEL
    });
    Outcome::Failed {
        why: "a fault of this edge ended the stream".into(),
    }
}

struct Exchange<'a> {
    shared: &'a Shared,
    respond: SendResponse<Bytes>,
    log: Log,
    grpc: bool,
    faults: &'a [Fault],
}

/// How one try to send a request ended.
enum Tried {
    Over(Outcome),
    /// The provider has not looked at it: it may be sent again.
    Refused(RecvStream),
    /// Another target has taken over meanwhile.
    Retired(RecvStream),
}

impl Exchange<'_> {
    /// To wherever the edge leads, again if that changes before anything was acted on.
    async fn lead(&mut self, head: request::Parts, mut body: RecvStream) -> Outcome {
        let error = self.faults.iter().find_map(|fault| match fault.kind {
            FaultKind::Error { status } => StatusCode::from_u16(status).ok(),
            _ => None,
        });
        if let Some(status) = error {
            self.refuse(status, "an error fault of this edge");
            return Outcome::Done;
        }
        let deadline = grpc_timeout(&head.headers).map(|timeout| Instant::now() + timeout);
        let mut replay = Replay::default();
        let mut tries = 0;
        loop {
            let Admitted { inflight, held } = match self.wait(deadline).await {
                Ok(admitted) => admitted,
                Err(Denied::Left) => return Outcome::Left,
                Err(Denied::Deadline) => {
                    let said = (
                        StatusCode::GATEWAY_TIMEOUT,
                        "held until the caller's deadline had passed",
                    );
                    let code = self.grpc.then_some(DEADLINE_EXCEEDED);
                    answer(&self.shared.edge, &mut self.respond, said, code, &mut self.log);
                    return Outcome::Failed { why: said.1.into() };
                }
                Err(Denied::Refused(why)) => return self.fail(StatusCode::SERVICE_UNAVAILABLE, why),
            };
            self.log.held += held;
            let generation = Arc::clone(inflight.generation());
            match &generation.target {
                Target::Hold { .. } => continue,
                Target::Real(_) => {}
                Target::Refused { why } => return self.fail(StatusCode::SERVICE_UNAVAILABLE, why.clone()),
                Target::Stub(with) => {
                    self.log.served = Served::Stub;
                    let Self {
                        shared,
                        respond,
                        log,
                        faults,
                        ..
                    } = self;
                    return stub::answer(shared, with, (head, body), respond, log, faults).await;
                }
            }
            let cut = async {
                generation.cut.cancelled().await;
                let why = format!(
                    "{} was replaced, and its time to finish is over",
                    self.shared.edge.id.provider
                );
                why
            };
            let cut = Box::pin(cut);
            let tried = tokio::select! {
                biased;
                tried = self.try_once(&generation, &head, body, &mut replay) => tried,
                why = cut => {
                    if self.log.is_answered() {
                        self.respond.send_reset(Reason::CANCEL);
                    } else {
                        self.refuse(StatusCode::BAD_GATEWAY, &why);
                    }
                    return Outcome::Failed { why };
                }
            };
            match tried {
                Tried::Over(outcome) => return outcome,
                Tried::Retired(rest) => {
                    body = rest;
                    continue;
                }
                Tried::Refused(rest) => body = rest,
            }
            tries += 1;
            if tries == TRIES || replay.lost {
                let why = format!("{} refuses the stream", self.shared.edge.id.provider);
                return self.fail(StatusCode::SERVICE_UNAVAILABLE, why);
            }
        }
    }

    async fn wait(&mut self, deadline: Option<Instant>) -> Result<Admitted, Denied> {
        let mut target = self.shared.target.clone();
        let respond = &mut self.respond;
        let left = async |_: &Waiting<'_>| {
            // An error is a connection that is gone.
            let _ = poll_fn(|cx| respond.poll_reset(cx)).await;
        };
        admit(&self.shared.edge, &mut target, 0, deadline, left).await
    }

    async fn try_once(
        &mut self,
        generation: &Generation,
        head: &request::Parts,
        mut body: RecvStream,
        replay: &mut Replay,
    ) -> Tried {
        let Self {
            shared,
            respond,
            log,
            faults,
            ..
        } = self;
        let edge = &shared.edge;
        let (mut sender, address) = match shared.providers.get(edge, generation).await {
            Ok(found) => found,
            Err(Unreached::Retired) => return Tried::Retired(body),
            Err(Unreached::Failed(why)) => return Tried::Over(self.fail(StatusCode::BAD_GATEWAY, why)),
        };
        log.served = Served::Provider { address };
        let (mut out, mut back) = (
            Pace::new(faults, Stream::Upstream),
            Pace::new(faults, Stream::Downstream),
        );
        if let Err(end) = Pace::head(&mut out).await {
            return Tried::Over(reset(respond, end));
        }
        let ends = body.is_end_stream() && replay.is_empty();
        let (response, mut to) = match sender.send_request(outgoing(edge, head), ends) {
            Ok(sent) => sent,
            Err(error) => {
                shared.providers.forget(generation.number, address);
                if error.is_go_away() || error.is_io() {
                    // Its connection was closing: not a byte of this request was sent.
                    return Tried::Refused(body);
                }
                let why = format!("the request cannot be sent on: {error}");
                return Tried::Over(self.fail(StatusCode::BAD_GATEWAY, why));
            }
        };
        let limit = edge.traffic.limits.body;
        let mut request = log.request.take();
        let tried = {
            let seen = |bytes: &[u8]| {
                if let Some(saved) = &mut request {
                    saved.body(bytes, limit);
                }
            };
            let uploading = async {
                if ends {
                    Ok(())
                } else {
                    upload(&mut body, &mut to, replay, &mut out, seen).await
                }
            };
            tokio::pin!(uploading);
            let mut sending = true;
            let answered = first(response, uploading.as_mut(), &mut sending, respond).await;
            match answered {
                Ok(Ok(answered)) => match Pace::head(&mut back).await {
                    // One future from the first byte to the last: a chunk that is under way is not lost.
                    Ok(()) => Ok(answer_back(edge, answered, respond, log, &mut back, (uploading, sending)).await),
                    Err(end) => Ok(reset(respond, end)),
                },
                Ok(Err(error)) => Err(error),
                Err(Some(Stopped::Fault(end))) => Ok(reset(respond, end)),
                Err(_) => Ok(Outcome::Left),
            }
        };
        log.request = request;
        match tried {
            Ok(outcome) => {
                if !matches!(outcome, Outcome::Done) {
                    to.send_reset(Reason::CANCEL);
                }
                Tried::Over(outcome)
            }
            Err(error) if unseen(&error) => {
                if error.is_go_away() {
                    shared.providers.forget(generation.number, address);
                }
                Tried::Refused(body)
            }
            Err(error) => Tried::Over(self.broken(&error)),
        }
    }

    /// The provider ended the stream instead of answering.
    fn broken(&mut self, error: &h2::Error) -> Outcome {
        let why = format!("{} did not answer: {error}", self.shared.edge.id.provider);
        if error.is_reset()
            && error.is_remote()
            && let Some(reason) = error.reason()
        {
            // As it would be without an edge.
            self.respond.send_reset(reason);
            return Outcome::Failed { why };
        }
        self.fail(StatusCode::BAD_GATEWAY, why)
    }

    fn fail(&mut self, status: StatusCode, why: String) -> Outcome {
        self.refuse(status, &why);
        Outcome::Failed { why }
    }

    fn refuse(&mut self, status: StatusCode, why: &str) {
        self.log.served = Served::Edge;
        let code = self.grpc.then(|| grpc_code(status));
        answer(&self.shared.edge, &mut self.respond, (status, why), code, &mut self.log);
    }
}

/// Waits for the answer's head while the request's body is on its way. An error is a caller that is gone, or a fault.
async fn first(
    mut response: ResponseFuture,
    mut uploading: Pin<&mut impl Future<Output = Result<(), Stopped>>>,
    sending: &mut bool,
    respond: &mut SendResponse<Bytes>,
) -> Result<Result<Response<RecvStream>, h2::Error>, Option<Stopped>> {
    loop {
        tokio::select! {
            biased;
            answered = &mut response => return Ok(answered),
            sent = &mut uploading, if *sending => {
                *sending = false;
                match sent {
                    // How the provider ends it is told by its answer.
                    Ok(()) | Err(Stopped::Sink) => {}
                    Err(why) => return Err(Some(why)),
                }
            }
            _ = poll_fn(|cx| respond.poll_reset(cx)) => return Err(None),
        }
    }
}

/// The answer's way back, while the rest of the request may still be on its way.
async fn answer_back(
    edge: &Inner,
    answered: Response<RecvStream>,
    respond: &mut SendResponse<Bytes>,
    log: &mut Log,
    pace: &mut Option<Pace>,
    (uploading, sending): (Pin<&mut impl Future<Output = Result<(), Stopped>>>, bool),
) -> Outcome {
    let (head, mut from) = answered.into_parts();
    log.answered(edge, &head);
    let ends = from.is_end_stream();
    let Ok(mut client) = respond.send_response(Response::from_parts(head, ()), ends) else {
        return Outcome::Left;
    };
    if ends {
        return Outcome::Done;
    }
    let ended = {
        let gone = async {
            if sending && let Err(Stopped::Source(why)) = uploading.await {
                return why;
            }
            // All is sent; whether the caller goes is seen when the answer is sent.
            std::future::pending().await
        };
        let downloading = download(&mut from, &mut client, pace, |bytes| log.answer_body(edge, bytes));
        tokio::select! {
            biased;
            ended = downloading => ended.map_err(Some),
            _ = gone => Err(None),
        }
    };
    match ended {
        Ok(trailers) => {
            if let Some(trailers) = trailers {
                log.trailers(edge, &trailers);
            }
            Outcome::Done
        }
        Err(Some(Stopped::Source(error))) => {
            client.send_reset(error.reason().unwrap_or(Reason::INTERNAL_ERROR));
            Outcome::Failed {
                why: format!("{} broke off its answer: {error}", edge.id.provider),
            }
        }
        Err(Some(Stopped::Fault(end))) => reset(respond, end),
        Err(Some(Stopped::Sink) | None) => Outcome::Left,
    }
}

/// Whether the provider says that it has not looked at the request.
fn unseen(error: &h2::Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
}

/// The request as the provider gets it: as it came, `:authority` included.
fn outgoing(edge: &Inner, head: &request::Parts) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.version_mut() = http::Version::HTTP_2;
    *request.headers_mut() = head.headers.clone();
    *request.extensions_mut() = head.extensions.clone();
    if head.uri.authority().is_none() {
        // `Host` stands for it then, but h2 wants a whole address.
        let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let host = head.headers.get("host").and_then(|host| host.to_str().ok());
        let host = host.map_or_else(|| format!("{}:{}", edge.id.provider, edge.id.port), str::to_owned);
        if let Ok(uri) = Uri::builder()
            .scheme("http")
            .authority(host)
            .path_and_query(path)
            .build()
        {
            *request.uri_mut() = uri;
        }
    }
    request
}
