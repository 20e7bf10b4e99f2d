//! `commit`: an image of a service's container as it is now.

use std::io::{self, Write};

use clap::Args;
use devctl_drivers::docker::Commit as Wanted;

use crate::complete;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::standing;

/// Make an image of a service's container as it is now
#[derive(Args, Debug)]
pub(crate) struct Commit {
    /// Who made it: `Ada <ada@example.org>`
    #[arg(short, long, value_name = "NAME")]
    author: Option<String>,

    /// An instruction as of a Dockerfile, such as `CMD ["serve"]`; may be given several times
    #[arg(short, long = "change", value_name = "INSTRUCTION")]
    changes: Vec<String>,

    /// Which replica
    #[arg(long, default_value_t = 1)]
    index: u32,

    /// What was changed
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,

    /// Hold the container still meanwhile; `--pause=false`: go on
    #[arg(short, long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pause: bool,

    /// Service
    #[arg(value_name = "SERVICE", add = complete::services())]
    service: String,

    /// The image's name [default: none, it has only an id]
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

impl Commit {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of([&self.service])?;
        context.block_on(async {
            let service = &self.service;
            let instead = format!("`devctl --runtime {service}=docker up -d {service}` runs it in a container");
            let container = standing::container(&project, service, self.index, &instead).await?;
            if context.global.dry_run {
                let name = self.name.as_deref().unwrap_or("an image without a name");
                return dry::tell(context, &[Step::new("commit", service).because(format!("as {name}"))]);
            }
            let wanted = Wanted {
                name: self.name.clone(),
                author: self.author.clone(),
                message: self.message.clone(),
                changes: self.changes.clone(),
                pause: self.pause,
            };
            let made = container.engine.commit(&container.id, &wanted).await;
            let id = made.map_err(|error| standing::refused(&error))?;
            writeln!(io::stdout(), "{id}")?;
            Ok(Exit::Ok)
        })
    }
}
