//! What a verb may end with: an error says what failed, why, and what to do. Its kind chooses the exit status.

use std::fmt::Write as _;
use std::io;

use miette::Diagnostic;

use crate::client::ClientError;
use crate::exit::Exit;
use crate::project::ProjectError;
use crate::render::style::Style;
use crate::session::is_end;

/// Why a verb failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum Error {
    /// The project could not be found or read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Project(#[from] ProjectError),
    /// No daemon could be talked to.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Client(#[from] ClientError),
    /// The daemon refused.
    #[error("{what}")]
    Refused {
        /// What the daemon says.
        what: String,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// What was asked for does not fit the project.
    #[error("{what}")]
    Usage {
        /// What does not fit.
        what: String,
        /// What to type instead.
        #[help]
        help: Option<String>,
    },
    /// Something of the project is not as it was asked for.
    #[error("{what}")]
    Unmet {
        /// What.
        what: String,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// Reading something of this machine.
    #[error("failed to {doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// Writing the answer.
    #[error("failed to write to standard output")]
    Output(#[from] io::Error),
}

impl Error {
    /// Bad usage.
    pub(crate) fn usage(what: impl Into<String>, help: impl Into<String>) -> Self {
        Error::Usage {
            what: what.into(),
            help: Some(help.into()),
        }
    }

    /// The exit status.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Error::Output(err) if err.kind() == io::ErrorKind::BrokenPipe => Exit::ClosedPipe,
            Error::Unmet { .. } => Exit::Failed,
            Error::Project(_)
            | Error::Client(_)
            | Error::Refused { .. }
            | Error::Usage { .. }
            | Error::Io { .. }
            | Error::Output(_) => Exit::CouldNotRun,
        }
    }

    /// Whether there is anybody to tell.
    pub(crate) fn is_silent(&self) -> bool {
        self.exit() == Exit::ClosedPipe
    }

    /// What, why and what to do, a line each.
    pub(crate) fn render(&self, style: Style) -> String {
        let mut text = String::new();
        if let Error::Project(ProjectError::Invalid { diagnostics }) = self
            && !diagnostics.is_empty()
        {
            // Each says its own what, why and help.
            return diagnostics
                .iter()
                .map(|diagnostic| format!("{}\n", diagnostic.trim_end()))
                .collect();
        }
        let _ = writeln!(text, "{} {self}", style.error("error:"));
        let mut cause = std::error::Error::source(self);
        while let Some(source) = cause {
            let said = source.to_string();
            if !text.trim_end().ends_with(&said) {
                let _ = writeln!(text, "  {} {said}", style.dim("why:"));
            }
            cause = source.source();
        }
        if let Some(help) = self.help() {
            let help = help.to_string();
            let mut lines = help.lines();
            let _ = writeln!(text, " {} {}", style.help("help:"), lines.next().unwrap_or_default());
            for line in lines {
                let _ = writeln!(text, "       {line}");
            }
        }
        text
    }
}

/// A refusal of the daemon: the message's first line is what, the rest is what to do.
impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        let message = status.message();
        if is_end(&status) {
            return Error::Refused {
                what: "the daemon went away while it was asked".into(),
                help: Some("`daemon.log` below `.devctl` says why; the same command starts another".into()),
            };
        }
        let (what, help) = match message.split_once('\n') {
            Some((what, help)) => (what.to_owned(), Some(help.trim_start_matches("help: ").to_owned())),
            None => (message.to_owned(), None),
        };
        if status.code() == tonic::Code::NotFound || status.code() == tonic::Code::InvalidArgument {
            return Error::Usage { what, help };
        }
        Error::Refused { what, help }
    }
}
