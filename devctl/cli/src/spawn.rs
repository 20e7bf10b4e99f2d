//! Starts a project's daemon, detached, and waits until it listens.
//!
//! What is started is `devctl __guardian`, which starts `devctl __daemon`. Their standard output is a pipe to this process: the
//! daemon writes `ready` and a newline when it listens, or the reason why it cannot (what, then `help: ` and what to do) and
//! ends. Its standard error is `daemon.log` in the state directory. So nothing is polled, and a daemon that dies is noticed as the end of the pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use miette::Diagnostic;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::project::Project;

/// What the daemon writes when it listens.
pub(crate) const READY: &str = "ready";

/// Longer than any start, shorter than anybody's patience.
const DEADLINE: Duration = Duration::from_secs(20);

/// The log is begun anew beyond this size, bytes.
const LOG_LIMIT: u64 = 4 << 20;

/// Lines of the log that are shown when the daemon dies without a word.
const SHOWN: usize = 12;

/// Why no daemon came up.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum SpawnError {
    /// It could not be started at all.
    #[error("failed to start the daemon: {doing}")]
    Start {
        /// What was being done.
        doing: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// It says why it cannot serve.
    #[error("the daemon cannot serve this project: {reason}")]
    Told {
        /// Its own words.
        reason: String,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// It ended without a word.
    #[error("the daemon ended before it could serve")]
    Died {
        /// The end of its log, and where it is.
        #[help]
        help: String,
    },
    /// It neither serves nor ends.
    #[error("the daemon did not come up within {} s", DEADLINE.as_secs())]
    TimedOut {
        /// Where to look.
        #[help]
        help: String,
    },
}

/// The daemon's own log.
pub(crate) fn log_file(project: &Project) -> PathBuf {
    project.dirs.state.join("daemon.log")
}

/// Starts a daemon and waits until it listens. The project's directories must be there, and the start lock held.
pub(crate) async fn daemon(project: &Project) -> Result<(), SpawnError> {
    let log_path = log_file(project);
    let log = open_log(&log_path).map_err(|source| SpawnError::Start {
        doing: format!("open `{}`", log_path.display()),
        source,
    })?;
    let before = log.metadata().map(|meta| meta.len()).unwrap_or(0);
    let program = std::env::current_exe().map_err(|source| SpawnError::Start {
        doing: "find this program".into(),
        source,
    })?;
    let (sender, mut receiver) = pipe::pipe()
        .and_then(|(sender, receiver)| Ok((sender.into_blocking_fd()?, receiver)))
        .map_err(|source| SpawnError::Start {
            doing: "make a pipe".into(),
            source,
        })?;
    let mut child = Command::new(&program)
        .arg("__guardian")
        .arg("--project-id")
        .arg(&project.dirs.id)
        .arg("--project-name")
        .arg(&project.name)
        .arg("--project-directory")
        .arg(&project.directory)
        // Not the caller's: a directory that somebody stands in cannot be removed or unmounted.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::from(sender))
        .stderr(Stdio::from(log))
        .spawn()
        .map_err(|source| SpawnError::Start {
            doing: format!("run `{} __guardian`", program.display()),
            source,
        })?;
    // The guardian outlives this process; only if it ends sooner is there somebody to wait for.
    std::thread::spawn(move || child.wait());

    let mut said = String::new();
    let told = async {
        let mut chunk = [0; 1024];
        while !said.ends_with(&format!("{READY}\n")) {
            match receiver.read(&mut chunk).await {
                Ok(0) | Err(_) => break,
                Ok(count) => said.push_str(&String::from_utf8_lossy(&chunk[..count])),
            }
        }
    };
    let in_time = tokio::time::timeout(DEADLINE, told).await.is_ok();
    let said = said.trim();
    match () {
        () if said == READY => Ok(()),
        () if !said.is_empty() => {
            let (reason, help) = said
                .split_once("help: ")
                .map_or((said, None), |(what, help)| (what, Some(help)));
            Err(SpawnError::Told {
                reason: reason.trim().to_owned(),
                help: help.map(|help| help.trim().to_owned()),
            })
        }
        () if in_time => Err(SpawnError::Died {
            help: last_words(&log_path, before),
        }),
        () => Err(SpawnError::TimedOut {
            help: last_words(&log_path, before),
        }),
    }
}

/// Opens the log at its end, begun anew where it has grown long.
fn open_log(path: &Path) -> io::Result<File> {
    let long = path.metadata().is_ok_and(|meta| meta.len() > LOG_LIMIT);
    if long {
        std::fs::rename(path, path.with_extension("log.old"))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// What the daemon wrote to its log since `before`, its last lines.
fn last_words(path: &Path, before: u64) -> String {
    let mut text = String::new();
    if let Ok(mut file) = File::open(path)
        && file.seek(SeekFrom::Start(before)).is_ok()
    {
        let mut bytes = Vec::new();
        let _ = file.read_to_end(&mut bytes);
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN)..];
    if shown.is_empty() {
        return format!("its log, `{}`, says nothing", path.display());
    }
    format!("its log, `{}`, ends with\n{}", path.display(), shown.join("\n"))
}
