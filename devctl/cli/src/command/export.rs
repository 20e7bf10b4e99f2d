//! `export`: every file of a service's container as an archive.

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;

use clap::Args;
use tokio_stream::StreamExt as _;

use crate::complete;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::standing::{self, Container};

/// Write every file of a service's container into a tar archive
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// Which replica
    #[arg(long, default_value_t = 1)]
    index: u32,

    /// Write to a file, not to stdout
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,

    /// Service
    #[arg(value_name = "SERVICE", add = complete::services())]
    service: String,
}

impl Export {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of([&self.service])?;
        if self.output.is_none() && io::stdout().is_terminal() && !context.global.dry_run {
            return Err(Error::usage(
                "an archive is nothing for a terminal",
                "`--output FILE`, or `> FILE`",
            ));
        }
        context.block_on(async {
            let instead = format!(
                "its files are this machine's: `devctl cp {}:PATH DIR` copies them",
                self.service
            );
            let container = standing::container(&project, &self.service, self.index, &instead).await?;
            if context.global.dry_run {
                let step = Step::new("export", &self.service);
                let to = self.output.as_ref().map(|path| format!("to {}", path.display()));
                return dry::tell(context, &[step.because(to.unwrap_or_default())]);
            }
            match &self.output {
                Some(path) => self.write_file(&container, path).await,
                None => write(&container, &mut io::stdout().lock()).await.map(|()| Exit::Ok),
            }
        })
    }

    /// Under another name until it is whole: a half of an archive is never there. A device or a pipe takes it as it comes.
    async fn write_file(&self, container: &Container, path: &std::path::Path) -> Result<Exit, Error> {
        let failed = |source| Error::Io {
            doing: format!("write `{}`", path.display()),
            source,
            help: None,
        };
        // Where a link leads to, the file is written.
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if path.metadata().is_ok_and(|file| !file.is_file()) {
            let mut file = std::fs::OpenOptions::new().write(true).open(path).map_err(failed)?;
            write(container, &mut file).await?;
            return Ok(Exit::Ok);
        }
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(dir.unwrap_or(std::path::Path::new("."))).map_err(failed)?;
        write(container, file.as_file_mut()).await?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(Exit::Ok)
    }
}

async fn write(container: &Container, out: &mut impl Write) -> Result<(), Error> {
    let mut pieces = std::pin::pin!(container.engine.export(&container.id));
    while let Some(piece) = pieces.next().await {
        out.write_all(&piece.map_err(|error| standing::refused(&error))?)?;
    }
    out.flush()?;
    Ok(())
}
