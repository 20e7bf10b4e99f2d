//! Why a process could not be started, and what to do about it.

use std::path::PathBuf;

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No such program.
    #[error("find `{program}`")]
    NotFound {
        /// As the spec names it.
        program: String,
        /// The directories of `PATH`, or the one path that was tried.
        looked_in: Vec<PathBuf>,
    },
    /// The file is there and cannot be executed.
    #[error("execute `{}`: {reason}", path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The working directory is not there.
    #[error("enter `{}`: no such directory", dir.display())]
    NoDirectory {
        /// The directory.
        dir: PathBuf,
    },
    /// The user may not enter the working directory.
    #[error("enter `{}` as user `{user}`: `{}` is closed", dir.display(), closed.display())]
    ClosedDirectory {
        /// The directory.
        dir: PathBuf,
        /// Where the way ends.
        closed: PathBuf,
        /// The user.
        user: String,
    },
    /// The kernel refused.
    #[error("start `{program}`")]
    Kernel {
        /// As the spec names it.
        program: String,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
}

impl SpawnError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NotFound { program, looked_in } if program.contains('/') => {
                let tried = looked_in
                    .first()
                    .map_or_else(String::new, |path| format!("`{}`", path.display()));
                Some(format!(
                    "{tried} does not exist; build it first, or correct the command's path"
                ))
            }
            Self::NotFound { program, looked_in } => {
                let list: Vec<String> = looked_in.iter().map(|dir| dir.display().to_string()).collect();
                Some(format!(
                    "install `{program}` or put its directory in PATH; looked in {}",
                    list.join(", ")
                ))
            }
            Self::NotExecutable { path, reason } if reason.contains("permission") => {
                Some(format!("chmod +x {}", path.display()))
            }
            Self::NotExecutable { .. } => {
                Some("check that it is a program for this machine, or a script with `#!`".into())
            }
            Self::NoDirectory { .. } => {
                Some("correct `x-devctl.native.dir`; it counts from the project directory".into())
            }
            Self::ClosedDirectory { closed, user, .. } => Some(format!(
                "let `{user}` pass (chmod o+x {}), or use another directory",
                closed.display()
            )),
            Self::Kernel { source, .. } => match source.raw_os_error().map(nix::errno::Errno::from_raw) {
                Some(nix::errno::Errno::EAGAIN) => Some("the limit of processes is reached: see `ulimit -u`".into()),
                Some(nix::errno::Errno::EMFILE) => Some("the limit of open files is reached: see `ulimit -n`".into()),
                Some(nix::errno::Errno::E2BIG) => Some("arguments and environment are too long together".into()),
                _ => None,
            },
        }
    }
}
