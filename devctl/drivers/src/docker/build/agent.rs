//! SSH agents that steps may ask to sign for them (Compose: `build.ssh`).
//!
//! A name stands for the caller's own agent (`SSH_AUTH_SOCK`), for another agent's socket, or for a private key. A key is given to an
//! `ssh-agent` of its own, which lasts as long as the build: no step ever sees the key itself. Of an agent a step gets what it needs to
//! log in somewhere, the list of keys and signatures; it can neither change nor lock it.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::{Bytes, BytesMut};
use futures::{SinkExt as _, Stream, StreamExt as _};
use indexmap::IndexMap;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio_util::codec::{Framed, FramedRead, LengthDelimitedCodec};

/// The longest message that OpenSSH's own agent takes, bytes.
const LONGEST: usize = 256 * 1024;
/// What a step may ask for (draft-ietf-sshm-ssh-agent): which keys there are, and a signature.
const ALLOWED: [u8; 2] = [11, 13];
/// The agent's word for "no".
const FAILURE: u8 = 5;

/// Why there is no agent.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Nobody says where the caller's own one is.
    #[error("`SSH_AUTH_SOCK` is not set: there is no agent to ask")]
    None,
    /// It does not answer.
    #[error("the agent at `{}` does not answer", socket.display())]
    Silent {
        /// Its socket.
        socket: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The key cannot be read.
    #[error("read `{}`", path.display())]
    NoKey {
        /// Where it should be.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// There is no program that could hold a key.
    #[error("run `{program}`")]
    NoProgram {
        /// Which one.
        program: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The key is not taken: it has a passphrase, or is none.
    #[error("`ssh-add` does not take `{}`: {why}", path.display())]
    NotTaken {
        /// Which key.
        path: PathBuf,
        /// What it said.
        why: String,
    },
}

impl AgentError {
    /// The next step, for the key or agent of this name.
    pub(super) fn help(&self, id: &str) -> String {
        match self {
            Self::None => {
                format!("`eval $(ssh-agent)` and `ssh-add`, or name a key's file: `ssh: [\"{id}=~/.ssh/id_ed25519\"]`")
            }
            Self::Silent { .. } => "start one with `eval $(ssh-agent)` and give it keys with `ssh-add`".to_owned(),
            Self::NoKey { .. } => {
                format!(
                    "correct the path behind `{id}`, a private key's or an agent's socket; it is relative to the Compose file"
                )
            }
            Self::NoProgram { .. } => {
                format!(
                    "install OpenSSH's client (package `openssh-client`), or leave the path behind `{id}` out and use an agent"
                )
            }
            Self::NotTaken { path, .. } => format!(
                "a key with a passphrase is given to your own agent: `ssh-add {}`, and `ssh: [{id}]` without a path",
                path.display()
            ),
        }
    }
}

/// Where the agent of each name listens.
#[derive(Debug, Default)]
pub(super) struct Agents {
    sockets: HashMap<String, PathBuf>,
    /// Ended with the build.
    _own: Vec<Own>,
}

impl Agents {
    /// Finds each one, or starts it.
    ///
    /// # Errors
    /// The first name for which there is none.
    pub(super) async fn gather(
        wanted: &IndexMap<String, Option<PathBuf>>,
        env: &IndexMap<String, String>,
    ) -> Result<Self, (String, AgentError)> {
        let mut agents = Self::default();
        for (id, path) in wanted {
            let found = agents.find(path.as_deref(), env).await;
            let socket = found.map_err(|error| (id.clone(), error))?;
            agents.sockets.insert(id.clone(), socket);
        }
        Ok(agents)
    }

    async fn find(&mut self, path: Option<&Path>, env: &IndexMap<String, String>) -> Result<PathBuf, AgentError> {
        let socket = match path {
            None => {
                let named = env.get("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
                PathBuf::from(named.ok_or(AgentError::None)?)
            }
            Some(path) => {
                let no_key = |source| AgentError::NoKey {
                    path: path.to_owned(),
                    source,
                };
                let kind = tokio::fs::metadata(path).await.map_err(no_key)?.file_type();
                if kind.is_socket() {
                    path.to_owned()
                } else {
                    let key = tokio::fs::read(path).await.map_err(no_key)?;
                    let own = Own::start(path, &key, env).await?;
                    let socket = own.socket.clone();
                    self._own.push(own);
                    socket
                }
            }
        };
        match UnixStream::connect(&socket).await {
            Ok(_) => Ok(socket),
            Err(source) => Err(AgentError::Silent { socket, source }),
        }
    }

    /// Whether steps may use any.
    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Where the agent of this name listens; an empty one is `default`.
    pub(super) fn socket(&self, id: &str) -> Option<&Path> {
        let id = if id.is_empty() { "default" } else { id };
        self.sockets.get(id).map(PathBuf::as_path)
    }
}

/// An agent that holds one key.
#[derive(Debug)]
struct Own {
    socket: PathBuf,
    _lasts: Child,
    _dir: tempfile::TempDir,
}

impl Own {
    async fn start(path: &Path, key: &[u8], env: &IndexMap<String, String>) -> Result<Self, AgentError> {
        let missing = |program| move |source| AgentError::NoProgram { program, source };
        let dir = tempfile::tempdir().map_err(missing("ssh-agent"))?;
        let socket = dir.path().join("agent");
        // It lasts as long as the command that it is given: one that ends with its input, and so with devctl, however that ends.
        let mut lasts = Command::new("ssh-agent")
            .arg("-a")
            .arg(&socket)
            .args(["--", "cat"])
            .env_clear()
            .envs(env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(missing("ssh-agent"))?;
        // The command is only run once the agent listens: an echo tells that it does.
        if let (Some(stdin), Some(stdout)) = (&mut lasts.stdin, &mut lasts.stdout) {
            stdin.write_all(b"\n").await.map_err(missing("ssh-agent"))?;
            let mut echo = String::new();
            let read = BufReader::new(stdout).read_line(&mut echo).await;
            read.map_err(missing("ssh-agent"))?;
        }
        let mut adds = Command::new("ssh-add")
            .args(["-q", "-"])
            .env_clear()
            .envs(env)
            .env("SSH_AUTH_SOCK", &socket)
            // Nobody is there to type a passphrase: asked for one, it is told no.
            .env("SSH_ASKPASS", "false")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(missing("ssh-add"))?;
        if let Some(mut stdin) = adds.stdin.take() {
            // One that has ended already says why below.
            let _ended = stdin.write_all(key).await;
        }
        let added = adds.wait_with_output().await.map_err(missing("ssh-add"))?;
        if !added.status.success() {
            let words = String::from_utf8_lossy(&added.stderr);
            let last = words.lines().map(str::trim).rfind(|line| !line.is_empty());
            return Err(AgentError::NotTaken {
                path: path.to_owned(),
                why: last.unwrap_or("it has a passphrase").to_owned(),
            });
        }
        Ok(Self {
            socket,
            _lasts: lasts,
            _dir: dir,
        })
    }
}

/// Answers a step's messages, one at a time.
pub(super) fn answers(
    step: impl AsyncRead + Send + Unpin + 'static,
    agent: UnixStream,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let asked = FramedRead::new(step, messages());
    let agent = Framed::new(agent, messages());
    futures::stream::try_unfold((asked, agent), |(mut asked, mut agent)| async move {
        let Some(message) = asked.next().await.transpose()? else {
            return Ok(None);
        };
        let allowed = message.first().is_some_and(|kind| ALLOWED.contains(kind));
        let answer = if allowed {
            agent.send(message.freeze()).await?;
            match agent.next().await.transpose()? {
                Some(answer) => answer,
                None => return Ok(None),
            }
        } else {
            BytesMut::from(&[FAILURE][..])
        };
        let length = u32::try_from(answer.len()).map_err(io::Error::other)?;
        let mut bytes = BytesMut::with_capacity(answer.len() + 4);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&answer);
        Ok(Some((bytes.freeze(), (asked, agent))))
    })
}

fn messages() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(LONGEST).new_codec()
}

#[cfg(test)]
mod tests;
