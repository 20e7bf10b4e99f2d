//! A client for calls that are known by their descriptors alone: HTTP/2 by prior knowledge, one connection that is kept
//! and made again when it was lost.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde_json::Value;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::json::{Unset, to_json};
use super::{Code, Proto, frame, shape};

/// More than this of an answer is not read.
const LONGEST_ANSWER: usize = 64 << 20;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answered {
    /// What came before the messages, and what came after them.
    pub metadata: HeaderMap,
    /// Encoded, without their frames.
    pub messages: Vec<Bytes>,
    /// How it ended.
    pub code: Code,
    /// `grpc-message`, decoded.
    pub message: String,
}

/// Why there is no answer. None of these is the provider's word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// No connection.
    #[error("connect: {0}")]
    Unreachable(String),
    /// The connection went away before the answer was whole.
    #[error("read the answer: {0}")]
    Lost(String),
    /// The call cannot be made as it stands.
    #[error("make the call: {0}")]
    Request(String),
    /// The answer was not whole in time.
    #[error("no answer within {} ms", .0.as_millis())]
    TooLate(Duration),
}

/// A connection to a provider. Calls may be made side by side.
#[derive(Debug)]
pub struct Client {
    authority: String,
    connection: Mutex<Option<Connection>>,
}

#[derive(Debug)]
struct Connection {
    send: SendRequest<Bytes>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    /// A client of the provider at `address`: `127.0.0.1:9090`, `localhost:9090` or `http://127.0.0.1:9090`. It connects
    /// at the first call.
    pub fn new(address: &str) -> Self {
        let authority = address.split_once("://").map_or(address, |(_, rest)| rest);
        Self {
            authority: authority.trim_end_matches('/').to_owned(),
            connection: Mutex::new(None),
        }
    }

    /// Where it calls.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Calls `package.Service/Method` with one encoded message. The whole answer must come within `limit`.
    ///
    /// # Errors
    ///
    /// Where no answer came; a status that says that something failed is an answer.
    pub async fn call(
        &self,
        path: &str,
        metadata: &HeaderMap,
        message: &[u8],
        limit: Duration,
    ) -> Result<Answered, Unanswered> {
        match tokio::time::timeout(limit, self.exchange(path, metadata, message)).await {
            Ok(answered) => answered,
            Err(_) => Err(Unanswered::TooLate(limit)),
        }
    }

    /// Calls a method of `proto` with a message by its fields' names, as a trigger or a step of a state writes it.
    /// Answers with the answer's messages in the same form.
    ///
    /// # Errors
    ///
    /// In words, also where the status is not `OK`.
    pub async fn call_json(
        &self,
        proto: &Proto,
        method: &str,
        metadata: &[(String, String)],
        message: &Value,
        limit: Duration,
    ) -> Result<Vec<Value>, String> {
        let method = proto.method(method).map_err(|cause| match cause.help() {
            Some(help) => format!("{cause}; {help}"),
            None => cause.to_string(),
        })?;
        let path = super::proto::path(&method);
        let message = shape::literal(&method.input(), message).map_err(|cause| format!("the message: {cause}"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in metadata {
            match (name.parse::<http::HeaderName>(), value.parse::<HeaderValue>()) {
                (Ok(name), Ok(value)) => headers.append(name, value),
                _ => return Err(format!("`{name}: {value}` is no metadata")),
            };
        }
        let answered = self
            .call(&path, &headers, &message.encode_to_vec(), limit)
            .await
            .map_err(|cause| format!("{path}: {cause}"))?;
        if answered.code != Code::Ok {
            return Err(format!("{path} answered {}: {}", answered.code, answered.message));
        }
        Ok(answered
            .messages
            .iter()
            .map(|bytes| shown(&method.output(), bytes))
            .collect())
    }

    async fn exchange(&self, path: &str, metadata: &HeaderMap, message: &[u8]) -> Result<Answered, Unanswered> {
        let mut again = true;
        loop {
            let mut send = self.ready().await?;
            let request = self.request(path, metadata)?;
            let (response, mut body) = send
                .send_request(request, false)
                .map_err(|cause| Unanswered::Lost(cause.to_string()))?;
            let sent = body.send_data(frame::frame(message), true);
            match response.await {
                Ok(response) => return read(response).await,
                // What was refused was not acted on, so it may be sent again; a server that drains does this.
                Err(cause) if again && cause.reason() == Some(h2::Reason::REFUSED_STREAM) => {
                    again = false;
                    *self.connection.lock().await = None;
                }
                Err(cause) => {
                    let cause = sent.err().unwrap_or(cause);
                    return Err(Unanswered::Lost(cause.to_string()));
                }
            }
        }
    }

    /// The kept connection, or a new one where it was lost meanwhile.
    async fn ready(&self) -> Result<SendRequest<Bytes>, Unanswered> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = &*kept
            && !connection.task.is_finished()
            && let Ok(ready) = connection.send.clone().ready().await
        {
            return Ok(ready);
        }
        let made = self.connect().await?;
        let send = made.send.clone();
        *kept = Some(made);
        send.ready()
            .await
            .map_err(|cause| Unanswered::Unreachable(cause.to_string()))
    }

    async fn connect(&self) -> Result<Connection, Unanswered> {
        let failed = |cause: &dyn std::error::Error| Unanswered::Unreachable(cause.to_string());
        let addresses: Vec<SocketAddr> = lookup_host(&self.authority)
            .await
            .map_err(|cause| failed(&cause))?
            .collect();
        let socket = TcpStream::connect(&addresses[..])
            .await
            .map_err(|cause| failed(&cause))?;
        let _ = socket.set_nodelay(true);
        let mut builder = h2::client::Builder::new();
        // A long stream is not held up by our window.
        builder
            .initial_window_size(1 << 20)
            .initial_connection_window_size(1 << 22);
        let (send, connection) = builder.handshake(socket).await.map_err(|cause| failed(&cause))?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a provider's connection ended");
            }
        });
        Ok(Connection { send, task })
    }

    fn request(&self, path: &str, metadata: &HeaderMap) -> Result<Request<()>, Unanswered> {
        let mut request = Request::builder()
            .method(Method::POST)
            .version(Version::HTTP_2)
            .uri(format!("http://{}/{path}", self.authority))
            .body(())
            .map_err(|cause| Unanswered::Request(cause.to_string()))?;
        let headers = request.headers_mut();
        headers.extend(metadata.clone());
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip"));
        Ok(request)
    }
}

async fn read(response: http::Response<h2::RecvStream>) -> Result<Answered, Unanswered> {
    let lost = |cause: h2::Error| Unanswered::Lost(cause.to_string());
    let (head, mut body) = response.into_parts();
    let mut whole = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(lost)?;
        body.flow_control().release_capacity(data.len()).map_err(lost)?;
        if whole.len() + data.len() > LONGEST_ANSWER {
            return Err(Unanswered::Lost(format!("it is longer than {LONGEST_ANSWER} bytes")));
        }
        whole.extend_from_slice(&data);
    }
    let trailers = body.trailers().await.map_err(lost)?.unwrap_or_default();
    let mut metadata = head.headers;
    metadata.extend(trailers);
    let text = |name: &str| metadata.get(name).and_then(|value| value.to_str().ok());
    let status = text("grpc-status").map(|status| (Code::parse(status).unwrap_or(Code::Unknown), status.to_owned()));
    let Some((code, _)) = status else {
        return Ok(Answered {
            code: of_http(head.status),
            message: format!("the answer is no gRPC: HTTP {} without grpc-status", head.status),
            metadata,
            messages: Vec::new(),
        });
    };
    let message = text("grpc-message").map(frame::decoded).unwrap_or_default();
    match frame::messages(whole.freeze(), text("grpc-encoding")) {
        Ok(messages) => Ok(Answered {
            messages,
            code,
            message,
            metadata,
        }),
        Err(cause) => Err(Unanswered::Lost(cause)),
    }
}

/// The code that stands for an answer that is plain HTTP, as gRPC's own specification maps them.
fn of_http(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// A message as reports show it.
pub(crate) fn shown(of: &MessageDescriptor, bytes: &Bytes) -> Value {
    match DynamicMessage::decode(of.clone(), bytes.clone()) {
        Ok(message) => shown_message(&message),
        Err(cause) => Value::from(format!(
            "{} bytes that are no `{}`: {cause}",
            bytes.len(),
            of.full_name()
        )),
    }
}

/// As [`shown`].
pub(crate) fn shown_message(message: &DynamicMessage) -> Value {
    to_json(message, Unset::Hidden)
}
