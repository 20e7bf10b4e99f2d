//! Commands inside a running container: health tests, hooks.

use std::time::{Duration, Instant};

use bollard::exec::{StartExecOptions, StartExecResults};
use futures::StreamExt as _;

use super::client::Engine;
use super::error::{DockerError, Problem};
use super::{api, end};

/// A command to be run inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Variables beside the container's own, `NAME=VALUE`.
    pub env: Vec<String>,
    /// In place of the container's user.
    pub user: Option<String>,
    /// In place of the container's working directory.
    pub working_dir: Option<String>,
    /// With every capability.
    pub privileged: bool,
}

/// How a command inside went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutcome {
    /// Its exit status; `None`: it took too long and was ended.
    pub code: Option<i32>,
    /// stdout and stderr as they came: the last 16 KiB.
    pub output: String,
    /// How long it took.
    pub took: Duration,
}

const KEPT: usize = 16 * 1024;

impl Engine {
    /// Runs a command inside a container to its end; one that takes longer than `limit` is ended there. `receive` gets each piece.
    ///
    /// # Errors
    /// What the engine said. A command that fails or takes too long is an [`ExecOutcome`].
    pub async fn exec(
        &self,
        container: &str,
        spec: &ExecSpec,
        limit: Option<Duration>,
        mut receive: impl FnMut(&[u8]) + Send,
    ) -> Result<ExecOutcome, DockerError> {
        let began = Instant::now();
        let doing = || format!("run `{}` inside", spec.command.first().map_or("", String::as_str));
        let config = api::ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(spec.command.clone()),
            env: (!spec.env.is_empty()).then(|| spec.env.clone()),
            user: spec.user.clone(),
            working_dir: spec.working_dir.clone(),
            privileged: spec.privileged.then_some(true),
            ..api::ExecConfig::default()
        };
        let made = self
            .docker()
            .create_exec(container, config)
            .await
            .map_err(|error| DockerError::new(doing(), &error))?;
        let mut ended = end::OnDrop::new(self.clone(), container, &made.id);
        let started = self
            .docker()
            .start_exec(&made.id, None::<StartExecOptions>)
            .await
            .map_err(|error| DockerError::new(doing(), &error))?;
        let StartExecResults::Attached { mut output, .. } = started else {
            return Err(DockerError {
                doing: doing(),
                said: "the engine did not attach to it".to_owned(),
                problem: Problem::Other,
            });
        };
        let mut kept: Vec<u8> = Vec::new();
        let read = async {
            while let Some(Ok(piece)) = output.next().await {
                let bytes = piece.as_ref();
                receive(bytes);
                kept.extend_from_slice(bytes);
                if kept.len() > 2 * KEPT {
                    kept.drain(..kept.len() - KEPT);
                }
            }
        };
        let in_time = match limit {
            Some(limit) => tokio::time::timeout(limit, read).await.is_ok(),
            None => {
                read.await;
                true
            }
        };
        let code = match in_time {
            true => {
                ended.forget();
                self.exit_of(&made.id).await?
            }
            false => {
                ended.now().await;
                None
            }
        };
        let output = String::from_utf8_lossy(&kept[kept.len().saturating_sub(KEPT)..]).into_owned();
        Ok(ExecOutcome {
            code,
            output,
            took: began.elapsed(),
        })
    }

    /// Its output is at its end; the engine may need a moment more to know how it ended.
    pub(super) async fn exit_of(&self, exec: &str) -> Result<Option<i32>, DockerError> {
        let mut wait = Duration::from_millis(1);
        loop {
            let seen = self
                .docker()
                .inspect_exec(exec)
                .await
                .map_err(|error| DockerError::new("look at a command inside", &error))?;
            if !seen.running.unwrap_or_default() {
                return Ok(Some(
                    seen.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1),
                ));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_millis(100));
        }
    }
}
