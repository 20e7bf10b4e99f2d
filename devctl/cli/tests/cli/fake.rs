//! A daemon that follows a script: it serves the API at a project's socket, in the test's own process, and writes down what it is asked.

use std::path::Path;
use std::sync::{Arc, Mutex};

use devctl_wire::v1::devctl_server::{Devctl, DevctlServer};
use devctl_wire::v1::{
    ActRequest, DownRequest, EventsRequest, FaultReply, FaultRequest, HelloReply, HelloRequest, InsideReply,
    InsideRequest, OneOffReply, OneOffRequest, ReleaseReply, ReleaseRequest, StatusReply, StatusRequest, StubReply,
    StubRequest, TrafficRecord, TrafficRequest, UpRequest, Update, update::What,
};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Request, Response, Status};

/// What a stream does, in order.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Sends an update.
    Send(Box<What>),
    /// Waits until a client lets go so many times.
    AwaitRelease(u32),
    /// Waits until the stream of logs was asked for: the client is attached.
    AwaitLogs,
    /// Fails.
    Fail(tonic::Code, &'static str),
}

impl From<What> for Step {
    fn from(what: What) -> Self {
        Step::Send(Box::new(what))
    }
}

/// What is answered to what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// To `Up`.
    pub(crate) up: Vec<Step>,
    /// To `Down`.
    pub(crate) down: Vec<Step>,
    /// To `Act`.
    pub(crate) act: Vec<Step>,
    /// To `Events`.
    pub(crate) events: Vec<Step>,
    /// To `Status`.
    pub(crate) status: StatusReply,
    /// To `Fault`.
    pub(crate) fault: FaultReply,
    /// To `Traffic`.
    pub(crate) traffic: Vec<TrafficRecord>,
    /// To `Stub`.
    pub(crate) stub: StubReply,
    /// To `Inside`.
    pub(crate) inside: InsideReply,
    /// The version that is claimed; empty: the right one.
    pub(crate) version: String,
    /// Others are attached as well.
    pub(crate) others: bool,
}

/// The daemon; it ends when this is dropped.
pub(crate) struct Fake {
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Up(Box<UpRequest>),
    Down(DownRequest),
    Act(ActRequest),
    Release(ReleaseRequest),
    Events(EventsRequest),
    Fault(FaultRequest),
    Traffic(TrafficRequest),
    Stub(StubRequest),
    Status,
}

impl Fake {
    /// Serves at that socket.
    pub(crate) fn serve(socket: &Path, script: Script) -> Self {
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel::<()>();
        let (listening, is_listening) = std::sync::mpsc::channel();
        let service = Service {
            script,
            asked: asked.clone(),
            releases: watch::Sender::new(0),
            logs: watch::Sender::new(false),
        };
        let socket = socket.to_owned();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = UnixListener::bind(&socket).unwrap();
                listening.send(()).unwrap();
                tonic::transport::Server::builder()
                    .add_service(DevctlServer::new(service))
                    .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async {
                        let _ = stopped.await;
                    })
                    .await
                    .unwrap();
            });
        });
        is_listening.recv().unwrap();
        Self {
            asked,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The only `Up` that was asked for.
    pub(crate) fn up(&self) -> UpRequest {
        let ups: Vec<UpRequest> = self
            .asked()
            .into_iter()
            .filter_map(|asked| if let Asked::Up(up) = asked { Some(*up) } else { None })
            .collect();
        let [up] = ups.try_into().unwrap();
        up
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        let ended = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}

struct Service {
    script: Script,
    asked: Arc<Mutex<Vec<Asked>>>,
    releases: watch::Sender<u32>,
    logs: watch::Sender<bool>,
}

type Updates = ReceiverStream<Result<Update, Status>>;

impl Service {
    fn note(&self, asked: Asked) {
        self.asked.lock().unwrap().push(asked);
    }

    fn play(&self, steps: &[Step]) -> Response<Updates> {
        let (sender, receiver) = mpsc::channel(64);
        let steps = steps.to_vec();
        let (mut releases, mut logs) = (self.releases.subscribe(), self.logs.subscribe());
        tokio::spawn(async move {
            for step in steps {
                match step {
                    Step::Send(what) => {
                        let _ = sender.send(Ok(Update { what: Some(*what) })).await;
                    }
                    Step::AwaitRelease(count) => {
                        let _ = releases.wait_for(|released| *released >= count).await;
                    }
                    Step::AwaitLogs => {
                        let _ = logs.wait_for(|asked| *asked).await;
                    }
                    Step::Fail(code, message) => {
                        let _ = sender.send(Err(Status::new(code, message))).await;
                    }
                }
            }
        });
        Response::new(ReceiverStream::new(receiver))
    }
}

#[tonic::async_trait]
impl Devctl for Service {
    type UpStream = Updates;
    type DownStream = Updates;
    type ActStream = Updates;
    type EventsStream = Updates;
    type TrafficStream = ReceiverStream<Result<TrafficRecord, Status>>;

    async fn hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let version = &self.script.version;
        Ok(Response::new(HelloReply {
            daemon_version: if version.is_empty() {
                devctl_wire::VERSION.into()
            } else {
                version.clone()
            },
            pid: 4711,
            ..Default::default()
        }))
    }

    async fn up(&self, request: Request<UpRequest>) -> Result<Response<Updates>, Status> {
        self.note(Asked::Up(Box::new(request.into_inner())));
        Ok(self.play(&self.script.up))
    }

    async fn down(&self, request: Request<DownRequest>) -> Result<Response<Updates>, Status> {
        self.note(Asked::Down(request.into_inner()));
        Ok(self.play(&self.script.down))
    }

    async fn act(&self, request: Request<ActRequest>) -> Result<Response<Updates>, Status> {
        self.note(Asked::Act(request.into_inner()));
        Ok(self.play(&self.script.act))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        self.note(Asked::Status);
        Ok(Response::new(self.script.status.clone()))
    }

    async fn events(&self, request: Request<EventsRequest>) -> Result<Response<Updates>, Status> {
        let request = request.into_inner();
        self.logs
            .send_if_modified(|asked| std::mem::replace(asked, request.logs.is_some()) != request.logs.is_some());
        self.note(Asked::Events(request));
        Ok(self.play(&self.script.events))
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseReply>, Status> {
        self.note(Asked::Release(request.into_inner()));
        self.releases.send_modify(|count| *count += 1);
        Ok(Response::new(ReleaseReply {
            last: !self.script.others,
        }))
    }

    async fn fault(&self, request: Request<FaultRequest>) -> Result<Response<FaultReply>, Status> {
        self.note(Asked::Fault(request.into_inner()));
        Ok(Response::new(self.script.fault.clone()))
    }

    async fn traffic(&self, request: Request<TrafficRequest>) -> Result<Response<Self::TrafficStream>, Status> {
        self.note(Asked::Traffic(request.into_inner()));
        let (sender, receiver) = mpsc::channel(64);
        for record in &self.script.traffic {
            let _ = sender.send(Ok(record.clone())).await;
        }
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn inside(&self, _: Request<InsideRequest>) -> Result<Response<InsideReply>, Status> {
        Ok(Response::new(self.script.inside.clone()))
    }

    async fn one_off(&self, _: Request<OneOffRequest>) -> Result<Response<OneOffReply>, Status> {
        Err(Status::unimplemented("no containers here"))
    }

    async fn stub(&self, request: Request<StubRequest>) -> Result<Response<StubReply>, Status> {
        self.note(Asked::Stub(request.into_inner()));
        Ok(Response::new(self.script.stub.clone()))
    }
}
