//! What BuildKit may ask of devctl while it builds: the context's archive, secrets, agents, logins.
//!
//! It asks over a connection that devctl opens and then serves (the engine's `/session`), a few services of BuildKit's own, by gRPC.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use bollard::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use bollard::moby::sshforward::v1::ssh_server::{Ssh, SshServer};
use bollard::moby::sshforward::v1::{BytesMessage as SshMessage, CheckAgentRequest, CheckAgentResponse};
use bollard::moby::upload::v1::BytesMessage as UploadMessage;
use bollard::moby::upload::v1::upload_server::{Upload, UploadServer};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use hyper::server::conn::http2;
use hyper_util::rt::TokioExecutor;
use hyper_util::service::TowerToHyperService;
use indexmap::IndexMap;
use tokio::net::UnixStream;
use tokio_util::io::StreamReader;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::agent::{self, Agents};
use super::archive;
use super::context::Context;
use crate::docker::Engine;
use crate::docker::auth::Credentials;
use crate::docker::upgrade::{UpgradeError, to_http2};

/// How BuildKit calls the registry of names without one, and how `config.json` does.
const HUB: (&str, &str) = ("registry-1.docker.io", "https://index.docker.io/v1/");
/// Which agent a step means.
const AGENT: &str = "buildkit.ssh.id";

/// What one build may be given.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) secrets: HashMap<String, Vec<u8>>,
    pub(super) agents: Agents,
    pub(super) logins: IndexMap<String, Credentials>,
    pub(super) context: Option<Arc<Context>>,
}

type Pinned<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Session {
    /// Opens it under this id. The future that comes back serves it, and ends only when the engine or the connection does.
    pub(super) async fn open(
        self,
        engine: &Engine,
        id: &str,
    ) -> Result<impl Future<Output = Result<(), hyper::Error>> + Send + use<>, UpgradeError> {
        const METHOD: &str = "X-Docker-Expose-Session-Grpc-Method";
        let mut headers = vec![("X-Docker-Expose-Session-Uuid", id.to_owned())];
        let mut offer = |method: &str| headers.push((METHOD, method.to_owned()));
        offer("/grpc.health.v1.Health/Check");
        offer("/moby.filesync.v1.Auth/Credentials");
        offer("/moby.upload.v1.Upload/Pull");
        offer("/moby.buildkit.secrets.v1.Secrets/GetSecret");
        let has_agents = !self.agents.is_empty();
        if has_agents {
            offer("/moby.sshforward.v1.SSH/CheckAgent");
            offer("/moby.sshforward.v1.SSH/ForwardAgent");
        }
        let (_, health) = tonic_health::server::health_reporter();
        let session = Arc::new(self);
        let mut routes = Routes::new(health)
            .add_service(AuthServer::from_arc(Arc::clone(&session)))
            .add_service(UploadServer::from_arc(Arc::clone(&session)))
            .add_service(SecretsServer::from_arc(Arc::clone(&session)));
        if has_agents {
            routes = routes.add_service(SshServer::from_arc(session));
        }
        let connection = to_http2(engine, "/session", &headers).await?;
        let service = TowerToHyperService::new(routes);
        Ok(http2::Builder::new(TokioExecutor::new()).serve_connection(connection, service))
    }

    fn login(&self, host: &str) -> Option<&Credentials> {
        let key = if host == HUB.0 { HUB.1 } else { host };
        let host = |key: &str| key.trim_start_matches("https://").trim_end_matches('/').to_owned();
        let mut all = self.logins.iter();
        all.find_map(|(server, login)| (server == key || host(server) == key).then_some(login))
    }
}

#[tonic::async_trait]
impl Secrets for Session {
    async fn get_secret(&self, request: Request<GetSecretRequest>) -> Result<Response<GetSecretResponse>, Status> {
        let id = &request.get_ref().id;
        match self.secrets.get(id) {
            Some(data) => Ok(Response::new(GetSecretResponse { data: data.clone() })),
            // BuildKit passes over a secret that is not found where the step does not insist.
            None => Err(Status::not_found(format!("secret {id} is not of this build"))),
        }
    }
}

#[tonic::async_trait]
impl Ssh for Session {
    type ForwardAgentStream = Pinned<SshMessage>;

    async fn check_agent(&self, request: Request<CheckAgentRequest>) -> Result<Response<CheckAgentResponse>, Status> {
        let id = &request.get_ref().id;
        match self.agents.socket(id) {
            Some(_) => Ok(Response::new(CheckAgentResponse {})),
            None => Err(no_agent(id)),
        }
    }

    async fn forward_agent(
        &self,
        request: Request<Streaming<SshMessage>>,
    ) -> Result<Response<Self::ForwardAgentStream>, Status> {
        let id = request.metadata().get(AGENT).and_then(|id| id.to_str().ok());
        let id = id.unwrap_or_default().to_owned();
        let socket = self.agents.socket(&id).ok_or_else(|| no_agent(&id))?;
        let agent = UnixStream::connect(socket).await?;
        let step = request.into_inner().map_ok(|message| bytes::Bytes::from(message.data));
        let step = StreamReader::new(step.map_err(std::io::Error::other).boxed());
        let answers = agent::answers(step, agent)
            .map_ok(|bytes| SshMessage { data: bytes.to_vec() })
            .map_err(Status::from);
        Ok(Response::new(answers.boxed()))
    }
}

fn no_agent(id: &str) -> Status {
    Status::not_found(format!("no key or agent `{id}` is of this build"))
}

#[tonic::async_trait]
impl Upload for Session {
    type PullStream = Pinned<UploadMessage>;

    async fn pull(&self, _: Request<Streaming<UploadMessage>>) -> Result<Response<Self::PullStream>, Status> {
        let context = self.context.clone().ok_or_else(|| Status::not_found("no context"))?;
        let pieces = archive(context)
            .map_ok(|bytes| UploadMessage { data: bytes.to_vec() })
            .map_err(Status::from);
        Ok(Response::new(pieces.boxed()))
    }
}

/// Only the login itself: what the engine has to fetch with it, it fetches from the registry itself.
#[tonic::async_trait]
impl Auth for Session {
    async fn credentials(&self, request: Request<CredentialsRequest>) -> Result<Response<CredentialsResponse>, Status> {
        let found = self.login(&request.get_ref().host).map(|login| {
            if login.identity_token.is_empty() {
                (login.username.clone(), login.password.clone())
            } else {
                (String::new(), login.identity_token.clone())
            }
        });
        let (username, secret) = found.unwrap_or_default();
        Ok(Response::new(CredentialsResponse { username, secret }))
    }

    async fn fetch_token(&self, _: Request<FetchTokenRequest>) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("ask the registry"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("ask the registry"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("ask the registry"))
    }
}
