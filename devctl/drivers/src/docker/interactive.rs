//! A person's terminal at a command inside a container, or at the container's own main process.

use std::pin::Pin;

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, ResizeContainerTTYOptionsBuilder, ResizeExecOptionsBuilder, WaitContainerOptions,
};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::io::AsyncWrite;

use super::api;
use super::client::Engine;
use super::error::{DockerError, Problem};
use super::exec::ExecSpec;
use crate::log::Stream;

/// What a command (or container) prints, and where to write what it reads.
pub struct Attached {
    engine: Engine,
    what: What,
    output: BoxStream<'static, Result<LogOutput, bollard::errors::Error>>,
    /// Its stdin; nothing is read from where it was opened without.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}

enum What {
    Exec(String),
    Container(String),
}

impl Engine {
    /// Starts a command inside, with its output and (where `stdin`) its input here. `tty`: it gets a terminal.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn exec_attached(
        &self,
        container: &str,
        spec: &ExecSpec,
        tty: bool,
        stdin: bool,
    ) -> Result<Attached, DockerError> {
        let doing = format!("run `{}` inside", spec.command.first().map_or("", String::as_str));
        let failed = |error| DockerError::new(doing.clone(), &error);
        let id = self
            .make_exec(container, spec, tty, stdin, true)
            .await
            .map_err(failed)?;
        let options = StartExecOptions {
            tty,
            ..StartExecOptions::default()
        };
        match self.docker().start_exec(&id, Some(options)).await.map_err(failed)? {
            StartExecResults::Attached { output, input } => Ok(Attached {
                engine: self.clone(),
                what: What::Exec(id),
                output: output.boxed(),
                input,
            }),
            StartExecResults::Detached => Err(DockerError {
                doing,
                said: "the engine did not attach to it".to_owned(),
                problem: Problem::Other,
            }),
        }
    }

    /// Starts a command inside and leaves it there.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn exec_detached(&self, container: &str, spec: &ExecSpec) -> Result<(), DockerError> {
        let doing = format!("run `{}` inside", spec.command.first().map_or("", String::as_str));
        let failed = |error| DockerError::new(doing.clone(), &error);
        let id = self
            .make_exec(container, spec, false, false, false)
            .await
            .map_err(failed)?;
        let options = StartExecOptions {
            detach: true,
            ..StartExecOptions::default()
        };
        self.docker().start_exec(&id, Some(options)).await.map_err(failed)?;
        Ok(())
    }

    async fn make_exec(
        &self,
        container: &str,
        spec: &ExecSpec,
        tty: bool,
        stdin: bool,
        output: bool,
    ) -> Result<String, bollard::errors::Error> {
        let config = api::ExecConfig {
            attach_stdin: Some(stdin),
            attach_stdout: Some(output),
            attach_stderr: Some(output),
            tty: Some(tty),
            cmd: Some(spec.command.clone()),
            env: (!spec.env.is_empty()).then(|| spec.env.clone()),
            user: spec.user.clone(),
            working_dir: spec.working_dir.clone(),
            privileged: spec.privileged.then_some(true),
            ..api::ExecConfig::default()
        };
        Ok(self.docker().create_exec(container, config).await?.id)
    }

    /// Attaches to a container's main process: what it prints from now on.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn attach(&self, container: &str, stdin: bool) -> Result<Attached, DockerError> {
        let options = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdin(stdin)
            .stdout(true)
            .stderr(true)
            .build();
        let AttachContainerResults { output, input } =
            self.docker()
                .attach_container(container, Some(options))
                .await
                .map_err(|error| DockerError::new("attach to the container", &error))?;
        Ok(Attached {
            engine: self.clone(),
            what: What::Container(container.to_owned()),
            output: output.boxed(),
            input,
        })
    }
}

impl Attached {
    /// The next piece of output; `None` at its end.
    pub async fn next(&mut self) -> Option<(Stream, Bytes)> {
        loop {
            return Some(match self.output.next().await?.ok()? {
                LogOutput::StdErr { message } => (Stream::Stderr, message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => (Stream::Stdout, message),
                LogOutput::StdIn { .. } => continue,
            });
        }
    }

    /// Tells its terminal how large this one is. One that has ended has none any more: that is no error.
    pub async fn resize(&self, width: u16, height: u16) {
        let (width, height) = (i32::from(width), i32::from(height));
        let docker = self.engine.docker();
        let _gone = match &self.what {
            What::Exec(id) => {
                let options = ResizeExecOptionsBuilder::new().w(width).h(height).build();
                docker.resize_exec(id, options).await
            }
            What::Container(id) => {
                let options = ResizeContainerTTYOptionsBuilder::new().w(width).h(height).build();
                docker.resize_container_tty(id, options).await
            }
        };
    }

    /// Its exit status, once its output is at its end.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn exit(&self) -> Result<i32, DockerError> {
        match &self.what {
            What::Exec(id) => Ok(self.engine.exit_of(id).await?.unwrap_or(-1)),
            What::Container(id) => {
                let mut ends = std::pin::pin!(self.engine.docker().wait_container(id, None::<WaitContainerOptions>));
                match ends.next().await {
                    Some(Ok(end)) => Ok(i32::try_from(end.status_code).unwrap_or(-1)),
                    // An exit status that is not 0 is an error to the client library.
                    Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => {
                        Ok(i32::try_from(code).unwrap_or(-1))
                    }
                    Some(Err(error)) => Err(DockerError::new("wait for the container", &error)),
                    None => Ok(0),
                }
            }
        }
    }
}
