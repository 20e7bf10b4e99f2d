//! `pull`: the images of services, brought here before they are needed.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write};

use clap::{Args, ValueEnum};
use devctl_daemon::images;
use devctl_drivers::docker::pull::{Pull as Wanted, PullPolicy, PullProgress, ensure};

use crate::args::Services;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::standing;

/// Pull the images of services
#[derive(Args, Debug)]
pub(crate) struct Pull {
    /// Leave out images that can be built
    #[arg(long)]
    ignore_buildable: bool,

    /// Go on where an image cannot be pulled
    #[arg(long)]
    ignore_pull_failures: bool,

    /// Also what these services depend on
    #[arg(long)]
    include_deps: bool,

    /// `missing`: only what is not there [default: as the file says, else always]
    #[arg(long, value_name = "POLICY", value_enum)]
    policy: Option<Policy>,

    /// No progress
    #[arg(short, long = "quiet", id = "pull_quiet")]
    quiet: bool,

    #[command(flatten)]
    services: Services,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Policy {
    Missing,
    Always,
}

impl Pull {
    /// What these services need and is not there.
    pub(super) fn missing(services: Vec<String>) -> Self {
        Self {
            ignore_buildable: true,
            ignore_pull_failures: false,
            include_deps: false,
            policy: Some(Policy::Missing),
            quiet: false,
            services: Services { services },
        }
    }

    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of(&self.services.services)?;
        let names = reach(
            &project,
            &self.services.services,
            self.include_deps || self.services.services.is_empty(),
        );
        let env = standing::environment();
        let mut wanted: BTreeMap<String, (PullPolicy, Option<String>)> = BTreeMap::new();
        for service in names.iter().filter_map(|name| project.model.services.get(name)) {
            let builds = service.build.is_some();
            if builds && (self.ignore_buildable || service.image.is_none()) {
                continue;
            }
            let policy = match (self.policy, images::policy(service)) {
                (_, PullPolicy::Never) if !builds => continue,
                (Some(Policy::Missing), _) => PullPolicy::Missing,
                (Some(Policy::Always), _) | (None, PullPolicy::Always | PullPolicy::Missing | PullPolicy::Never) => {
                    PullPolicy::Always
                }
                (None, older) => older,
            };
            wanted.insert(
                images::name(&project.model, service),
                (policy, service.platform.clone()),
            );
        }
        if context.global.dry_run {
            let step = |(image, (policy, _)): (&String, &(PullPolicy, _))| match policy {
                PullPolicy::Missing => Step::new("pull", image).because("where it is not there"),
                _ => Step::new("pull", image),
            };
            return dry::tell(context, &wanted.iter().map(step).collect::<Vec<_>>());
        }
        let quiet = self.quiet || context.global.quiet;
        let failed = context.block_on(async {
            let engine = standing::engine().await?;
            let mut failed = Vec::new();
            for (image, (policy, platform)) in &wanted {
                let pull = Wanted {
                    image,
                    platform: platform.as_deref(),
                    policy: *policy,
                    env: &env,
                };
                let mut line = Line::new(image, quiet);
                match ensure(&engine, &pull, &mut |progress| line.show(&progress)).await {
                    Ok(found) => line.end(&format!("{image}: {}", short(&found.id))),
                    Err(error) => {
                        line.end(&format!("{image}: failed to {error}"));
                        failed.push((error.to_string(), error.help()));
                    }
                }
            }
            Ok(failed)
        })?;
        match failed.into_iter().next() {
            Some((what, help)) if !self.ignore_pull_failures => Err(Error::Unmet {
                what: format!("failed to {what}"),
                help,
            }),
            _ => Ok(Exit::Ok),
        }
    }
}

/// These services (all where none is named), and what they depend on, where that is asked for.
pub(super) fn reach(project: &Project, named: &[String], dependencies: bool) -> Vec<String> {
    if named.is_empty() {
        return project.services();
    }
    let mut all: Vec<String> = named.to_vec();
    let mut at = 0;
    while dependencies && at < all.len() {
        let needs: Vec<String> = match project.model.services.get(&all[at]) {
            Some(service) => service.depends_on.keys().cloned().collect(),
            None => Vec::new(),
        };
        for need in needs {
            if !all.contains(&need) {
                all.push(need);
            }
        }
        at += 1;
    }
    all
}

/// `sha256:0123...` in twelve digits.
pub(super) fn short(id: &str) -> &str {
    let digits = id.trim_start_matches("sha256:");
    digits.get(..12).unwrap_or(digits)
}

/// One line of progress on a terminal, its end alone elsewhere.
struct Line<'a> {
    image: &'a str,
    live: bool,
    quiet: bool,
    shown: String,
}

impl<'a> Line<'a> {
    fn new(image: &'a str, quiet: bool) -> Self {
        Self {
            image,
            live: !quiet && io::stderr().is_terminal(),
            quiet,
            shown: String::new(),
        }
    }

    fn show(&mut self, progress: &PullProgress) {
        if !self.live {
            return;
        }
        let text = match progress.total {
            0 => format!("{}: {}", self.image, progress.text),
            total => format!(
                "{}: {} of {}",
                self.image,
                super::stats::bytes(progress.done),
                super::stats::bytes(total)
            ),
        };
        if text != self.shown {
            // A terminal that is gone is noticed by whatever is written next.
            let _ = write!(io::stderr(), "\r\x1b[K{text}");
            self.shown = text;
        }
    }

    fn end(&mut self, text: &str) {
        if self.live && !self.shown.is_empty() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }
}
