//! The fork itself: a group of its own, a complete environment, pipes that nobody else inherits.

use std::io::PipeWriter;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use nix::sys::signal::Signal;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::pump::Pump;
use super::{Exit, Process, ProcessId, ProcessSpec, RUN_VARIABLE, Shared, SpawnError, Stdin, lookup};
use crate::dirs;

/// A process that runs and whose output is not read yet.
pub(crate) struct Started {
    child: Child,
    id: ProcessId,
    mark: Option<String>,
}

/// A pipe for output: the reading end for us, the writing end for the process.
pub(crate) fn pipe(spec: &ProcessSpec) -> Result<(Receiver, PipeWriter), SpawnError> {
    let kernel = |source| SpawnError::Kernel {
        program: spec.program.clone(),
        source,
    };
    let (reader, writer) = std::io::pipe().map_err(kernel)?;
    Ok((Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(kernel)?, writer))
}

fn stdin(spec: &ProcessSpec) -> Result<Stdio, SpawnError> {
    Ok(match &spec.stdin {
        Stdin::Null => Stdio::null(),
        Stdin::Pipe => Stdio::piped(),
        // For writing as well: it has a writer for as long as it lives, and so never comes to its end.
        Stdin::Named(path) => {
            let opened = std::fs::File::options().read(true).write(true).open(path);
            let opened = opened.map_err(|source| SpawnError::Kernel {
                program: spec.program.clone(),
                source,
            });
            Stdio::from(opened?)
        }
    })
}

/// Starts the process with these two as its output.
pub(crate) fn start(spec: &ProcessSpec, stdout: PipeWriter, stderr: PipeWriter) -> Result<Started, SpawnError> {
    if !spec.dir.is_dir() {
        return Err(SpawnError::NoDirectory { dir: spec.dir.clone() });
    }
    if let Some(user) = &spec.user
        && let Some(closed) = dirs::closed_to(user, &spec.dir)
    {
        return Err(SpawnError::ClosedDirectory {
            dir: spec.dir.clone(),
            closed,
            user: user.name.clone(),
        });
    }
    let file = lookup::resolve(spec)?;
    let mut command = match spec.nofile {
        None => Command::new(&file),
        // The shell sets the limit and then becomes the program: std can set none for a child.
        Some(limit) => {
            let mut shell = Command::new("/bin/sh");
            shell
                .args(["-c", "ulimit -n \"$1\"; shift; exec \"$@\"", "sh", &limit.to_string()])
                .arg(&file);
            shell
        }
    };
    command
        .args(&spec.args)
        .env_clear()
        .envs(&spec.env)
        .current_dir(&spec.dir)
        .process_group(0)
        .stdin(stdin(spec)?)
        .stdout(stdout)
        .stderr(stderr);
    if spec.nofile.is_none() {
        command.arg0(&spec.program);
    }
    if let Some(user) = &spec.user {
        command.uid(user.uid).gid(user.gid);
    }
    let child = command.spawn().map_err(|source| lookup::explain(&file, source))?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
    // Not reaped yet, so the row is there, be it a zombie's; elsewhere than on Linux the pid has to do.
    let id = ProcessId::of(pid).unwrap_or(ProcessId { pid, start_time: 0 });
    let mark = spec
        .env
        .get(RUN_VARIABLE)
        .map(|value| format!("{RUN_VARIABLE}={value}"));
    Ok(Started { child, id, mark })
}

impl Started {
    /// Hands the process to a task that reaps it and then waits for `pumps` to have all of its output.
    pub(crate) fn into_process(mut self, pumps: Vec<Pump>) -> Process {
        let (tell, ended) = watch::channel(None);
        let stdin = Mutex::new(self.child.stdin.take());
        let process = Process {
            shared: Arc::new(Shared {
                id: self.id,
                mark: self.mark,
                ended,
                stdin,
                held: AtomicBool::new(false),
            }),
        };
        tokio::spawn(async move {
            let exit = match self.child.wait().await {
                Ok(status) => exit_of(status),
                // Only if somebody else reaped it: how it ended is unknown then.
                Err(_) => Exit::Signal(Signal::SIGKILL as i32),
            };
            let complete: Vec<_> = pumps.into_iter().map(Pump::drain).collect();
            for one in complete {
                one.await;
            }
            // Nobody may be waiting.
            let _ = tell.send(Some(exit));
        });
        process
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(Signal::SIGKILL as i32)),
    }
}
