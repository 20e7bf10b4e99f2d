//! `push`: the images that services are built into, brought to their registries.

use std::io::{self, Write};

use clap::Args;
use devctl_daemon::images;

use crate::args::Services;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::standing;

/// Push the images that services are built into
#[derive(Args, Debug, Default)]
pub(crate) struct Push {
    /// Go on where an image cannot be pushed
    #[arg(long)]
    ignore_push_failures: bool,

    /// Also what these services depend on
    #[arg(long)]
    include_deps: bool,

    /// No progress
    #[arg(short, long = "quiet", id = "push_quiet")]
    quiet: bool,

    #[command(flatten)]
    services: Services,
}

impl Push {
    /// Of these services: `build --push`.
    pub(super) fn of(services: Vec<String>, quiet: bool) -> Self {
        Self {
            quiet,
            services: Services { services },
            ..Self::default()
        }
    }

    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of(&self.services.services)?;
        let names = super::pull::reach(&project, &self.services.services, self.include_deps);
        let quiet = self.quiet || context.global.quiet;
        // Only what is built here, and has a name that somebody else can ask for.
        let mut wanted: Vec<(String, String)> = Vec::new();
        for service in names.iter().filter_map(|name| project.model.services.get(name)) {
            if service.build.is_none() || service.image.is_none() {
                if !quiet && self.services.services.contains(&service.name) {
                    let why = match service.build {
                        None => "it is not built here",
                        Some(_) => "its image has no name: write `image:` beside `build:`",
                    };
                    writeln!(io::stderr(), "{}  not pushed: {why}", service.name)?;
                }
                continue;
            }
            let tags = service.build.iter().flat_map(|build| build.tags.iter().cloned());
            let all = std::iter::once(images::name(&project.model, service)).chain(tags);
            for image in all {
                if !wanted.iter().any(|(_, known)| *known == image) {
                    wanted.push((service.name.clone(), image));
                }
            }
        }
        if context.global.dry_run {
            let step = |(service, image): &(String, String)| Step::new("push", image).because(service.clone());
            return dry::tell(context, &wanted.iter().map(step).collect::<Vec<_>>());
        }
        if wanted.is_empty() {
            if !quiet {
                writeln!(io::stderr(), "nothing to push: no service has both `build` and `image`")?;
            }
            return Ok(Exit::Ok);
        }
        let env = standing::environment();
        let failed = context.block_on(async {
            let engine = standing::engine().await?;
            let mut failed = Vec::new();
            for (service, image) in &wanted {
                let mut last = String::new();
                let mut on_progress = |status: &str| {
                    // A layer's every step would be a flood: what is new is told.
                    if !quiet && status != last {
                        let _ = writeln!(io::stderr(), "{service}  {status}");
                        last = status.to_owned();
                    }
                };
                match engine.push(image, &env, &mut on_progress).await {
                    Ok(()) if !quiet => writeln!(io::stderr(), "{service}  pushed {image}")?,
                    Ok(()) => {}
                    Err(error) => {
                        writeln!(io::stderr(), "{service}  failed to {error}")?;
                        failed.push((error.to_string(), error.help()));
                    }
                }
            }
            Ok(failed)
        })?;
        match failed.into_iter().next() {
            Some((what, help)) if !self.ignore_push_failures => Err(Error::Unmet {
                what: format!("failed to {what}"),
                help,
            }),
            _ => Ok(Exit::Ok),
        }
    }
}
