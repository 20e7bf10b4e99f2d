//! The gRPC service: turns requests into commands of the loop, and what happens into streams.

use std::pin::Pin;
use std::sync::Arc;

use devctl_core::engine::Verb;
use devctl_drivers::dirs::Dirs;
use devctl_drivers::log::{LogStore, Query, Record, Stream as LineStream};
use devctl_edge::{Edges, Filter};
use devctl_wire::{VERSION, v1};
use jiff::Timestamp;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

use crate::command::{Command, Wait};
use crate::convert;
use crate::edges::{self, Ends};
use crate::feed::{Feed, Item, Subscription};
use crate::prepare::Preparer;
use crate::run_loop::Wake;

/// Updates that are under way to one client.
const BUFFER: usize = 64;

/// The service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) wake: mpsc::UnboundedSender<Wake>,
    pub(crate) feed: Feed,
    pub(crate) edges: Arc<Edges>,
    pub(crate) logs: LogStore,
    pub(crate) dirs: Arc<Dirs>,
    /// One `up` is prepared at a time: two would lease and open the same edges.
    pub(crate) preparer: Arc<Mutex<Preparer>>,
    /// Data that is being removed: what would not be there any more, had the daemon not ended meanwhile.
    pub(crate) removing: TaskTracker,
    pub(crate) hello: v1::HelloReply,
}

type Updates = Pin<Box<dyn futures::Stream<Item = Result<v1::Update, Status>> + Send>>;

#[async_trait::async_trait]
impl v1::devctl_server::Devctl for Api {
    type UpStream = Updates;
    type DownStream = Updates;
    type ActStream = Updates;
    type EventsStream = Updates;
    type TrafficStream = Pin<Box<dyn futures::Stream<Item = Result<v1::TrafficRecord, Status>> + Send>>;

    async fn hello(&self, _request: Request<v1::HelloRequest>) -> Result<Response<v1::HelloReply>, Status> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Hello { reply })?;
        let attached_clients = answer.await.map_err(|_| ending())?;
        Ok(Response::new(v1::HelloReply {
            daemon_version: VERSION.to_owned(),
            attached_clients,
            ..self.hello.clone()
        }))
    }

    async fn up(&self, request: Request<v1::UpRequest>) -> Result<Response<Self::UpStream>, Status> {
        let request = request.into_inner();
        let (reply, own) = mpsc::unbounded_channel();
        let subscription = self.feed.subscribe(None);
        let attached = request.attach.then(|| Attached::new(self)).transpose()?;
        let stays = request.attach;
        let wait = if request.create {
            Wait::Created
        } else if request.wait || request.attach {
            Wait::Ready
        } else {
            Wait::Started
        };
        let mut preparer = self.preparer.lock().await;
        match preparer.up(request, wait, reply.clone()).await {
            Ok(command) => self.send(Command::Up(Box::new(command)))?,
            Err(outcome) => {
                let _here = reply.send(convert::update(v1::update::What::Outcome(outcome)));
                return Ok(stream(subscription, own, None, false));
            }
        }
        Ok(stream(subscription, own, attached, stays))
    }

    async fn down(&self, request: Request<v1::DownRequest>) -> Result<Response<Self::DownStream>, Status> {
        let request = request.into_inner();
        let (reply, own) = mpsc::unbounded_channel();
        let subscription = self.feed.subscribe(None);
        let all_data = request.volumes && request.services.is_empty();
        // An `up` that is under way is taken down as well, and not started behind the back of whoever was told that all is down.
        let preparer = self.preparer.clone().lock_owned().await;
        if all_data {
            // Data of nodes that nobody knows any more goes as well; an `up` that comes meanwhile waits until it is gone.
            let dirs = self.dirs.clone();
            let (through, mut before) = (reply, own);
            let (reply, own) = mpsc::unbounded_channel();
            self.send(Command::Down {
                request,
                reply: through,
            })?;
            self.removing.spawn(async move {
                let _nobody_prepares = preparer;
                while let Some(update) = before.recv().await {
                    if matches!(update.what, Some(v1::update::What::Outcome(_)))
                        && let Err(error) = crate::remove::all_data(&dirs).await
                    {
                        tracing::warn!(%error, "not all data could be removed");
                    }
                    let _gone = reply.send(update);
                }
            });
            return Ok(stream(subscription, own, None, false));
        }
        self.send(Command::Down { request, reply })?;
        Ok(stream(subscription, own, None, false))
    }

    async fn act(&self, request: Request<v1::ActRequest>) -> Result<Response<Self::ActStream>, Status> {
        let request = request.into_inner();
        let verb = match request.verb() {
            v1::Verb::Start => Verb::Start,
            v1::Verb::Stop => Verb::Stop,
            v1::Verb::Restart => Verb::Restart,
            v1::Verb::Kill => Verb::Kill {
                signal: signal_name(&request.signal)?,
            },
            v1::Verb::Pause => Verb::Pause,
            v1::Verb::Unpause => Verb::Unpause,
            v1::Verb::Unspecified => return Err(Status::invalid_argument("no verb")),
        };
        let (reply, own) = mpsc::unbounded_channel();
        let subscription = self.feed.subscribe(None);
        self.send(Command::Act { verb, request, reply })?;
        Ok(stream(subscription, own, None, false))
    }

    async fn status(&self, request: Request<v1::StatusRequest>) -> Result<Response<v1::StatusReply>, Status> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Status {
            request: request.into_inner(),
            reply,
        })?;
        answer.await.map(Response::new).map_err(|_| ending())
    }

    async fn events(&self, request: Request<v1::EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        let request = request.into_inner();
        let (sender, receiver) = mpsc::channel(BUFFER);
        let mut subscription = self.feed.subscribe((request.from > 0).then_some(request.from));
        let lines = request.logs.map(|query| lines(&self.logs, &query, request.follow));
        tokio::spawn(async move {
            let send = async |what| sender.send(Ok(convert::update(what))).await.is_ok();
            let mut lines = lines;
            if !request.follow {
                while let Some(notice) = subscription.kept() {
                    if !send(v1::update::What::Notice(notice)).await {
                        return;
                    }
                }
                while let Some(record) = lines.as_mut().and_then(devctl_drivers::log::Follow::try_next) {
                    if !send(v1::update::What::Log(line(record))).await {
                        return;
                    }
                }
                return;
            }
            loop {
                let next = async {
                    match &mut lines {
                        Some(lines) => lines.next().await,
                        None => std::future::pending().await,
                    }
                };
                let what = tokio::select! {
                    item = subscription.next() => {
                        // What was printed before is told before: whoever hears of a run's end hears no more of what it said.
                        let now = Timestamp::now();
                        while let Some(record) = lines.as_mut().and_then(devctl_drivers::log::Follow::try_next) {
                            let is_later = record.time > now;
                            if !send(v1::update::What::Log(line(record))).await {
                                return;
                            }
                            if is_later {
                                break;
                            }
                        }
                        match item {
                            Some(Item::Notice(notice)) => v1::update::What::Notice(*notice),
                            Some(Item::Node(node)) => v1::update::What::Node(*node),
                            None => return,
                        }
                    }
                    record = next => match record {
                        Some(record) => v1::update::What::Log(line(record)),
                        None => { lines = None; continue }
                    },
                    () = sender.closed() => return,
                };
                if !send(what).await {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn release(&self, request: Request<v1::ReleaseRequest>) -> Result<Response<v1::ReleaseReply>, Status> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Release {
            kill: request.into_inner().kill,
            reply,
        })?;
        let last = answer.await.map_err(|_| ending())?;
        Ok(Response::new(v1::ReleaseReply { last }))
    }

    async fn inside(&self, request: Request<v1::InsideRequest>) -> Result<Response<v1::InsideReply>, Status> {
        let request = request.into_inner();
        let service = request.service.clone();
        let (reply, answer) = oneshot::channel();
        self.send(Command::Inside { request, reply })?;
        let found = answer.await.map_err(|_| ending())?;
        found.map(Response::new).ok_or_else(|| {
            Status::not_found(format!(
                "the running project has no service `{service}`\nhelp: `devctl up {service}` adds it"
            ))
        })
    }

    async fn one_off(&self, request: Request<v1::OneOffRequest>) -> Result<Response<v1::OneOffReply>, Status> {
        let request = request.into_inner();
        let (reply, answer) = oneshot::channel();
        self.send(Command::Spec {
            service: request.service.clone(),
            reply,
        })?;
        let spec = answer.await.map_err(|_| ending())?;
        let container = crate::one_off::make(spec.as_deref(), &request).await?;
        Ok(Response::new(v1::OneOffReply { container }))
    }

    async fn fault(&self, request: Request<v1::FaultRequest>) -> Result<Response<v1::FaultReply>, Status> {
        edges::fault(&self.edges, &request.into_inner()).map(Response::new)
    }

    async fn traffic(&self, request: Request<v1::TrafficRequest>) -> Result<Response<Self::TrafficStream>, Status> {
        let request = request.into_inner();
        let ends = Ends::parse(&request.edge)?;
        if !request.edge.is_empty() {
            ends.among(&self.edges, &request.edge)?;
        }
        let filter = ends.filter();
        let most = if request.tail == 0 {
            usize::MAX
        } else {
            request.tail as usize
        };
        let kept = self.edges.traffic().records(&filter, most);
        let (sender, receiver) = mpsc::channel(BUFFER);
        let after = kept.last().map(devctl_edge::Record::number);
        let mut live = request
            .follow
            .then(|| self.edges.traffic().follow(Filter { after, ..filter }));
        tokio::spawn(async move {
            for record in &kept {
                if sender.send(Ok(edges::record_of(record))).await.is_err() {
                    return;
                }
            }
            while let Some(live) = &mut live {
                let next = tokio::select! {
                    next = live.next() => next,
                    () = sender.closed() => return,
                };
                let Some(next) = next else { return };
                if sender.send(Ok(edges::followed(&next))).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn stub(&self, request: Request<v1::StubRequest>) -> Result<Response<v1::StubReply>, Status> {
        let request = request.into_inner();
        let mut stubs = Vec::new();
        let mut remarks = Vec::new();
        if !request.off {
            let preparer = self.preparer.lock().await;
            for service in &request.services {
                let made = preparer.stubs_of(service, &mut remarks).await?;
                if made.is_empty() {
                    return Err(Status::failed_precondition(format!(
                        "`{service}` cannot be answered from contracts: {}",
                        match remarks.last() {
                            Some(remark) => remark.text.as_str(),
                            None => "nobody calls it",
                        }
                    )));
                }
                stubs.extend(made);
            }
        }
        let (reply, answer) = oneshot::channel();
        self.send(Command::Stub {
            services: request.services,
            off: request.off,
            stubs,
            reply,
        })?;
        let stubbed = answer.await.map_err(|_| ending())?;
        let problems = remarks
            .into_iter()
            .map(|remark| v1::Diagnostic {
                level: v1::Level::Warning.into(),
                text: remark.text,
            })
            .collect();
        Ok(Response::new(v1::StubReply { stubbed, problems }))
    }
}

impl Api {
    fn send(&self, command: Command) -> Result<(), Status> {
        self.wake.send(Wake::Command(command)).map_err(|_| ending())
    }
}

/// An attached client, for as long as its stream lives.
struct Attached {
    wake: mpsc::UnboundedSender<Wake>,
}

impl Attached {
    fn new(api: &Api) -> Result<Self, Status> {
        api.send(Command::Attached)?;
        Ok(Self { wake: api.wake.clone() })
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let _ended = self.wake.send(Wake::Command(Command::Detached));
    }
}

fn ending() -> Status {
    Status::unavailable("the daemon is ending")
}

/// What happens, and what this client alone is told. The stream ends with its outcome; of a client that stays, with the second one.
fn stream(
    mut subscription: Subscription,
    mut own: mpsc::UnboundedReceiver<v1::Update>,
    attached: Option<Attached>,
    stays: bool,
) -> Response<Updates> {
    let (sender, receiver) = mpsc::channel(BUFFER);
    tokio::spawn(async move {
        let _attached = attached;
        let mut outcomes = if stays { 2 } else { 1 };
        let mut happens = true;
        while outcomes > 0 {
            let update = tokio::select! {
                // In this order: what happened before the outcome is told before it.
                biased;
                () = sender.closed() => return,
                item = subscription.next(), if happens => match item {
                    Some(Item::Notice(notice)) => convert::update(v1::update::What::Notice(*notice)),
                    Some(Item::Node(node)) => convert::update(v1::update::What::Node(*node)),
                    // The daemon ends; how it went for this client may still come.
                    None => {
                        happens = false;
                        continue;
                    }
                },
                update = own.recv() => match update {
                    Some(update) => update,
                    None => return,
                },
            };
            if let Some(v1::update::What::Outcome(outcome)) = &update.what {
                let last = matches!(
                    outcome.result(),
                    v1::Result::Stopped | v1::Result::Ended | v1::Result::Invalid | v1::Result::Planned
                );
                outcomes = if last { 0 } else { outcomes - 1 };
            }
            if sender.send(Ok(update)).await.is_err() {
                return;
            }
        }
    });
    Response::new(Box::pin(ReceiverStream::new(receiver)))
}

fn lines(logs: &LogStore, query: &v1::LogQuery, follow: bool) -> devctl_drivers::log::Follow {
    let time = |ns: Option<i64>| ns.and_then(|ns| Timestamp::from_nanosecond(ns.into()).ok());
    let query = Query {
        nodes: query.services.clone(),
        since: time(query.since_unix_ns),
        until: time(query.until_unix_ns),
        tail: query.tail.and_then(|tail| usize::try_from(tail).ok()),
        ..Query::default()
    };
    if follow { logs.follow(&query) } else { logs.read(&query) }
}

fn line(record: Record) -> v1::LogLine {
    v1::LogLine {
        node: record.node,
        run: record.run,
        time_unix_ns: i64::try_from(record.time.as_nanosecond()).unwrap_or(i64::MAX),
        stream: match record.stream {
            LineStream::Stdout => v1::LogStream::Stdout,
            LineStream::Stderr => v1::LogStream::Stderr,
            LineStream::Devctl => v1::LogStream::Devctl,
        }
        .into(),
        line: record.bytes,
        continues: record.continues,
    }
}

/// `KILL`, `SIGKILL`, `9`: as people write signals.
fn signal_name(written: &str) -> Result<String, Status> {
    use nix::sys::signal::Signal;
    if written.is_empty() {
        return Ok("SIGKILL".to_owned());
    }
    let upper = written.to_uppercase();
    let by_number = upper
        .parse::<i32>()
        .ok()
        .and_then(|number| Signal::try_from(number).ok());
    let by_name = || {
        upper
            .parse::<Signal>()
            .or_else(|_| format!("SIG{upper}").parse::<Signal>())
            .ok()
    };
    by_number
        .or_else(by_name)
        .map(|signal| signal.to_string())
        .ok_or_else(|| Status::invalid_argument(format!("there is no signal `{written}`")))
}

#[cfg(test)]
mod tests {
    use devctl_drivers::dirs::Places;
    use devctl_drivers::lease::Leases;
    use devctl_drivers::log::{Redaction, Retention};
    use devctl_edge::EdgesConfig;
    use devctl_wire::v1::devctl_server::Devctl as _;
    use futures::StreamExt as _;

    use super::*;
    use crate::engines::Engines;

    fn api(dir: &std::path::Path) -> Api {
        let places = Places {
            devctl_home: Some(dir.join("home")),
            ..Places::default()
        };
        let dirs = Arc::new(Dirs::of_project(dir, "shop", &places));
        let (wake, _nobody) = mpsc::unbounded_channel();
        let edges = Arc::new(Edges::new(EdgesConfig::default()).unwrap());
        let engines = Engines::new(wake.clone());
        let preparer = Preparer::new(dirs.clone(), Leases::at(&dirs.leases), edges.clone(), engines);
        Api {
            wake,
            feed: Feed::new(),
            edges,
            logs: LogStore::new(&dirs.logs, Retention::default()),
            dirs,
            preparer: Arc::new(Mutex::new(preparer)),
            removing: TaskTracker::new(),
            hello: v1::HelloReply::default(),
        }
    }

    #[tokio::test]
    async fn what_a_run_has_printed_is_told_before_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let api = api(dir.path());
        let request = v1::EventsRequest {
            follow: true,
            logs: Some(v1::LogQuery {
                services: vec!["job".to_owned()],
                tail: Some(0),
                ..v1::LogQuery::default()
            }),
            ..v1::EventsRequest::default()
        };
        let mut updates = api.events(Request::new(request)).await.unwrap().into_inner();
        let log = api.logs.run("job", 1, Redaction::default());
        for number in 0..200 {
            log.line(LineStream::Stdout, format!("line {number}").as_bytes());
        }
        api.feed.node(v1::NodeStatus {
            id: "job".to_owned(),
            exit_code: Some(0),
            ..v1::NodeStatus::default()
        });
        let mut lines = 0;
        loop {
            match updates.next().await.unwrap().unwrap().what {
                Some(v1::update::What::Log(_)) => lines += 1,
                Some(v1::update::What::Node(node)) => break assert_eq!((lines, node.exit_code), (200, Some(0))),
                other => panic!("{other:?}"),
            }
        }
    }
}
